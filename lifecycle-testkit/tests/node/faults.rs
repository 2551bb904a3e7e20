//! Readiness that fails, is held, or ends with an eviction; pods without processes.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{EvictParams, ListParams};
use lifecycle_testkit::kubernetes::node::{Mode, ProbeKind};
use serde_json::json;

use crate::world::{World, agent, condition, container, ip, is, name, until};

#[tokio::test]
async fn a_pod_that_fails_its_readiness_probe_leaves_the_ready_endpoints_and_comes_back() {
    let world = World::new("readiness").await;
    world.deploy(2, agent("agent-app:1.0.0", json!({}))).await;
    let pods = world.ready(2).await;
    let ready = async |wished: &[&Pod]| {
        let mut wished: Vec<String> = wished.iter().map(|pod| ip(pod)).collect();
        wished.sort();
        until("these ready endpoints", async || {
            let endpoints = world.endpoints().await;
            let ready = endpoints.iter().filter(|(_, is)| is[0]).map(|(address, _)| address.clone());
            if ready.eq(wished.iter().cloned()) { Ok(()) } else { Err(endpoints) }
        })
        .await;
    };
    ready(&[&pods[0], &pods[1]]).await;
    world.node.fail_probes("readiness", name(&pods[0]), ProbeKind::Readiness);
    ready(&[&pods[1]]).await;
    let pod = world.get(name(&pods[0])).await.unwrap();
    let why = condition(&pod, "Ready").unwrap();
    assert_eq!(why.message.as_deref(), Some("containers with unready status: [app]"));
    assert_eq!(container(&pod).restart_count, 0);
    world.node.heal_probes("readiness", name(&pods[0]));
    ready(&[&pods[0], &pods[1]]).await;
}

#[tokio::test]
async fn while_readiness_is_held_nothing_gets_ready_and_nothing_ceases_to_be() {
    let world = World::new("held").await;
    world.pod("before", agent("agent-app:1.0.0", json!({}))).await;
    world.container("before", "ready pod", |status| status.ready).await;
    world.node.hold_readiness();
    world.node.fail_probes("held", "before", ProbeKind::Readiness);
    world.pod("probed", agent("agent-app:1.0.0", json!({}))).await;
    world.pod("plain", crate::world::script("exec sleep 60")).await;
    for pod in ["probed", "plain"] {
        let running = world.container(pod, "started pod", |status| status.started == Some(true)).await;
        assert!(!is(&running, "Ready"));
    }
    assert!(is(&world.get("before").await.unwrap(), "Ready"));
    world.node.heal_probes("held", "before");
    world.node.release_readiness();
    world.ready(3).await;
}

#[tokio::test]
async fn an_evicted_pod_fails_and_its_deployment_makes_another() {
    let world = World::new("evict").await;
    world.deploy(1, agent("agent-app:1.0.0", json!({}))).await;
    let old = world.ready(1).await.remove(0);
    world.node.evict("evict", name(&old), "The node was low on resource: memory.").unwrap();
    let evicted = until("failed pod", async || {
        let pod = world.get(name(&old)).await.unwrap();
        if pod.status.as_ref().unwrap().phase.as_deref() == Some("Failed") {
            Ok(pod)
        } else {
            Err(pod.status)
        }
    })
    .await;
    let status = evicted.status.as_ref().unwrap();
    assert_eq!(status.reason.as_deref(), Some("Evicted"));
    assert_eq!(status.message.as_deref(), Some("The node was low on resource: memory."));
    assert!(is(&evicted, "DisruptionTarget") && !is(&evicted, "Ready"));
    until("another ready pod", async || {
        let pods = world.pods().await;
        let other = pods.iter().find(|pod| name(pod) != name(&old) && is(pod, "Ready"));
        other.map(|_| ()).ok_or(pods.len())
    })
    .await;
    world.delete(name(&old)).await;
    world.gone(name(&old)).await;
    world.ready(1).await;
}

#[tokio::test]
async fn the_eviction_api_ends_a_pod_and_its_deployment_makes_another() {
    let world = World::new("eviction-api").await;
    world.deploy(2, agent("agent-app:1.0.0", json!({}))).await;
    let old = world.ready(2).await.remove(0);
    world.api::<Pod>().evict(name(&old), &EvictParams::default()).await.unwrap();
    world.gone(name(&old)).await;
    world.ready(2).await;
}

#[tokio::test]
async fn two_hundred_pods_without_processes_are_ready_in_seconds() {
    let world =
        World::with("marked", |options| options.mode(Mode::MarkReady { after: Duration::ZERO })).await;
    let (begun, moment) = (Instant::now(), World::moment().await);
    world.deploy(200, agent("no-such-image:1.0.0", json!({}))).await;
    let deployments = world.api::<k8s_openapi::api::apps::v1::Deployment>();
    until("200 available replicas", async || {
        let status = deployments.get("web").await.unwrap().status.unwrap_or_default();
        if status.available_replicas == Some(200) { Ok(()) } else { Err(status) }
    })
    .await;
    let ready = begun.elapsed();
    let mut ips: Vec<String> = world.pods().await.iter().map(ip).collect();
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 200);
    let begun = Instant::now();
    world.scale(0).await;
    until("the end of 200 pods", async || {
        let left = world.api::<Pod>().list_metadata(&ListParams::default()).await.unwrap().items.len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    let asked = world.requests_since(&moment).await;
    for (verb, resource) in [("create", "pods/binding"), ("patch", "pods/status"), ("delete", "pods")] {
        assert_eq!(
            asked.get(&(verb.to_owned(), resource.to_owned())),
            Some(&200),
            "{verb} {resource}: {asked:?}"
        );
    }
    println!(
        "200 pods: ready after {:.1} s, gone after {:.1} s",
        ready.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
}
