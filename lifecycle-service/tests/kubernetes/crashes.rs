//! Operators that die, and two that believe to lead.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::Who;

use crate::support::{Agent, Stage, Version, run, until};

/// SIGKILL after the operator has saved something, again and again until the end, and a new operator each time.
async fn killed_all_along(stage: &Stage, strategy: &'static str) {
    stage.service().await;
    let mut operator = stage.operator_called("operator-0").await;
    stage.deploy(&Version::new(strategy, "1.4.0").unchecked()).await;
    let load = stage.load(60.0).await;
    let moment = stage.control_plane.moment().unwrap();
    stage.apply(&Version::new(strategy, "1.5.0").unchecked().manifest());
    let mut killed = 0;
    for n in 1..=4 {
        let rollout = stage.agent().await.status.and_then(|status| status.rollout);
        let ended = until("another save, or the end", async || {
            let agent = Agent::new(stage.agent().await);
            let ended = agent.is_healthy("1.5.0");
            if ended || agent.status.rollout != rollout { Ok(ended) } else { Err(agent) }
        })
        .await;
        if ended {
            break;
        }
        operator.kill();
        killed += 1;
        operator = stage.operator_called(&format!("operator-{n}")).await;
    }
    assert!(killed > 0, "it was over before one could be killed");
    stage.until_healthy("1.5.0").await;
    let agent = stage.until("nothing else runs", |agent| agent.status.current_replicas == 4).await;
    assert_eq!(agent.status.ready_replicas, 4, "{}", operator.log());
    let created = stage.control_plane.requests_since(&moment).await.unwrap();
    let created = created.iter().filter(|r| {
        r.namespace == stage.namespace && r.verb == "create" && r.resource == "deployments" && r.code == 201
    });
    assert_eq!(created.count(), 1, "the job is done once");
    let report = load.stop().await;
    if strategy != "recreate" {
        assert_eq!((report.lost(), report.refused), (0, 0), "{:?}", report.losses);
    }
    assert!(report.tally(Who::Version("1.5.0")).ok > 0);
}

#[test]
fn a_canary_survives_operators_that_are_killed() {
    run(async { killed_all_along(&Stage::new("killed-canary").await, "canary").await });
}

#[test]
fn a_rolling_update_survives_operators_that_are_killed() {
    run(async { killed_all_along(&Stage::new("killed-rolling").await, "rolling").await });
}

#[test]
fn a_blue_green_survives_operators_that_are_killed() {
    run(async { killed_all_along(&Stage::new("killed-blue-green").await, "blue-green").await });
}

#[test]
fn a_recreate_survives_operators_that_are_killed() {
    run(async { killed_all_along(&Stage::new("killed-recreate").await, "recreate").await });
}

#[test]
fn the_second_operator_takes_over_when_the_leader_is_killed() {
    run(async {
        let stage = Stage::new("two-operators").await;
        stage.service().await;
        let mut first = stage.operator_called("first").await;
        first.until_leading(&stage).await;
        let second = stage.operator_called("second").await;
        stage.deploy(&Version::new("canary", "1.4.0").unchecked()).await;
        stage.apply(&Version::new("canary", "1.5.0").unchecked().manifest());
        stage.until("the second step", |agent| agent.status.step == 2).await;
        first.kill();
        second.until_leading(&stage).await;
        let agent = stage.until_healthy("1.5.0").await;
        assert_eq!(agent.status.current_replicas, 4);
    });
}

#[test]
fn a_lease_is_given_back_by_an_operator_that_is_asked_to_end() {
    run(async {
        let stage = Stage::new("given-back").await;
        let mut first = stage.operator_called("first").await;
        first.until_leading(&stage).await;
        let second = stage.operator_called("second").await;
        let asked = std::time::Instant::now();
        first.process.terminate().unwrap();
        second.until_leading(&stage).await;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "it took {:?}, and the Lease is for 3 s",
            asked.elapsed()
        );
        until("the end of the first", async || {
            first.process.exited().unwrap().filter(|status| status.success()).map(drop).ok_or(())
        })
        .await;
    });
}

/// The leader is stopped by its machine for longer than its Lease; another one has aborted when it goes on. What
/// it still wants to write is refused by the API server, because it carries what it was decided on.
#[test]
fn a_leader_that_wakes_up_late_changes_nothing() {
    run(async {
        let stage = Stage::new("late-leader").await;
        stage.service().await;
        let mut first = stage.operator_called("first").await;
        first.until_leading(&stage).await;
        stage.deploy(&Version::new("canary", "1.4.0").unchecked()).await;
        let second = stage.operator_called("second").await;
        let steps = serde_json::json!([{"setWeight": 25, "bake": "1s"}, {"setWeight": 50, "bake": "5s"}]);
        let slow =
            Version::new("canary", "1.5.0").unchecked().with(serde_json::json!({"canary": {"steps": steps}}));
        stage.apply(&slow.manifest());
        stage.until("the second step", |agent| agent.status.step == 2).await;

        // just before its step is over and it writes the next weight
        first.process.freeze().unwrap();
        second.until_leading(&stage).await;
        stage.kubectl(&["annotate", "agentdeploy", "edge-agent", "enis.andaon.com/command=a1 abort"]);
        let aborted = stage.until("the way back", |agent| agent.phase() == "rolled_back").await;
        let before = stage.agent().await.metadata.resource_version;
        first.process.thaw().unwrap();
        until("the end of the first", async || first.process.exited().unwrap().map(drop).ok_or(())).await;

        let after = stage.agent().await;
        assert_eq!(after.metadata.resource_version, before, "{}", first.log());
        assert_eq!((aborted.stable(), aborted.status.current_replicas), (Some("1.4.0"), 4));
    });
}
