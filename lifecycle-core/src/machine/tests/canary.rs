use super::world::{World, analysis, version};
use crate::machine::{CommandKind, Outcome, PauseCause, Phase};
use crate::plan::{Hold, Mode, Plan, PlanBuilder, Retire, Weight};
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn plan(checks: &[&str]) -> Plan {
    let weight = |w| Weight::new(w).unwrap();
    PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(weight(10), minutes(30)))
        .step(Hold::new(weight(50), minutes(60)))
        .step(Hold::new(weight(100), minutes(30)))
        .analysis(analysis(checks))
        .retire(Retire::after_promotion(Millis::from_secs(30)))
        .page_on_rollback(true)
        .build()
        .unwrap()
}

fn canary() -> World {
    let mut world = World::serving(plan(&["error_rate < 1%"]), 10);
    world.run(minutes(1));
    world.update("2.0.0");
    world
}

#[test]
fn a_good_canary_is_promoted_after_its_bakes() {
    let mut world = canary();
    world.run(minutes(20));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.size("1.0.0")), (1, 10, 10));
    world.run(minutes(30));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.size("1.0.0")), (5, 50, 10));
    world.run(minutes(60));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.size("1.0.0")), (10, 100, 10));
    world.run(minutes(30));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (10, 0));
    assert_eq!(world.state.phase, Phase::Healthy);
    assert_eq!(world.wake_at, None, "nothing is left to do");
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::Promoted);
}

#[test]
fn a_gate_that_passes_and_the_first_moves_of_the_next_step_are_one_decision() {
    let mut world = canary();
    let is = |event: &crate::machine::Event, name: &str| event.kind.name() == name;
    world.step();
    while !world.has("GatePassed") {
        world.now = world.wake_at.unwrap();
        world.events.clear();
        world.step();
    }
    assert!(world.events.iter().any(|event| is(event, "StepStarted")), "{:?}", world.events);
    assert!(world.events.iter().any(|event| is(event, "Scaled")), "{:?}", world.events);
}

#[test]
fn a_failed_gate_returns_all_traffic_to_stable_in_the_same_step() {
    let mut world = canary();
    world.run(minutes(40));
    assert_eq!(world.weight("2.0.0"), 50);
    world.failing.insert("2.0.0".into(), 300);
    while world.state.phase == Phase::Progressing {
        world.now = world.wake_at.unwrap();
        world.step();
    }
    assert_eq!(world.weight("2.0.0"), 0);
    world.run(minutes(5));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (0, 10));
    assert_eq!(world.state.phase, Phase::Degraded);
    assert_eq!(world.last_reason("GoingBack"), "CheckFailed");
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
    assert!(world.has("Alerted"));
    assert_eq!(world.wake_at, None, "nothing is left to do");
}

#[test]
fn no_data_pauses_and_is_never_a_pass() {
    let mut world = canary();
    world.dark = true;
    world.run(minutes(60));
    assert_eq!(world.state.paused, Some(PauseCause::NoData));
    assert_eq!(world.weight("2.0.0"), 10);
}

#[test]
fn promote_passes_one_gate_and_promote_full_all() {
    let mut world = canary();
    world.run(minutes(1));
    world.command(CommandKind::Promote);
    world.run(minutes(1));
    assert_eq!(world.weight("2.0.0"), 50);
    world.command(CommandKind::PromoteFull);
    world.run(minutes(2));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    assert_eq!(world.size("1.0.0"), 0);
}

#[test]
fn a_paused_canary_takes_no_step_and_follows_the_desired_number() {
    let mut world = canary();
    world.run(minutes(1));
    world.command(CommandKind::Pause);
    world.desired.replicas = 20;
    world.run(minutes(100));
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0"), world.size("1.0.0")), (2, 10, 20));
    world.command(CommandKind::Resume);
    world.run(minutes(40));
    assert_eq!(world.weight("2.0.0"), 50);
}

#[test]
fn abort_and_retry_start_with_a_clean_slate() {
    let mut world = canary();
    world.run(minutes(40));
    world.failing.insert("2.0.0".into(), 300);
    world.run(minutes(1));
    assert_eq!(world.state.phase, Phase::Degraded);
    world.failing.clear();
    world.command(CommandKind::Retry);
    world.run(minutes(20));
    assert_eq!((world.state.phase, world.weight("2.0.0")), (Phase::Progressing, 10));
    world.command(CommandKind::Abort);
    world.run(minutes(1));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::Aborted);
    assert_eq!((world.size("2.0.0"), world.weight("2.0.0")), (0, 0));
}

#[test]
fn a_third_revision_goes_back_first_and_starts_from_the_first_step() {
    let mut world = canary();
    world.run(minutes(40));
    world.update("3.0.0");
    world.run(minutes(2));
    assert_eq!((world.weight("3.0.0"), world.size("3.0.0")), (10, 1));
    assert_eq!((world.weight("2.0.0"), world.size("2.0.0")), (0, 0));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
}

#[test]
fn asking_for_stable_again_ends_the_rollout() {
    let mut world = canary();
    world.run(minutes(40));
    world.update("1.0.0");
    world.run(minutes(2));
    assert_eq!(world.state.phase, Phase::Healthy);
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
    assert_eq!(world.size("2.0.0"), 0);
}

#[test]
fn rollback_after_promotion_brings_the_old_revision_back_without_gates() {
    let mut world = canary();
    world.run(minutes(130));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    world.command(CommandKind::Rollback(None));
    world.run(minutes(2));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
    assert_eq!(world.size("2.0.0"), 0);
    world.command(CommandKind::Rollback(None));
    world.run(minutes(1));
    assert!(world.has("CommandRefused"), "2.0.0 was rolled back from: there is nothing else");
    world.command(CommandKind::Rollback(Some(version("9.9.9"))));
    world.run(minutes(1));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
}

#[test]
fn a_first_deployment_takes_all_replicas_and_traffic_and_the_absolute_checks() {
    let mut world = World::empty(plan(&["error_rate < 1%", "error_rate_canary < 2x stable"]), 4);
    world.run(minutes(3));
    assert_eq!((world.size("1.0.0"), world.weight("1.0.0")), (4, 100));
    assert_eq!(world.stable(), None);
    world.run(minutes(4));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
}

#[test]
fn a_first_deployment_that_fails_has_nothing_to_go_back_to() {
    let mut world = World::empty(plan(&["error_rate < 1%"]), 4);
    world.failing.insert("1.0.0".into(), 9000);
    world.run(minutes(7));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::Failed);
    assert_eq!((world.size("1.0.0"), world.state.phase), (0, Phase::Degraded));
}

#[test]
fn the_same_command_twice_is_carried_out_once() {
    let mut world = canary();
    world.run(minutes(1));
    let command = crate::machine::Command::new("x", CommandKind::Promote);
    for _ in 0..2 {
        let seen = crate::machine::Observation { commands: vec![command.clone()], ..Default::default() };
        world.state = crate::machine::step(&world.plan, &world.state, world.now, &seen).state;
    }
    world.run(minutes(2));
    assert_eq!(world.weight("2.0.0"), 50);
}

#[test]
fn a_state_is_small_and_comes_back_from_its_text() {
    let mut world = canary();
    for (minutes_later, next) in [(140, "3.0.0"), (140, "4.0.0"), (140, "5.0.0")] {
        world.run(minutes(minutes_later));
        world.update(next);
    }
    world.run(minutes(40));
    let text = serde_json::to_string(&world.state).unwrap();
    assert!(text.len() <= 2048, "{} bytes: {text}", text.len());
    let back: crate::machine::State = serde_json::from_str(&text).unwrap();
    let unsaved = world.state.unsaved;
    assert_eq!(crate::machine::State { unsaved, ..back }, world.state);
}
