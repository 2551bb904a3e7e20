//! Operators that die, and two that believe to lead.

use crate::support::{Agent, Crew, Stage, Version, run, until};
use crate::{orders, strategies};

/// Plays a scenario with operators that are killed in its middle.
fn survived(namespace: &str, scenario: impl AsyncFnOnce(&Stage, Crew)) {
    run(async {
        let stage = Stage::new(namespace).await;
        scenario(&stage, Crew::mortal(&stage).await).await;
    });
}

#[test]
fn a_canary_survives_operators_that_are_killed() {
    survived("killed-canary", strategies::good_canary);
}

#[test]
fn a_bad_canary_is_rolled_back_by_operators_that_are_killed() {
    survived("killed-canary-bad", strategies::bad_canary);
}

#[test]
fn a_rolling_update_survives_operators_that_are_killed() {
    survived("killed-rolling", strategies::good_rolling_update);
}

#[test]
fn an_unready_rolling_update_is_rolled_back_by_operators_that_are_killed() {
    survived("killed-rolling-bad", strategies::unready_rolling_update);
}

#[test]
fn a_blue_green_survives_operators_that_are_killed() {
    survived("killed-blue-green", strategies::good_blue_green);
}

#[test]
fn a_bad_blue_green_is_switched_back_by_operators_that_are_killed() {
    survived("killed-blue-green-bad", strategies::bad_blue_green);
}

#[test]
fn a_recreate_survives_operators_that_are_killed() {
    survived("killed-recreate", strategies::good_recreate);
}

#[test]
fn first_deployments_survive_operators_that_are_killed() {
    survived("killed-first", strategies::first_deployments);
}

#[test]
fn what_people_order_is_carried_out_once_by_operators_that_are_killed() {
    survived("killed-orders", orders::pause_scale_resume_abort_retry_promote);
}

#[test]
fn a_rollback_to_a_version_survives_operators_that_are_killed() {
    survived("killed-rollback", orders::rollback_to_a_version);
}

#[test]
fn a_superseded_rollout_survives_operators_that_are_killed() {
    survived("killed-supersede", orders::supersede);
}

/// Sizes of a canary of four replicas after the first one.
const MOVES: usize = 7;

#[test]
fn the_second_operator_takes_over_when_the_leader_is_killed() {
    run(async {
        let stage = Stage::new("two-operators").await;
        stage.service().await;
        let moment = stage.control_plane.moment().unwrap();
        let mut first = stage.rival("first").await;
        first.until_leading(&stage).await;
        let second = stage.rival("second").await;
        stage.deploy(&Version::new("canary", "1.4.0").unchecked()).await;
        stage.apply(&Version::new("canary", "1.5.0").unchecked().manifest());
        stage.until("the second step", |agent| agent.status.step == 2).await;
        first.kill();
        second.until_leading(&stage).await;
        stage.until_serving("1.5.0", 4).await;

        // once: no revision was made twice, and no step was gone twice
        let mut asked = stage.asked(&moment).await;
        asked.retain(|request| request.resource == "deployments" && request.code < 300 && !request.is_list());
        let made = asked.iter().filter(|request| request.verb == "create").count();
        let moved = asked.iter().filter(|request| request.verb == "patch").count();
        // 1.5.0 begins with 1; then 1.4.0 to 3, 1.5.0 to 2, 1.4.0 to 2, 1.5.0 to 3, and so on, one after the other
        assert_eq!((made, moved, asked.len()), (2, MOVES, 2 + MOVES), "{asked:#?}");
    });
}

/// The leader is stopped by its machine for longer than its Lease while a write of its is on its way; another one has
/// aborted when it goes on. The API server refuses what arrives then, because it carries what it was decided on.
async fn late(namespace: &str, write: &'static [&'static str]) {
    let stage = Stage::new(namespace).await;
    stage.service().await;
    let (mut first, wire) = stage.rival_on_a_wire("first").await;
    first.until_leading(&stage).await;
    stage.deploy(&Version::new("canary", "1.4.0").unchecked()).await;
    let second = stage.rival("second").await;
    let steps = serde_json::json!([{"setWeight": 25, "bake": "1s"}, {"setWeight": 50, "bake": "1h"}]);
    let slow =
        Version::new("canary", "1.5.0").unchecked().with(serde_json::json!({"canary": {"steps": steps}}));
    let (line, ()) = tokio::join!(wire.hold(write), async { stage.apply(&slow.manifest()) });

    first.process.freeze().unwrap();
    second.until_leading(&stage).await;
    stage.until("the second step", |agent| agent.status.step == 2).await;
    stage.kubectl(&["annotate", "agentdeploy", "edge-agent", "enis.andaon.com/command=a1 abort"]);
    // with all its numbers: nothing is left to be written
    let is_back = |agent: &Agent| {
        agent.went_back_to("1.4.0", 4) && agent.says("Available").starts_with("4 replicas serve")
    };
    let before = stage.until("the way back", is_back).await.object.metadata.resource_version;
    let deployments = stage.kubectl(&["get", "deployments", "-o", "yaml"]);
    first.process.thaw().unwrap();
    let (status, said) = wire.let_go().await;
    println!("{line}: {status}: {said}");
    assert_eq!(status, 409, "{line}: {said}");

    // it knows that it no longer leads
    until("the end of the first", async || first.process.exited().unwrap().map(drop).ok_or(())).await;
    assert_eq!(stage.agent().await.metadata.resource_version, before, "{}", first.log());
    assert_eq!(stage.kubectl(&["get", "deployments", "-o", "yaml"]), deployments, "{}", first.log());
}

#[test]
fn a_late_size_is_refused() {
    run(late("late-size", &["PATCH ", "/deployments/"]));
}

#[test]
fn a_late_save_is_refused() {
    run(late("late-save", &["/agentdeployments/edge-agent/status"]));
}

#[test]
fn a_late_creation_is_refused() {
    run(late("late-creation", &["POST ", "/deployments?"]));
}
