//! What happens to a cluster in the middle of a rollout: things edited, deleted, taken away and given back. The cause
//! is told, requests go on being answered, and so does the rollout.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::rbac::v1::Role;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use lifecycle_k8s::crd::{AgentDeployment, RevisionStatus};
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions, counts};
use lifecycle_testkit::kubernetes::load::{Load, LoadReport, Who};
use serde_json::json;

use crate::support::{
    Agent, History, NAME, Operator, PATIENCE, Stage, Version, create, define, node, run, until,
};

/// Somebody is told within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

const REVISION: &str = "enis.andaon.com/revision";
const ROUTE: &str = "enis.andaon.com/route";

/// What holds long enough at its second step, or before its switch, for something to happen.
fn version(strategy: &'static str, version: &'static str, drain: &'static str) -> Version {
    let steps = [(25, "2s"), (50, "9s"), (100, "2s")]
        .map(|(weight, bake)| json!({"setWeight": weight, "bake": bake}));
    Version::new(strategy, version).unchecked().with(json!({
        "canary": {"steps": steps}, "blueGreen": {"validate": "15s", "monitor": "2s"}, "drain": drain,
    }))
}

/// A rollout from 1.4.0 to 1.5.0 in its middle, with requests coming in.
struct Scene {
    stage: Stage,
    operator: Operator,
    load: Load,
    history: History,
    /// Names of the child Deployments.
    stable: String,
    canary: String,
}

impl Scene {
    async fn new(namespace: &str, strategy: &'static str) -> Self {
        Self::on(Stage::new(namespace).await, strategy, "1s").await
    }

    async fn on(stage: Stage, strategy: &'static str, drain: &'static str) -> Self {
        stage.service().await;
        let operator = stage.operator().await;
        stage.deploy(&version(strategy, "1.4.0", drain)).await;
        let load = stage.load(60.0).await;
        load.until(PATIENCE, |seen| seen.tally(Who::Version("1.4.0")).ok > 20).await.unwrap();
        let history = stage.history().await;
        stage.apply(&version(strategy, "1.5.0", drain).manifest());
        let middle = |agent: &Agent| {
            let ready = |revision: &Option<RevisionStatus>| revision.as_ref().map_or(0, |it| it.ready);
            let (stable, canary) = (ready(&agent.status.stable), ready(&agent.status.canary));
            match strategy {
                "canary" => {
                    (agent.status.step, stable, canary, agent.status.current_replicas) == (2, 2, 2, 4)
                }
                _ => canary == 4,
            }
        };
        let agent = stage.until("the middle", middle).await;
        let child = |revision: &str| format!("{NAME}-{revision}");
        let stable = child(&agent.status.stable.unwrap().revision);
        let canary = child(&agent.status.canary.unwrap().revision);
        Self { stage, operator, load, history, stable, canary }
    }

    /// An Event and a condition tell what was put back.
    async fn is_told_repaired(&self, words: &str) {
        self.is_told(("Degraded", "True", "Repaired"), words).await;
    }

    async fn is_told(&self, (name, status, reason): (&str, &str, &str), words: &str) {
        let is =
            |agent: &Agent| agent.condition(name) == (status, reason) && agent.says(name).contains(words);
        self.history.until_within(TOLD_WITHIN, &format!("{name} {status} {reason}: {words}"), is).await;
        self.stage.until_told(reason, words).await;
    }

    /// 1.5.0 is promoted by itself, whole, and nothing is left of what was told.
    async fn ends_well(mut self) -> LoadReport {
        self.stage.until_healthy("1.5.0").await;
        let well = |agent: &Agent| {
            let replicas = (agent.status.current_replicas, agent.status.ready_replicas);
            replicas == (4, 4)
                && agent.condition("Degraded").0 == "False"
                && agent.condition("Ready").0 == "True"
        };
        self.stage.until("all is well", well).await;
        assert!(self.operator.is_alive(), "{}", self.operator.log());
        let went_back =
            self.history.seen().iter().any(|agent| ["unhealthy", "rolled_back"].contains(&agent.phase()));
        assert!(!went_back, "{:#?}", self.history.seen());
        let report = self.load.stop().await;
        println!("{}: {report}", self.stage.namespace);
        report
    }

    /// The same, and every request was answered.
    async fn ends_well_without_a_loss(self) {
        let report = self.ends_well().await;
        assert_eq!((report.lost(), report.refused), (0, 0), "{:?}", report.losses);
    }

    async fn pods(&self, child: &str) -> Vec<String> {
        pods(&self.stage, child).await
    }
}

/// Names of the pods of a child Deployment that were not asked to stop.
async fn pods(stage: &Stage, child: &str) -> Vec<String> {
    let hash = child.strip_prefix(&format!("{NAME}-")).unwrap();
    let pods =
        stage.api::<Pod>().list(&ListParams::default().labels(&format!("{REVISION}={hash}"))).await.unwrap();
    let alive = pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    alive.filter_map(|pod| pod.metadata.name).collect()
}

#[test]
fn replicas_that_were_edited_by_hand_are_put_back() {
    run(async {
        let scene = Scene::new("edited-replicas", "canary").await;
        scene.stage.kubectl(&["scale", "deployment", &scene.canary, "--replicas=1"]);
        scene.is_told_repaired(&format!("Deployment {} was resized to 1", scene.canary)).await;
        until("the canary is whole", async || {
            let pods = scene.pods(&scene.canary).await;
            if pods.len() >= 2 { Ok(()) } else { Err(pods) }
        })
        .await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_template_that_was_edited_by_hand_is_put_back() {
    run(async {
        let scene = Scene::new("edited-template", "canary").await;
        scene.stage.kubectl(&["set", "env", &format!("deployment/{}", scene.stable), "BY_HAND=yes"]);
        scene.is_told_repaired(&format!("template of Deployment {}", scene.stable)).await;
        scene.stage.kubectl(&[
            "set",
            "image",
            &format!("deployment/{}", scene.canary),
            "app=agent-app:6.6.6",
        ]);
        scene.is_told_repaired(&format!("template of Deployment {}", scene.canary)).await;
        for child in [&scene.stable, &scene.canary] {
            let deployment = scene.stage.api::<Deployment>().get(child).await.unwrap();
            let template = serde_json::to_string(&deployment.spec.unwrap().template).unwrap();
            assert!(!template.contains("BY_HAND") && !template.contains("6.6.6"), "{template}");
        }
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn the_deployment_of_a_canary_that_was_deleted_is_made_again() {
    run(async {
        let scene = Scene::new("deleted-canary", "canary").await;
        scene.stage.kubectl(&["delete", "deployment", &scene.canary]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.canary)).await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_stable_deployment_that_was_deleted_is_made_again() {
    run(async {
        let scene = Scene::new("deleted-stable", "canary").await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn pods_without_their_deployment_are_taken_over_by_the_one_that_is_made_again() {
    run(async {
        let scene = Scene::new("orphaned", "canary").await;
        let before = scene.pods(&scene.stable).await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable, "--cascade=orphan"]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            let deployment = scene.stage.api::<Deployment>().get_opt(&scene.stable).await.unwrap();
            let ready = deployment.and_then(|deployment| deployment.status?.ready_replicas);
            if ready == Some(2) { Ok(()) } else { Err(ready) }
        })
        .await;
        assert_eq!(scene.pods(&scene.stable).await, before, "no pod was replaced");
        scene.ends_well_without_a_loss().await;
    });
}

/// Without its record a revision whose Deployment is deleted could not be made again.
#[test]
fn a_record_that_was_deleted_is_made_again_from_what_runs() {
    run(async {
        let scene = Scene::new("deleted-record", "canary").await;
        let records = scene.stage.api::<ControllerRevision>();
        scene.stage.kubectl(&["delete", "controllerrevision", &scene.stable]);
        scene.is_told_repaired(&format!("ControllerRevision {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            records.get_opt(&scene.stable).await.unwrap().map(drop).ok_or(())
        })
        .await;
        let before = scene.pods(&scene.stable).await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable, "--cascade=orphan"]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            let found = scene.stage.api::<Deployment>().get_opt(&scene.stable).await.unwrap();
            let ready = found.and_then(|deployment| deployment.status?.ready_replicas);
            if ready == Some(2) { Ok(()) } else { Err(ready) }
        })
        .await;
        assert_eq!(scene.pods(&scene.stable).await, before, "it runs the same");
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_selector_that_was_edited_in_a_blue_green_is_put_back() {
    run(async {
        let scene = Scene::new("edited-selector", "blue-green").await;
        let green = scene.canary.strip_prefix("edge-agent-").unwrap();
        for selector in [json!(green), json!(null)] {
            let patch = json!({"spec": {"selector": {REVISION: selector}}}).to_string();
            scene.stage.kubectl(&["patch", "service", NAME, "-p", &patch]);
            until("it is as it was", async || {
                let service = scene.stage.api::<Service>().get(NAME).await.unwrap();
                let hash = service.spec.unwrap().selector.unwrap().remove(REVISION);
                let is = hash.as_ref().is_some_and(|hash| scene.stable.ends_with(hash));
                if is { Ok(()) } else { Err(hash) }
            })
            .await;
        }
        scene.is_told_repaired("the selector of Service edge-agent").await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_service_that_was_made_anew_in_a_blue_green_is_pinned_again() {
    run(async {
        let scene = Scene::new("new-service", "blue-green").await;
        scene.stage.kubectl(&["annotate", "service", NAME, &format!("{ROUTE}-")]);
        scene.is_told_repaired("of Service edge-agent").await;
        scene.stage.kubectl(&["delete", "service", NAME]);
        scene.is_told(("Degraded", "True", "NotFound"), "Service edge-agent").await;
        scene.stage.service().await;
        until("it is pinned", async || {
            let service = scene.stage.api::<Service>().get(NAME).await.unwrap();
            service.spec.and_then(|spec| spec.selector?.remove(REVISION)).ok_or(())
        })
        .await;
        // nobody is there while there is no Service
        assert_eq!(scene.ends_well().await.lost(), 0);
    });
}

#[test]
fn a_service_whose_own_selector_was_broken_is_told() {
    run(async {
        let scene = Scene::new("broken-selector", "canary").await;
        let select = |app: &str| {
            let patch = json!({"spec": {"selector": {"app": app}}}).to_string();
            scene.stage.kubectl(&["patch", "service", NAME, "-p", &patch]);
        };
        select("nobody");
        scene.is_told(("Degraded", "True", "TrafficFailing"), "does its selector fit").await;
        select(NAME);
        let report = scene.ends_well().await;
        assert!(report.lost() == 0 && report.refused > 0, "{report}");
    });
}

#[test]
fn a_pod_that_is_deleted_or_evicted_is_replaced_and_the_rollout_goes_on() {
    run(async {
        let scene = Scene::new("deleted-pods", "canary").await;
        let (stable, canary) = (scene.pods(&scene.stable).await, scene.pods(&scene.canary).await);
        scene.stage.kubectl(&["delete", "pod", "--wait=false", &stable[0]]);
        scene
            .stage
            .node
            .evict(&scene.stage.namespace, &canary[0], "The node was low on resource: memory.")
            .unwrap();
        until("both are replaced", async || {
            let now = [scene.pods(&scene.stable).await, scene.pods(&scene.canary).await].concat();
            let new = now.iter().filter(|pod| !stable.contains(pod) && !canary.contains(pod)).count();
            if new >= 2 { Ok(()) } else { Err(now) }
        })
        .await;
        let report = scene.ends_well().await;
        // a node that evicts does not wait for anybody's endpoints
        let by_the_evicted = report.tally(Who::Pod(&canary[0])).lost;
        assert_eq!((report.lost() - by_the_evicted, report.refused), (0, 0), "{:?}", report.losses);
    });
}

#[test]
fn an_api_server_that_is_gone_for_a_while_stops_no_request() {
    run(async {
        // as usual: a node is not given up because the API server is away
        let options = ControlPlaneOptions::new().node_monitor_grace_period(Duration::from_secs(40));
        let control_plane = Box::leak(Box::new(ControlPlane::start(options).await.unwrap()));
        define(control_plane).await;
        let node = Box::leak(Box::new(node(control_plane.client().await.unwrap()).await));
        // endpoints follow late once it is back: they have to before a pod that was asked to stop does
        let stage = Stage::on(control_plane, node, None, "api-outage").await;
        let scene = Scene::on(stage, "canary", "8s").await;
        let began = scene.load.elapsed();
        control_plane.stop_api_server().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let ended = scene.load.elapsed();
        control_plane.start_api_server().await.unwrap();
        let served = scene.load.seen().tally_in(Who::All, began..ended);
        assert!(served.ok > 100, "{served:?}");
        scene.ends_well_without_a_loss().await;
    });
}

/// Rules that the Role of the operator has, without some.
async fn allow(stage: &Stage, rules: &[k8s_openapi::api::rbac::v1::PolicyRule]) {
    let patch = Patch::Merge(json!({"rules": rules}));
    stage.api::<Role>().patch("lifecycle-operator", &PatchParams::default(), &patch).await.unwrap();
}

#[test]
fn a_permission_that_was_taken_away_is_named_and_the_rollout_goes_on_with_it() {
    run(async {
        let mut scene = Scene::new("no-patch", "canary").await;
        let rules = scene.stage.api::<Role>().get("lifecycle-operator").await.unwrap().rules.unwrap();
        let mut fewer = rules.clone();
        for rule in fewer.iter_mut().filter(|rule| rule.resources == Some(vec!["deployments".to_owned()])) {
            rule.verbs.retain(|verb| verb != "patch");
        }
        assert_ne!(fewer, rules);
        allow(&scene.stage, &fewer).await;
        scene.is_told(("Degraded", "True", "Forbidden"), "cannot patch resource \"deployments\"").await;

        let moment = scene.stage.control_plane.moment().unwrap();
        let told = scene.history.seen().len();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let asked = scene.stage.asked(&moment).await;
        println!("forbidden: {} requests in 6 s: {:?}", asked.len(), counts(&asked));
        assert!(asked.len() <= 20, "{asked:#?}");
        for agent in &scene.history.seen()[told..] {
            assert_eq!(agent.condition("Degraded"), ("True", "Forbidden"), "it stays so");
            assert_eq!(agent.stable(), Some("1.4.0"));
        }
        assert!(scene.operator.is_alive());
        allow(&scene.stage, &rules).await;
        scene.ends_well_without_a_loss().await;
    });
}

/// Without any permission nobody can be told but by the log.
#[test]
fn an_operator_without_its_role_waits_for_it() {
    run(async {
        let mut scene = Scene::new("no-role", "canary").await;
        let role = scene.stage.kubectl(&["get", "role", "lifecycle-operator", "-o", "yaml"]);
        scene.stage.kubectl(&["delete", "role", "lifecycle-operator"]);
        until("the log tells", async || {
            let log = scene.operator.log();
            if log.contains("forbidden") { Ok(()) } else { Err(log) }
        })
        .await;
        let moment = scene.stage.control_plane.moment().unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let asked = scene.stage.asked(&moment).await;
        println!("without a role: {} requests in 6 s: {:?}", asked.len(), counts(&asked));
        assert!(asked.len() <= 30, "{asked:#?}");
        assert!(scene.operator.is_alive());
        let object = scene.stage.agent().await.status.unwrap();
        assert_eq!(object.stable.map(|stable| stable.version).as_deref(), Some("1.4.0"));

        scene.stage.apply(&role);
        scene.ends_well_without_a_loss().await;
    });
}

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
