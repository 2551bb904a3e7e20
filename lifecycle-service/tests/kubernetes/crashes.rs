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

/// A write of a rollout to 1.5.0.
struct Late {
    namespace: &'static str,
    /// Words of its line.
    write: &'static [&'static str],
    /// How it is refused.
    code: u16,
    version: Version,
    /// The state of the rollout, long after it, in which another leader aborts.
    then: fn(&Agent) -> bool,
}

impl Late {
    /// The leader is stopped by its machine for longer than its Lease while the write is on its way; another one has
    /// aborted when it goes on. The API server refuses what arrives then, because it carries what it was decided on.
    async fn play(self) {
        let Self { namespace, write, code, version, then } = self;
        let stage = Stage::new(namespace).await;
        stage.service().await;
        let (mut first, wire) = stage.rival_on_a_wire("first").await;
        first.until_leading(&stage).await;
        stage.deploy(&Version::new(version.strategy, "1.4.0").unchecked()).await;
        let second = stage.rival("second").await;
        let (line, ()) = tokio::join!(wire.hold(write), async { stage.apply(&version.manifest()) });

        first.process.freeze().unwrap();
        second.until_leading(&stage).await;
        stage.until("a later step", then).await;
        stage.kubectl(&["annotate", "agentdeploy", "edge-agent", "enis.andaon.com/command=a1 abort"]);
        // with all its numbers: nothing is left to be written
        let is_back = |agent: &Agent| {
            agent.went_back_to("1.4.0", 4) && agent.says("Available").starts_with("4 replicas serve")
        };
        stage.until("the way back", is_back).await;
        // but what the cluster says of its own objects in their status
        let all = [
            "get",
            "agentdeployments,deployments,controllerrevisions,services",
            "--output=jsonpath={range .items[*]}{.kind}{.metadata.name}{.metadata.annotations}{.spec}{.data}{end}",
        ];
        let newest = async || stage.agent().await.metadata.resource_version;
        let before = (stage.kubectl(&all), newest().await);
        first.process.thaw().unwrap();
        let (status, said) = wire.let_go().await;
        println!("{line}: {status}: {said}");
        assert_eq!(status, code, "{line}: {said}");

        // it knows that it no longer leads
        until("the end of the first", async || first.process.exited().unwrap().map(drop).ok_or(())).await;
        assert_eq!((stage.kubectl(&all), newest().await), before, "{}", first.log());
    }
}

/// Of a canary that stays at its second step.
fn late_in_a_canary(namespace: &'static str, write: &'static [&'static str]) -> Late {
    let steps = serde_json::json!([{"setWeight": 25, "bake": "1s"}, {"setWeight": 50, "bake": "1h"}]);
    let slow = serde_json::json!({"canary": {"steps": steps}});
    let version = Version::new("canary", "1.5.0").unchecked().with(slow);
    Late { namespace, write, code: 409, version, then: |agent| agent.status.step == 2 }
}

#[test]
fn a_late_size_is_refused() {
    run(late_in_a_canary("late-size", &["PATCH ", "/deployments/"]).play());
}

#[test]
fn a_late_save_is_refused() {
    run(late_in_a_canary("late-save", &["PATCH ", "/agentdeployments/edge-agent/status"]).play());
}

#[test]
fn a_late_creation_is_refused() {
    run(late_in_a_canary("late-creation", &["POST ", "/deployments?"]).play());
}

#[test]
fn a_late_switch_is_refused() {
    let slow = serde_json::json!({"blueGreen": {"validate": "1s", "monitor": "1h"}});
    let version = Version::new("blue-green", "1.5.0").unchecked().with(slow);
    let write = &["PATCH ", "/services/edge-agent"];
    // a JSON patch of which a test does not hold
    let code = 422;
    let late =
        Late { namespace: "late-switch", write, code, version, then: |agent| agent.status.weight == 100 };
    run(late.play());
}
