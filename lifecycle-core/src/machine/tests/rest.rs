//! What waits while nothing is on its way, and what begins after a long rest.

use super::world::{World, analysis};
use crate::backend::{AlertKind, HookOutcome, HookPoint};
use crate::machine::{Action, CommandKind, Outcome, Phase};
use crate::plan::{Amount, Hold, Mode, Plan, PlanBuilder, PlannedHook, Weight};
use crate::report;
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn builder() -> PlanBuilder {
    PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::new(50).unwrap(), minutes(5)))
        .step(Hold::new(Weight::FULL, minutes(5)))
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .analysis(analysis(&["error_rate < 1%"]))
        .progress_deadline(Millis::from_secs(30))
}

fn plan() -> Plan {
    builder().build().unwrap()
}

/// 1.0.0 serves, 2.0.0 was promoted over it.
fn promoted() -> World {
    let mut world = World::serving(plan(), 4);
    world.update("2.0.0");
    world.run(minutes(15));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    world
}

#[test]
fn the_time_before_a_rollout_is_no_part_of_its_deadline() {
    for rest in [31, 60, 90, 115] {
        let mut world = World::serving(plan(), 4);
        world.step();
        world.now = world.now + Millis::from_secs(rest);
        world.update("2.0.0");
        world.step();
        assert_eq!(world.state.phase, Phase::Progressing, "after {rest} s");
        assert_eq!(world.state.progress.stalled, Millis::ZERO, "after {rest} s");
    }
}

#[test]
fn a_spec_that_comes_while_paused_waits_and_starts_with_resume() {
    for pause_by_spec in [true, false] {
        let mut world = promoted();
        world.update("3.0.0");
        if pause_by_spec {
            world.desired = world.desired.clone().paused(true);
        } else {
            world.command(CommandKind::Pause);
            world.step();
        }
        world.run(minutes(5));
        assert_eq!(report::outcome(&world.state).0, "paused");
        assert_eq!(report::wire_phase(&world.state), report::WirePhase::Paused);
        world.command(CommandKind::Resume);
        world.run(minutes(15));
        assert_eq!(world.stable().as_deref(), Some("3.0.0"), "paused by spec: {pause_by_spec}");
    }
}

#[test]
fn a_spec_for_what_is_promoted_just_now_is_acted_on() {
    let mut world = promoted();
    world.command(CommandKind::Rollback(None));
    world.mute = true;
    world.step();
    world.update("1.0.0");
    world.mute = false;
    world.run(minutes(15));
    assert_eq!(world.state.acted_on.as_deref(), Some("1.0.0"));
}

#[test]
fn between_a_rollout_and_the_one_that_supersedes_it_nobody_is_told_of_health() {
    let plan = PlanBuilder::new("rolling", Mode::Ratio)
        .step(Hold::new(Weight::FULL, minutes(5)))
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .build()
        .unwrap();
    let mut world = World::serving(plan, 3);
    world.update("2.0.0");
    world.run(minutes(1));
    world.update("3.0.0");
    for _ in 0..3 {
        world.step();
        assert_eq!(report::wire_phase(&world.state), report::WirePhase::Progressing);
    }
}

#[test]
fn a_rollback_without_a_version_does_not_go_further_back_than_what_serves() {
    let mut world = promoted();
    world.update("3.0.0");
    world.failing.insert("3.0.0".into(), 9_000);
    world.run(minutes(10));
    assert_eq!((world.state.phase, world.stable().as_deref()), (Phase::Degraded, Some("2.0.0")));
    world.command(CommandKind::Rollback(None));
    world.run(minutes(10));
    assert!(world.has("CommandRefused"));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}

#[test]
fn the_version_that_a_rollback_left_is_come_back_to_by_name_alone() {
    let mut world = promoted();
    world.command(CommandKind::Rollback(None));
    world.run(minutes(5));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"));
    world.command(CommandKind::Rollback(None));
    world.run(minutes(5));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"), "there is nothing older");
    world.command(CommandKind::Rollback(Some(super::world::version("2.0.0"))));
    world.run(minutes(5));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}

#[test]
fn every_rollback_is_told_with_deployment_reason_and_strategy_under_a_key_of_its_own() {
    let mut world = promoted();
    world.desired = world.desired.clone().named("edge-agent");
    world.command(CommandKind::Rollback(None));
    world.run(minutes(5));
    world.update("3.0.0");
    world.failing.insert("3.0.0".into(), 9_000);
    world.run(minutes(5));
    let mut alerts: Vec<_> = world
        .actions
        .iter()
        .filter_map(|action| if let Action::Notify(alert) = action { Some(alert.clone()) } else { None })
        .collect();
    alerts.dedup();
    let keys: Vec<&str> = alerts.iter().map(|alert| &*alert.key.0).collect();
    assert_eq!(keys, ["edge-agent/2/0/RolledBack/1", "edge-agent/3/0/RolledBack/2"]);
    for alert in &alerts {
        assert_eq!(
            (alert.kind, &*alert.deployment, &*alert.strategy),
            (AlertKind::RolledBack, "edge-agent", "canary")
        );
    }
    assert_eq!(
        alerts[0].message,
        "deployment_rolled_back: edge-agent 2.0.0 (canary): the command rollback was given"
    );
}

#[test]
fn a_first_deployment_that_fails_is_told_as_such() {
    let mut world = World::empty(plan(), 2);
    world.update("1.0.0");
    world.failing.insert("1.0.0".into(), 9_000);
    world.run(minutes(10));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::Failed);
    let failed = world
        .actions
        .iter()
        .any(|action| matches!(action, Action::Notify(alert) if alert.kind == AlertKind::Failed));
    assert!(failed);
}

#[test]
fn a_hook_that_is_never_answered_fails_after_its_timeout() {
    for point in [HookPoint::PreDeploy, HookPoint::Smoke, HookPoint::PostSwitch, HookPoint::PostPhase] {
        let hook = PlannedHook::new(point, "http://hook".into(), Millis::from_secs(10), true);
        let mut world = World::serving(builder().hook(hook).build().unwrap(), 4);
        world.hook_answer = HookOutcome::Pending;
        world.update("2.0.0");
        world.run(minutes(20));
        assert_eq!(world.last_reason("GoingBack"), "HookFailed", "{point}");
        assert_eq!(world.stable().as_deref(), Some("1.0.0"), "{point}");
    }
}

#[test]
fn what_a_command_promoted_does_not_claim_that_its_gates_passed() {
    let mut world = World::serving(plan(), 4);
    world.update("2.0.0");
    world.run(minutes(1));
    world.command(CommandKind::Promote);
    world.run(minutes(15));
    assert_eq!(report::outcome(&world.state), ("promoted", "2.0.0 was promoted by command".to_owned()));
    assert_eq!(report::outcome(&promoted().state).1, "every gate of 2.0.0 passed");
}
