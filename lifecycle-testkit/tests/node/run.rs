//! Pods from their binding to their end.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::ContainerStatus;
use lifecycle_local::supervise::HttpProbe;
use lifecycle_testkit::kubernetes::node::dial;
use serde_json::json;

use crate::world::{World, agent, condition, container, ip, is, name, until};

#[tokio::test]
async fn pods_of_a_deployment_get_ready_and_their_endpoints_answer() {
    let world = World::new("ready").await;
    world.deploy(3, agent("registry.example/team/agent-app:1.5.0", json!({}))).await;
    let pods = world.ready(3).await;
    let mut ips: Vec<String> = pods.iter().map(ip).collect();
    ips.sort();
    let endpoints = until("three ready endpoints", async || {
        let endpoints = world.endpoints().await;
        if endpoints.iter().filter(|(_, is)| *is == [true, true, false]).count() == 3 {
            Ok(endpoints)
        } else {
            Err(endpoints)
        }
    })
    .await;
    assert_eq!(endpoints.iter().map(|(address, _)| address.clone()).collect::<Vec<_>>(), ips);
    for pod in &pods {
        for type_ in ["PodScheduled", "Initialized", "ContainersReady", "PodReadyToStartContainers"] {
            assert!(is(pod, type_), "{type_}");
        }
        let ready = condition(pod, "Ready").unwrap();
        assert_eq!((ready.reason, ready.message), (None, None));
        let reported: Ipv4Addr = ip(pod).parse().unwrap();
        assert!(reported.octets()[0] == 10, "{reported}");
        let local = dial(reported);
        assert_eq!(world.node.address("ready", name(pod)).unwrap(), local);
        HttpProbe::new(local.to_string(), 8080, "/").ask().await.unwrap();
        assert!(
            world
                .node
                .log("ready", name(pod), "app")
                .unwrap()
                .contains(&format!("agent-app 1.5.0 on {local}:8080"))
        );
        let status = container(pod);
        assert_eq!((status.restart_count, status.ready, status.started), (0, true, Some(true)));
    }
}

#[tokio::test]
async fn a_node_that_starts_again_takes_on_the_pods_that_it_had() {
    let world = World::new("again").await;
    world.pod("web", agent("agent-app:1.0.0", json!({}))).await;
    let before = world.container("web", "ready pod", |status| status.ready).await;
    let World { client, name, node, .. } = world;
    drop(node);
    let world = World::of_existing(client, &name, |options| options.time_scale(10.0)).await;
    let restarted = |status: &ContainerStatus| status.ready && status.restart_count == 1;
    let after = world.container("web", "ready pod of the new node", restarted).await;
    assert_eq!(before.metadata.uid, after.metadata.uid);
    assert_eq!(before.status.unwrap().start_time, after.status.as_ref().unwrap().start_time);
    assert_eq!(after.status.unwrap().pod_ips.unwrap().len(), 1);
    assert_eq!(world.node.pids("again", "web").unwrap().len(), 1);
}
