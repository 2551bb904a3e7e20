//! The object itself is deleted: what was made for it goes, and nothing else.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::ListParams;
use lifecycle_k8s::crd::AgentDeployment;
use serde_json::json;

use super::{REVISION, ROUTE, Scene};
use crate::support::{NAME, Stage, create, run, until};

/// A deployment that looks like ours, and is not.
async fn neighbour(stage: &Stage) {
    let labels = json!({"app": NAME, "enis.andaon.com/agent": NAME, REVISION: "0123456789"});
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "agent-app:0.0.1", "ports": [{"containerPort": 8080}]}]},
    });
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    let meta = json!({"name": "neighbour", "labels": labels});
    create(&stage.api::<Deployment>(), json!({"metadata": meta, "spec": spec})).await;
    until("the neighbour runs", async || {
        let deployment = stage.api::<Deployment>().get("neighbour").await.unwrap();
        deployment.status.filter(|status| status.ready_replicas == Some(1)).map(drop).ok_or(())
    })
    .await;
}

async fn names<K>(api: Api<K>) -> Vec<String>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let all = api.list(&ListParams::default()).await.unwrap().items;
    all.iter().filter_map(|object| object.meta().name.clone()).collect()
}

/// All that was made is gone, what was borrowed is given back, and nothing else was touched.
async fn cleaned_up(stage: &Stage) {
    until("the object is gone", async || match stage.api::<AgentDeployment>().get_opt(NAME).await.unwrap() {
        None => Ok(()),
        Some(object) => Err(object.metadata),
    })
    .await;
    assert_eq!(names(stage.api::<Deployment>()).await, ["neighbour"]);
    assert_eq!(names(stage.api::<ControllerRevision>()).await, [""; 0]);
    until("its pods are gone", async || {
        let pods = names(stage.api::<Pod>()).await;
        let only = pods.len() == 1 && pods[0].starts_with("neighbour-");
        if only { Ok(()) } else { Err(pods) }
    })
    .await;
    let service = stage.api::<Service>().get(NAME).await.unwrap();
    assert_eq!(json!(service.spec.unwrap().selector), json!({"app": NAME}));
    assert!(!service.metadata.annotations.unwrap_or_default().contains_key(ROUTE));
}

#[test]
fn a_deleted_object_takes_away_what_it_made_and_nothing_else() {
    run(async {
        let scene = Scene::new("deleted", "blue-green").await;
        neighbour(&scene.stage).await;
        let service = scene.stage.api::<Service>().get(NAME).await.unwrap();
        assert!(service.spec.unwrap().selector.unwrap().contains_key(REVISION), "the Service was borrowed");
        scene.stage.kubectl(&["delete", "agentdeploy", NAME, "--wait=false"]);
        cleaned_up(&scene.stage).await;
    });
}

#[test]
fn an_object_that_was_deleted_while_no_operator_ran_is_cleaned_up_after() {
    run(async {
        let mut scene = Scene::new("deleted-alone", "blue-green").await;
        neighbour(&scene.stage).await;
        scene.operator.kill();
        scene.stage.kubectl(&["delete", "lease", "lifecycle-operator"]);
        scene.stage.kubectl(&["annotate", "service", NAME, &format!("{ROUTE}-")]);
        scene.stage.kubectl(&["delete", "agentdeploy", NAME, "--wait=false"]);
        let object = scene.stage.agent().await;
        assert!(object.metadata.deletion_timestamp.is_some(), "it waits for an operator");
        let _operator = scene.stage.operator_called("second").await;
        cleaned_up(&scene.stage).await;
    });
}
