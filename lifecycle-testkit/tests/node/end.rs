//! Pods that are deleted, and nodes that end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use lifecycle_local::supervise::{HttpProbe, ProcessId};
use lifecycle_testkit::kubernetes::control_plane;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::world::{World, agent, ip, name, script, until};

#[tokio::test]
async fn a_deleted_pod_serves_through_pre_stop_and_then_gets_sigterm() {
    let world = World::new("drain").await;
    let lifecycle = json!({"preStop": {"sleep": {"seconds": 15}}});
    world.deploy(1, agent("agent-app:1.0.0", json!({"lifecycle": lifecycle}))).await;
    let pod = world.ready(1).await.remove(0);
    let local = world.node.address("drain", name(&pod)).unwrap();
    let process = process(&world, &pod);
    world.scale(0).await;
    let draining = [false, true, true];
    until("an endpoint that is serving, terminating and not ready", async || {
        let endpoints = world.endpoints().await;
        if endpoints == [(ip(&pod), draining)] { Ok(()) } else { Err(endpoints) }
    })
    .await;
    HttpProbe::new(local.to_string(), 8080, "/").ask().await.unwrap();
    let deleted = Instant::now();
    world.gone(name(&pod)).await;
    // 15 s, ten times as fast, less what passed before the endpoint was seen
    assert!(deleted.elapsed() > Duration::from_millis(500), "{:?}", deleted.elapsed());
    assert!(!process.is_alive());
}

#[tokio::test]
async fn a_container_that_ignores_sigterm_is_killed_when_its_grace_is_over() {
    let world = World::new("deaf").await;
    let mut spec = script("trap 'echo no' TERM; while :; do sleep 0.05; done");
    spec["terminationGracePeriodSeconds"] = json!(5);
    world.pod("web", spec).await;
    let pod = world.container("web", "running pod", |status| status.ready).await;
    let process = process(&world, &pod);
    let begun = Instant::now();
    world.delete("web").await;
    world.gone("web").await;
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(!process.is_alive());
    assert!(world.node.log("deaf", "web", "app").unwrap().contains("no"));
}

#[tokio::test]
async fn what_a_container_has_left_behind_ends_with_it() {
    let world = World::new("rest").await;
    // in a session of its own, which no signal to the container's group reaches
    world.pod("web", script("setsid sleep 600 & echo $!; exec sleep 601")).await;
    world.container("web", "running pod", |status| status.ready).await;
    let rest = until("the pid of what is left behind", async || {
        let log = world.node.log("rest", "web", "app").unwrap();
        log.trim().parse().ok().and_then(ProcessId::of).ok_or(log)
    })
    .await;
    assert!(rest.is_alive());
    world.delete("web").await;
    world.gone("web").await;
    assert!(!rest.is_alive());
}

#[tokio::test]
async fn nothing_runs_once_the_node_is_stopped() {
    let world = World::new("stopped").await;
    world.deploy(5, agent("agent-app:1.0.0", json!({}))).await;
    let pods = world.ready(5).await;
    let processes: Vec<ProcessId> = pods.iter().map(|pod| process(&world, pod)).collect();
    let dir = world.node.dir().to_owned();
    assert!(dir.is_dir() && processes.iter().all(|process| process.is_alive()));
    let World { client, node, .. } = world;
    node.stop().await.unwrap();
    assert!(processes.iter().all(|process| !process.is_alive()));
    assert!(!dir.exists());
    let nodes: Api<Node> = Api::all(client);
    assert!(nodes.get_opt("stopped").await.unwrap().is_none());
}

/// Set in the program that is killed, to the kubeconfig that it uses.
const VICTIM: &str = "NODE_TEST_VICTIM";

#[tokio::test]
async fn nothing_runs_once_the_program_that_has_the_node_is_killed() {
    if let Ok(kubeconfig) = std::env::var(VICTIM) {
        return victim(Path::new(&kubeconfig)).await;
    }
    let kubeconfig = World::kubeconfig().await;
    let test = "end::nothing_runs_once_the_program_that_has_the_node_is_killed";
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args([test, "--exact", "--nocapture"]).env(VICTIM, kubeconfig);
    let mut program = program.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let (processes, dir) = loop {
        let line = lines.next_line().await.unwrap().expect("the program ended before its pods ran");
        if let Some((_, found)) = line.split_once(VICTIM) {
            let (pids, dir) = found.split_once(';').unwrap();
            let pids = pids.split_whitespace().map(|pid| ProcessId::of(pid.parse().unwrap()).unwrap());
            break (pids.collect::<Vec<_>>(), PathBuf::from(dir));
        }
    };
    assert!(dir.is_dir() && processes.len() == 2 && processes.iter().all(|process| process.is_alive()));
    program.kill().await.unwrap();
    until("end of the processes", async || {
        let left = processes.iter().filter(|process| process.is_alive()).count();
        if left == 0 && !dir.exists() { Ok(()) } else { Err((left, dir.exists())) }
    })
    .await;
}

/// Runs two pods, says so, and waits for its end.
async fn victim(kubeconfig: &Path) {
    let client = control_plane::client(kubeconfig).await.unwrap();
    let world = World::of(client, "victim", |options| options).await;
    world.deploy(2, agent("agent-app:1.0.0", json!({}))).await;
    let pods = world.ready(2).await;
    let pids: Vec<String> = pods.iter().map(|pod| process(&world, pod).pid().to_string()).collect();
    println!("{VICTIM}{};{}", pids.join(" "), world.node.dir().display());
    std::future::pending().await
}

/// The process of a pod's only container.
fn process(world: &World, pod: &Pod) -> ProcessId {
    let pids = world.node.pids(&world.name, name(pod)).unwrap();
    ProcessId::of(pids[0]).unwrap()
}
