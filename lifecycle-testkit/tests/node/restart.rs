//! Containers that end by themselves, or that their probes end.

use k8s_openapi::api::core::v1::ContainerStatus;
use serde_json::json;

use crate::world::{World, agent, container, is, script, until};

fn reason(status: &ContainerStatus) -> Option<&str> {
    status.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

#[tokio::test]
async fn a_container_that_crashes_is_restarted_at_once_and_then_after_a_back_off() {
    let world = World::with("crash", |options| options.time_scale(20.0)).await;
    world.pod("web", script("exit 3")).await;
    let in_loop =
        |status: &ContainerStatus| status.restart_count == 1 && reason(status) == Some("CrashLoopBackOff");
    let pod = world.container("web", "back-off after the first restart", in_loop).await;
    let message = container(&pod).state.unwrap().waiting.unwrap().message.unwrap();
    assert!(
        message.starts_with("back-off 500ms restarting failed container=app pod=web_crash("),
        "{message}"
    );
    let last = container(&pod).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    assert_eq!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    assert!(!is(&pod, "Ready"));
    world.container("web", "third restart", |status| status.restart_count == 3).await;
}

#[tokio::test]
async fn a_killed_container_comes_back_with_the_same_address() {
    let world = World::new("killed").await;
    world.pod("web", agent("agent-app:1.0.0", json!({}))).await;
    let before = world.container("web", "ready pod", |status| status.ready).await;
    let pid = world.node.pids("killed", "web").unwrap();
    world.node.kill("killed", "web").unwrap();
    let restarted = |status: &ContainerStatus| status.ready && status.restart_count == 1;
    let after = world.container("web", "restarted pod", restarted).await;
    let last = container(&after).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.signal), (137, Some(9)));
    assert_eq!(after.status.as_ref().unwrap().pod_ip, before.status.as_ref().unwrap().pod_ip);
    assert_ne!(world.node.pids("killed", "web").unwrap(), pid);
    let missing = world.node.kill("killed", "other").unwrap_err().to_string();
    assert_eq!(missing, "node killed has no pod killed/other");
}

#[tokio::test]
async fn a_container_that_fails_its_liveness_probe_is_terminated_and_started_again() {
    let world = World::new("liveness").await;
    let liveness =
        json!({"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2});
    world.pod("web", agent("agent-app:1.0.0", json!({"livenessProbe": liveness}))).await;
    world.container("web", "ready pod", |status| status.ready).await;
    world.node.fail_probes("liveness", "web", lifecycle_testkit::kubernetes::node::ProbeKind::Liveness);
    let pod = world.container("web", "restart", |status| status.restart_count >= 1).await;
    // it ended by SIGTERM, in its grace
    let last = container(&pod).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.signal), (0, None));
    world.node.heal_probes("liveness", "web");
    world.container("web", "ready pod after the restart", |status| status.ready).await;
}

#[tokio::test]
async fn a_container_is_not_ready_before_its_startup_probe_and_ends_when_that_takes_too_long() {
    let world = World::new("startup").await;
    let startup = |failures: u32| {
        let probe = json!({"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": failures});
        json!({"startupProbe": probe, "env": [{"name": "READY_AFTER", "value": "1s"}]})
    };
    world.pod("slow", agent("agent-app:1.0.0", startup(100))).await;
    world.pod("late", agent("agent-app:1.0.0", startup(3))).await;
    let begun = |status: &ContainerStatus| {
        status.started == Some(false) && status.state.as_ref().unwrap().running.is_some()
    };
    let pod = world.container("slow", "running pod that has not started", begun).await;
    assert!(!is(&pod, "Ready"));
    let started = |status: &ContainerStatus| status.started == Some(true) && status.ready;
    let pod = world.container("slow", "started pod", started).await;
    assert_eq!(container(&pod).restart_count, 0);
    world.container("late", "restart for want of a start", |status| status.restart_count >= 1).await;
}

#[tokio::test]
async fn the_restart_policy_decides_who_is_started_again() {
    let world = World::with("policy", |options| options.time_scale(50.0)).await;
    for (name, policy, code) in [("done", "OnFailure", 0), ("broken", "Never", 2), ("tries", "OnFailure", 2)]
    {
        let mut spec = script(&format!("exit {code}"));
        spec["restartPolicy"] = json!(policy);
        world.pod(name, spec).await;
    }
    let phase = async |name: &str, wished: &str| {
        until(&format!("{name} {wished}"), async || {
            let phase = world.get(name).await.and_then(|pod| pod.status?.phase);
            if phase.as_deref() == Some(wished) { Ok(()) } else { Err(phase) }
        })
        .await;
    };
    phase("done", "Succeeded").await;
    phase("broken", "Failed").await;
    world.container("tries", "restart", |status| status.restart_count >= 2).await;
    phase("tries", "Running").await;
    assert_eq!(container(&world.get("broken").await.unwrap()).restart_count, 0);
}
