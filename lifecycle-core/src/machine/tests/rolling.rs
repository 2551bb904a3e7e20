use super::world::{World, analysis};
use crate::machine::{CommandKind, Outcome, Phase};
use crate::plan::{Amount, Hold, Mode, Plan, PlanBuilder, Weight};
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn plan(surge: u32, unavailable: u32) -> Plan {
    PlanBuilder::new("rolling", Mode::Ratio)
        .step(Hold::new(Weight::FULL, minutes(5)))
        .limits(Amount::Replicas(surge), Amount::Replicas(unavailable))
        .analysis(analysis(&["error_rate < 5%"]))
        .readiness_attempts(3)
        .build()
        .unwrap()
}

fn rolling(n: u32) -> World {
    let mut world = World::serving(plan(1, 0), n);
    world.update("2.0.0");
    world
}

#[test]
fn replicas_are_replaced_one_by_one_and_promoted_after_the_window() {
    let mut world = rolling(3);
    let mut seen = Vec::new();
    for _ in 0..12 {
        world.step();
        world.now = world.now + Millis(100);
        let sizes = (world.size("2.0.0"), world.size("1.0.0"));
        if seen.last() != Some(&sizes) {
            seen.push(sizes);
        }
    }
    assert_eq!(seen, [(1, 3), (1, 2), (2, 2), (2, 1), (3, 1), (3, 0)]);
    assert_eq!(world.state.phase, Phase::Progressing);
    world.run(minutes(6));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::Promoted);
    assert_eq!(world.wake_at, None);
}

#[test]
fn a_router_that_comes_in_the_middle_is_asked_to_balance() {
    let mut world = rolling(3);
    world.step();
    assert_eq!(world.route, None);
    world.route = Some(None);
    world.run(minutes(6));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
    let route = world.route.flatten().map(|status| status.route);
    assert_eq!(route, Some(crate::backend::Route::Balanced));
}

#[test]
fn a_version_that_never_gets_ready_is_rolled_back() {
    let mut world = rolling(3);
    world.unready.push("2.0.0".into());
    world.run(minutes(2));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (0, 3));
    assert_eq!(world.last_reason("GoingBack"), "ReadinessFailed");
}

#[test]
fn a_bad_version_is_rolled_back_in_the_middle() {
    let mut world = rolling(3);
    world.failing.insert("2.0.0".into(), 2000);
    world.run(minutes(4));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (0, 3));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
}

#[test]
fn a_newer_version_takes_over_from_where_the_replicas_are() {
    let mut world = rolling(6);
    for _ in 0..4 {
        world.step();
        world.now = world.now + Millis(100);
    }
    let before = world.size("2.0.0");
    assert!(before > 0 && world.size("1.0.0") > 0);
    world.update("3.0.0");
    world.run(minutes(7));
    assert_eq!((world.size("1.0.0"), world.size("2.0.0"), world.size("3.0.0")), (0, 0, 6));
    assert_eq!(world.stable().as_deref(), Some("3.0.0"));
}

#[test]
fn a_paused_replacement_stays_where_it_is_and_scales_in_proportion() {
    let mut world = rolling(4);
    for _ in 0..4 {
        world.step();
        world.now = world.now + Millis(100);
    }
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (2, 2));
    world.command(CommandKind::Pause);
    world.run(minutes(1));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (2, 2));
    world.command(CommandKind::Scale(8));
    world.run(minutes(1));
    assert_eq!(world.size("2.0.0") + world.size("1.0.0"), 9, "8 and the surge");
    world.command(CommandKind::Resume);
    world.run(minutes(7));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (8, 0));
}

#[test]
fn rollback_in_the_middle_ends_with_stable_whole() {
    let mut world = rolling(5);
    for _ in 0..5 {
        world.step();
        world.now = world.now + Millis(100);
    }
    world.command(CommandKind::Rollback(None));
    world.run(minutes(1));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (0, 5));
    assert_eq!(world.state.last.as_ref().unwrap().outcome, Outcome::RolledBack);
}

#[test]
fn a_single_replica_is_replaced_without_surge() {
    let mut world = World::serving(plan(0, 1), 1);
    world.update("2.0.0");
    world.run(minutes(6));
    assert_eq!((world.size("2.0.0"), world.size("1.0.0")), (1, 0));
}

#[test]
fn replicas_follow_the_spec_at_rest() {
    let mut world = World::serving(plan(1, 0), 3);
    world.desired.replicas = 7;
    world.run(minutes(1));
    assert_eq!(world.size("1.0.0"), 7);
    world.desired.replicas = 2;
    world.run(minutes(1));
    assert_eq!(world.size("1.0.0"), 2);
    assert_eq!(world.wake_at, None);
}
