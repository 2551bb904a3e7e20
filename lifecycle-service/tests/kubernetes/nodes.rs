//! Nodes that are lost or drained under a rollout, in a cluster of their own.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifecycle_testkit::kubernetes::load::{Load, LoadReport, Who};
use lifecycle_testkit::kubernetes::node::{Image, Loss, Node, NodeOptions};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::support::{Agent, Crew, NAME, PATIENCE, Stage, Version, define, run, until};

/// What a scheduler says of a pod that fits on no node.
const NOWHERE: &str =
    "0/2 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }";

/// Where pods leave a lost node after a second.
async fn cluster() -> &'static ControlPlane {
    static CLUSTER: OnceCell<ControlPlane> = OnceCell::const_new();
    CLUSTER
        .get_or_init(async || {
            let options = ControlPlaneOptions::new().eviction_after(Duration::from_secs(1));
            let control_plane = ControlPlane::start(options).await.unwrap();
            define(&control_plane).await;
            control_plane
        })
        .await
}

/// A node for the pods that ask for this pool.
async fn join(name: &str, pool: &str, capacity: usize) -> &'static Node {
    let image = Image::built("agent-app").unwrap().env("VERSION", "{tag}");
    let options = NodeOptions::new(name).label("pool", pool).capacity(capacity).image("agent-app", image);
    Box::leak(Box::new(Node::start(cluster().await.client().await.unwrap(), options).await.unwrap()))
}

/// A canary for this pool whose second step lasts until somebody says that it is over.
fn version(version: &'static str, pool: &str) -> Version {
    let steps = [(25, "1s"), (50, "90s"), (100, "1s")]
        .map(|(weight, bake)| json!({"setWeight": weight, "bake": bake}));
    Version::new("canary", version).unchecked().with(json!({
        "canary": {"steps": steps},
        "template": {"spec": {"nodeSelector": {"pool": pool}}},
    }))
}

/// The second step, settled.
fn is_halfway(agent: &Agent) -> bool {
    agent.status.step == 2 && agent.ready_canaries() == 2 && agent.replicas() == (4, 4)
}

/// Names of the pods that are bound to this node, or to none, and were not asked to stop.
async fn pods_on(stage: &Stage, node: Option<&str>) -> BTreeSet<String> {
    let pods = stage.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    let there = pods.into_iter().filter(|pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == node
    });
    there.filter_map(|pod| pod.metadata.name).collect()
}

/// No request was lost but those to these pods, and none since then.
fn lost_only_by(pods: &BTreeSet<String>, since: Duration, report: &LoadReport) {
    let by_them: u64 = pods.iter().map(|pod| report.tally(Who::Pod(pod)).lost).sum();
    assert_eq!((report.lost() - by_them, report.refused), (0, 0), "{report}");
    assert_eq!(report.tally_in(Who::All, since..report.lasted).lost, 0, "{report}");
}

fn order(stage: &Stage, command: &str) {
    let annotation = format!("enis.andaon.com/command={command}");
    stage.kubectl(&["annotate", "agentdeploy", NAME, "--overwrite", &annotation]);
}

async fn requests(stage: &Stage) -> Load {
    let load = stage.load(60.0).await;
    load.until(PATIENCE, |seen| seen.tally(Who::Version("1.4.0")).ok > 20).await.unwrap();
    load
}

/// Waits until nothing was lost for a second any more.
async fn until_answered(load: &Load) -> Duration {
    let span = Duration::from_secs(1);
    load.until(PATIENCE, |seen| {
        let last = seen.tally_in(Who::All, seen.lasted.saturating_sub(span)..seen.lasted + span);
        last.lost == 0 && last.ok > 20
    })
    .await
    .unwrap();
    load.elapsed()
}

#[test]
fn a_canary_whose_node_is_lost_goes_back_and_its_cause_is_told() {
    run(async {
        let (old, new) = ("canary-lost-old", "canary-lost-new");
        let stable_node = join(old, old, 1000).await;
        let canary_node = join(new, new, 1000).await;
        let stage = Stage::on(cluster().await, stable_node, None, "canary-lost").await;
        stage.service().await;
        let crew = Crew::steady(&stage).await;
        // no verdict of a probe is faster than what becomes of the node
        let patient = json!({"healthCheck": {"failureThreshold": 20}, "progressDeadline": "25s"});
        stage.deploy(&version("1.4.0", old).with(patient.clone())).await;
        let load = requests(&stage).await;
        stage.apply(&version("1.5.0", new).with(patient).manifest());
        stage.until("the middle", is_halfway).await;
        let lost = pods_on(&stage, Some(new)).await;
        assert_eq!(lost.len(), 2);

        canary_node.lose(Loss::PowerOff);
        let half = |agent: &Agent| agent.condition("Available") == ("False", "ReplicasUnavailable");
        let agent = stage.until("half of them", half).await;
        assert_eq!((agent.stable(), agent.ready_canaries()), (Some("1.4.0"), 0));
        assert!(agent.says("Available").contains("2 replicas serve, 4 wanted"), "{agent:?}");
        let since = until_answered(&load).await;

        // their replacements fit nowhere, as a scheduler finds out
        let pending = until("replacements", async || {
            let pending = pods_on(&stage, None).await;
            if pending.len() == 2 { Ok(pending) } else { Err(pending) }
        })
        .await;
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NOWHERE});
        for pod in &pending {
            let patch = Patch::Strategic(json!({"status": {"conditions": [condition]}}));
            stage.api::<Pod>().patch_status(pod, &PatchParams::default(), &patch).await.unwrap();
        }
        let told = |agent: &Agent| {
            agent.condition("Degraded") == ("True", "ReplicasFailing")
                && agent.says("Degraded").contains(NOWHERE)
        };
        let agent = stage.until("the cause", told).await;
        assert_eq!((agent.stable(), agent.phase()), (Some("1.4.0"), "deploying"));
        stage.until_told("ReplicasFailing", NOWHERE).await;

        // stable is whole again, though nobody knows what became of the lost pods
        let whole = |agent: &Agent| {
            agent.phase() == "unhealthy"
                && agent.status.stable.as_ref().is_some_and(|stable| stable.ready == 4)
        };
        let agent = stage.until("stable is whole again", whole).await;
        assert_eq!(agent.condition("Degraded"), ("True", "ProgressDeadlineExceeded"));
        assert!(agent.says("Degraded").contains("no progress"), "{agent:?}");

        canary_node.come_back();
        let agent = stage.until("the rollback", |agent| agent.went_back_to("1.4.0", 4)).await;
        assert_eq!(agent.condition("Available").0, "True", "{agent:?}");
        order(&stage, "n1 retry");
        stage.until("the middle again", is_halfway).await;
        order(&stage, "n2 promote-full");
        stage.until_serving("1.5.0", 4).await;
        crew.made(2).await;
        let report = load.stop().await;
        println!("canary-lost: {report}");
        lost_only_by(&lost, since, &report);
    });
}

/// A node with two of the pods of 1.4.0 and one that takes all others. 1.5.0 is at its second step.
async fn two_nodes(namespace: &str) -> (Stage, &'static Node, Load, Crew) {
    let small = join(&format!("{namespace}-small"), namespace, 2).await;
    let stage = Stage::on(cluster().await, small, None, namespace).await;
    stage.service().await;
    let crew = Crew::steady(&stage).await;
    let version = |name| version(name, namespace).with(json!({"progressDeadline": "60s"}));
    stage.apply(&version("1.4.0").manifest());
    until("two pods on the small node", async || {
        let (on_it, left) = (pods_on(&stage, Some(small.name())).await, pods_on(&stage, None).await);
        if (on_it.len(), left.len()) == (2, 2) { Ok(()) } else { Err((on_it, left)) }
    })
    .await;
    join(&format!("{namespace}-large"), namespace, 1000).await;
    stage.until_serving("1.4.0", 4).await;
    let load = requests(&stage).await;
    stage.apply(&version("1.5.0").manifest());
    stage.until("the middle", is_halfway).await;
    (stage, small, load, crew)
}

#[test]
fn a_node_that_is_lost_with_some_of_stable_holds_a_canary_up() {
    run(async {
        let (stage, small, load, crew) = two_nodes("stable-lost").await;
        let lost = pods_on(&stage, Some(small.name())).await;
        assert!((1..=2).contains(&lost.len()), "{lost:?}");

        small.lose(Loss::PowerOff);
        let other = format!("{}-large", stage.namespace);
        until("they are replaced", async || {
            let (left, there) =
                (pods_on(&stage, Some(small.name())).await, pods_on(&stage, Some(&other)).await);
            if left.is_empty() && there.len() == 4 { Ok(()) } else { Err((left, there)) }
        })
        .await;
        let since = until_answered(&load).await;
        let agent = Agent::new(stage.agent().await);
        assert_eq!((agent.stable(), agent.canary()), (Some("1.4.0"), Some("1.5.0")), "{agent:?}");

        small.come_back();
        stage.until("the middle again", is_halfway).await;
        order(&stage, "n1 promote-full");
        let agent = stage.until_serving("1.5.0", 4).await;
        assert_eq!(agent.condition("Ready"), ("True", "Serving"));
        crew.made(2).await;
        let report = load.stop().await;
        println!("stable-lost: {report}");
        lost_only_by(&lost, since, &report);
    });
}

#[test]
fn a_node_that_is_drained_in_the_middle_of_a_canary_costs_no_request() {
    run(async {
        let (stage, small, load, crew) = two_nodes("drained").await;
        let before = pods_on(&stage, Some(small.name())).await;
        assert!((1..=2).contains(&before.len()), "{before:?}");

        let ours = format!("--pod-selector=enis.andaon.com/agent={NAME}");
        stage.kubectl(&["drain", small.name(), &ours, "--timeout=60s"]);
        assert_eq!(pods_on(&stage, Some(small.name())).await.intersection(&before).count(), 0);
        stage.kubectl(&["uncordon", small.name()]);

        stage.until("the middle again", is_halfway).await;
        order(&stage, "n1 promote-full");
        let agent = stage.until_serving("1.5.0", 4).await;
        assert_eq!(agent.condition("Ready"), ("True", "Serving"));
        crew.made(2).await;
        let report = load.stop().await;
        println!("drained: {report}");
        lost_only_by(&BTreeSet::new(), Duration::ZERO, &report);
    });
}
