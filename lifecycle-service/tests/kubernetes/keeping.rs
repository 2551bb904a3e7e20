//! What is kept, and what goes: old revisions, what an object owned, the finalizer that sees to it.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::ListParams;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_k8s::names;
use serde_json::json;

use crate::support::{Agent, NAME, Stage, Version, run, until};

/// Versions of the Deployments and of the records that there are.
async fn kept(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let deployments = stage.api::<Deployment>().list(&ListParams::default()).await.unwrap().items;
    let records = stage.api::<ControllerRevision>().list(&ListParams::default()).await.unwrap().items;
    let version = |annotations: &std::collections::BTreeMap<String, String>| {
        annotations.get(names::VERSION_ANNOTATION).cloned().unwrap_or_default()
    };
    let mut kept = (
        deployments.iter().map(|object| version(object.annotations())).collect::<Vec<_>>(),
        records.iter().map(|object| version(object.annotations())).collect::<Vec<_>>(),
    );
    kept.0.sort();
    kept.1.sort();
    kept
}

/// Probes make no revision of their own: a version that failed by one is tried again with another.
#[test]
fn a_version_that_is_tried_again_has_the_probes_of_the_newest_spec() {
    run(async {
        let stage = Stage::new("probes-mended").await;
        stage.service().await;
        let _operator = stage.operator().await;
        let version = Version::new("rolling", "1.4.0").unchecked().replicas(2);
        let bad = json!({"healthCheck": {"endpoint": "/nowhere"}, "progressDeadline": "4s"});
        stage.apply(&version.clone().with(bad).manifest());
        let failed = stage.until("the failure", Agent::failed_whole).await;

        stage.apply(&version.manifest());
        stage.until("the mended spec is read", Agent::is_current).await;
        assert_eq!(kept(&stage).await.0, ["1.4.0"], "{failed:?}");
        stage.kubectl(&["annotate", "agentdeploy", NAME, "enis.andaon.com/command=again retry"]);
        stage.until_serving("1.4.0", 2).await;
        // and so would one be that is made again from its record
        let records = stage.api::<ControllerRevision>().list(&ListParams::default()).await.unwrap().items;
        let templates = json!(records.iter().map(|record| &record.data).collect::<Vec<_>>()).to_string();
        assert!(records.len() == 1 && !templates.contains("/nowhere"), "{templates}");
    });
}

#[test]
fn revisions_beyond_the_limit_go_with_their_records() {
    run(async {
        let stage = Stage::new("history-limit").await;
        let _operator = stage.operator().await;
        let version = |version| {
            let limit = json!({"revisionHistoryLimit": 1});
            Version::new("recreate", version).unchecked().replicas(1).with(limit)
        };
        for name in ["1.1.0", "1.2.0", "1.3.0", "1.4.0"] {
            stage.deploy(&version(name)).await;
        }
        let expected: Vec<String> = vec!["1.3.0".into(), "1.4.0".into()];
        until("one old revision is kept", async || match kept(&stage).await {
            (deployments, records) if deployments == expected && records == expected => Ok(()),
            other => Err(other),
        })
        .await;

        // what is remembered can be gone back to, and what is not is refused
        for (command, result) in [("h1 rollback 1.1.0", "refused"), ("h2 rollback 1.3.0", "done")] {
            let id = command.split(' ').next().unwrap();
            let annotation = format!("{}={command}", names::COMMAND);
            stage.kubectl(&["annotate", "agentdeploy", NAME, "--overwrite", &annotation]);
            let agent = stage.until(command, |agent| agent.answered(id)).await;
            assert_eq!(agent.status.last_command.unwrap().result, result);
        }
        stage.until("1.3.0 serves again", |agent| agent.went_back_to("1.3.0", 1)).await;
    });
}

#[test]
fn what_is_orphaned_runs_on_and_its_service_is_given_back() {
    run(async {
        let stage = Stage::new("cascade-orphan").await;
        stage.service().await;
        let found = stage.api::<Service>().get(NAME).await.unwrap().spec.unwrap().selector;
        let _operator = stage.operator().await;
        stage.deploy(&Version::new("blue-green", "1.4.0").unchecked().replicas(2)).await;
        stage.kubectl(&["delete", "agentdeploy", NAME, "--cascade=orphan"]);
        until("the object is gone", async || {
            match stage.api::<AgentDeployment>().get_opt(NAME).await.unwrap() {
                None => Ok(()),
                Some(object) => Err(object.finalizers().to_vec()),
            }
        })
        .await;
        let service = stage.api::<Service>().get(NAME).await.unwrap();
        assert_eq!(service.spec.unwrap().selector, found);
        let left = stage.api::<Deployment>().list(&ListParams::default()).await.unwrap().items;
        let left: Vec<_> = left
            .iter()
            .map(|deployment| {
                let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas);
                (ready, deployment.owner_references().len(), deployment.metadata.deletion_timestamp.is_some())
            })
            .collect();
        assert_eq!(left, [(Some(2), 0, false)]);
    });
}

#[test]
fn a_finalizer_that_somebody_took_away_is_put_back() {
    run(async {
        let stage = Stage::new("no-finalizer").await;
        stage.service().await;
        let _operator = stage.operator().await;
        stage.deploy(&Version::new("blue-green", "1.4.0").unchecked().replicas(1)).await;
        let is_there = |agent: &Agent| agent.object.finalizers() == [names::FINALIZER];
        stage.until("the finalizer", is_there).await;
        for _ in 0..2 {
            stage.kubectl(&[
                "patch",
                "agentdeploy",
                NAME,
                "--type=merge",
                "-p",
                r#"{"metadata":{"finalizers":null}}"#,
            ]);
            stage.until("the finalizer again", is_there).await;
        }
        stage.kubectl(&["delete", "agentdeploy", NAME]);
        let service = stage.api::<Service>().get(NAME).await.unwrap();
        assert_eq!(service.spec.unwrap().selector.unwrap().get(names::REVISION), None, "it is given back");
    });
}
