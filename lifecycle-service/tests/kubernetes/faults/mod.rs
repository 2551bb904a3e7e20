//! What happens to a cluster in the middle of a rollout: things edited, deleted, taken away and given back. The cause
//! is told, requests go on being answered, and so does the rollout.

mod deleted;
mod edited;
mod taken;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use lifecycle_k8s::crd::RevisionStatus;
use lifecycle_testkit::kubernetes::load::{Load, LoadReport, Who};
use serde_json::json;

use crate::support::{Agent, History, NAME, Operator, PATIENCE, Stage, Version};

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
