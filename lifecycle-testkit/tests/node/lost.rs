//! Nodes that are lost and come back.

use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};
use kube::Api;
use lifecycle_local::supervise::ProcessId;
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifecycle_testkit::kubernetes::node::Loss;
use serde_json::{Value, json};

use crate::world::{World, agent, condition, container, is, name, until};

/// A pod that stays on a lost node for this long.
fn tolerant(seconds: Value) -> Value {
    let mut spec = agent("agent-app:1.0.0", json!({}));
    let tolerate = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    spec["tolerations"] =
        json!([tolerate("node.kubernetes.io/not-ready"), tolerate("node.kubernetes.io/unreachable")]);
    spec
}

async fn node_ready(world: &World, wished: &str) {
    let nodes: Api<Node> = Api::all(world.client.clone());
    until(&format!("node whose Ready is {wished}"), async || {
        let conditions = nodes.get(&world.name).await.unwrap().status.and_then(|status| status.conditions);
        let ready = conditions.iter().flatten().find(|it| it.type_ == "Ready").map(|it| it.status.clone());
        if ready.as_deref() == Some(wished) { Ok(()) } else { Err(ready) }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_unknown_and_its_pods_are_as_before_once_it_is_back() {
    let world = World::new("cut-off").await;
    world.pod("web", tolerant(json!(600))).await;
    world.container("web", "ready pod", |status| status.ready).await;
    node_ready(&world, "True").await;
    let pid = world.node.pids("cut-off", "web").unwrap();
    world.node.lose(Loss::CutOff);
    node_ready(&world, "Unknown").await;
    until("pod that is not ready", async || {
        let ready = condition(&world.get("web").await.unwrap(), "Ready");
        if ready.as_ref().is_some_and(|it| it.status == "False") { Ok(()) } else { Err(ready) }
    })
    .await;
    assert!(ProcessId::of(pid[0]).unwrap().is_alive());
    world.node.come_back();
    node_ready(&world, "True").await;
    let pod = world.ready(1).await.remove(0);
    assert_eq!((world.node.pids("cut-off", "web").unwrap(), container(&pod).restart_count), (pid, 0));
}

#[tokio::test]
async fn a_node_without_power_runs_nothing_and_starts_its_pods_again_once_it_is_back() {
    let world = World::new("power").await;
    world.pod("web", tolerant(json!(600))).await;
    world.container("web", "ready pod", |status| status.ready).await;
    world.node.lose(Loss::PowerOff);
    node_ready(&world, "Unknown").await;
    assert_eq!(world.node.pids("power", "web").unwrap(), Vec::<u32>::new());
    world.pod("pending", tolerant(json!(600))).await;
    world.node.come_back();
    let pods = world.ready(2).await;
    let web = pods.iter().find(|pod| name(pod) == "web").unwrap();
    assert_eq!(container(web).restart_count, 1);
}

#[tokio::test]
async fn pods_of_a_node_that_is_lost_for_long_are_made_anew_elsewhere() {
    let mut world = World::new("lost").await;
    let other = world.node_like("lost-2", "lost").await;
    world.selector = json!({"pool": "lost"});
    world.deploy(2, tolerant(json!(1))).await;
    let before = world.ready(2).await;
    let on = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let lost = on(&before[0]);
    let node = if lost == "lost" { &world.node } else { &other };
    node.lose(Loss::PowerOff);
    until("all ready pods on the other node", async || {
        let pods = world.pods().await;
        let moved = pods.iter().filter(|pod| on(pod) != lost && is(pod, "Ready")).count();
        if moved == 2 {
            Ok(())
        } else {
            Err(pods.iter().map(|pod| (name(pod).to_owned(), on(pod))).collect::<Vec<_>>())
        }
    })
    .await;
    node.come_back();
    // the old ones, which nobody could stop, go now
    let pods = world.ready(2).await;
    assert!(pods.iter().all(|pod| on(pod) != lost));
}

#[tokio::test]
async fn what_happened_while_the_api_server_was_away_is_told_once_it_is_back() {
    let own = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let client = own.client().await.unwrap();
    let world = World::of(client, "away", |options| options.time_scale(10.0)).await;
    world.pod("web", agent("agent-app:1.0.0", json!({}))).await;
    world.container("web", "ready pod", |status| status.ready).await;
    let before = world.node.pids("away", "web").unwrap();
    own.stop_api_server().await.unwrap();
    world.node.kill("away", "web").unwrap();
    until("another process", async || {
        let pids = world.node.pids("away", "web").unwrap();
        if pids.is_empty() || pids == before { Err(pids) } else { Ok(()) }
    })
    .await;
    own.start_api_server().await.unwrap();
    let restarted = |status: &ContainerStatus| status.ready && status.restart_count == 1;
    world.container("web", "restarted pod", restarted).await;
    world.pod("next", agent("agent-app:1.0.0", json!({}))).await;
    world.ready(2).await;
}
