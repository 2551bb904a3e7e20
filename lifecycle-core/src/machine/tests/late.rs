//! Wishes that were made and not sent, or sent and not seen: what was safe then may not be safe now.

use super::world::World;
use crate::backend::GroupStatus;
use crate::machine::{Action, Phase};
use crate::plan::{Amount, Hold, Mode, Plan, PlanBuilder, Weight};
use crate::time::Millis;

const SECOND: Millis = Millis(1000);

fn canary() -> Plan {
    PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::new(50).unwrap(), Millis::from_secs(600)))
        .build()
        .unwrap()
}

fn rolling() -> Plan {
    PlanBuilder::new("rolling", Mode::Ratio)
        .step(Hold::new(Weight::FULL, Millis::from_secs(60)))
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .build()
        .unwrap()
}

/// Some replicas of a version are not ready (any more).
fn ready(world: &mut World, version: &str, ready: u32) {
    let status: &mut GroupStatus = world.groups.get_mut(version).unwrap();
    (status.ready, status.available) = (ready, ready);
}

fn steps(world: &mut World, times: usize) {
    for _ in 0..times {
        world.step();
        world.now = world.now + SECOND;
    }
}

#[test]
fn a_rise_that_did_not_come_about_is_not_repeated_once_the_canary_cannot_carry_it() {
    let mut world = World::serving(canary(), 4);
    world.update("2.0.0");
    steps(&mut world, 2); // the split is taken, the canary is there
    world.mute = true;
    world.step(); // the rise is wished for, and lost
    assert!(world.actions.iter().any(|action| matches!(action, Action::Route(_))));
    ready(&mut world, "2.0.0", 0);
    world.mute = false;
    world.actions.clear();
    steps(&mut world, 5);
    assert!(!world.actions.iter().any(|action| matches!(action, Action::Route(_))), "{:?}", world.actions);
    ready(&mut world, "2.0.0", 2);
    steps(&mut world, 3);
    assert_eq!(world.weight("2.0.0"), 50);
}

#[test]
fn a_group_that_seems_to_be_gone_and_is_shown_as_it_was_before_keeps_its_newest_acknowledgement() {
    let mut world = World::serving(rolling(), 3);
    world.update("2.0.0");
    steps(&mut world, 1);
    let before = world.groups.clone();
    steps(&mut world, 3);
    let newest = world.groups.clone();
    let acked =
        |world: &World| world.state.groups.iter().find(|group| group.wish > 1).map(|group| group.acked);
    let acknowledged = acked(&world);
    assert!(acknowledged > before.get("2.0.0").map(|status| status.token), "{:?}", world.state.groups);

    world.mute = true;
    for stale in [std::collections::BTreeMap::new(), before] {
        world.groups = stale;
        world.step();
        assert_eq!(acked(&world), acknowledged);
    }
    (world.groups, world.mute) = (newest, false);
    world.run(Millis::from_secs(120));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}

#[test]
fn a_shrink_that_did_not_come_about_is_taken_back_once_it_would_cost_availability() {
    let mut world = World::serving(rolling(), 3);
    world.update("2.0.0");
    steps(&mut world, 1);
    assert_eq!(world.size("2.0.0"), 1);
    world.mute = true;
    world.step(); // 1.0.0 may shrink to 2, but that is lost
    world.mute = false;
    ready(&mut world, "2.0.0", 0);
    steps(&mut world, 6);
    assert_eq!(world.size("1.0.0"), 3, "three are needed by now");
    ready(&mut world, "2.0.0", 1);
    steps(&mut world, 8);
    assert_eq!((world.size("1.0.0"), world.size("2.0.0")), (0, 3));
}

#[test]
fn a_group_that_shall_be_empty_is_not_taken_as_empty_because_nobody_knows_it() {
    let mut world = World::serving(canary(), 2);
    world.update("2.0.0");
    steps(&mut world, 1);
    world.mute = true;
    world.step(); // a replica of 2.0.0 is wished for; the wish is on its way
    assert!(!world.groups.contains_key("2.0.0"));
    world.update("1.0.0");
    steps(&mut world, 30);
    assert_eq!(world.state.phase, Phase::Aborting, "the wish may still arrive");
    world.mute = false;
    steps(&mut world, 10);
    assert_eq!(world.state.phase, Phase::Healthy);
    assert_eq!(world.size("2.0.0"), 0);
}

#[test]
fn a_canary_with_traffic_and_nobody_to_serve_it_is_left_after_three_failed_verdicts() {
    let mut world = World::serving(canary(), 4);
    world.update("2.0.0");
    steps(&mut world, 5);
    assert_eq!(world.weight("2.0.0"), 50);
    ready(&mut world, "2.0.0", 0);
    world.groups.get_mut("2.0.0").unwrap().failed_attempts = 2;
    steps(&mut world, 3);
    assert_eq!(world.weight("2.0.0"), 50, "a replica may be on its way");
    world.groups.get_mut("2.0.0").unwrap().failed_attempts = 3;
    steps(&mut world, 2);
    assert_eq!(world.weight("2.0.0"), 0);
    assert_eq!(world.last_reason("GoingBack"), "ReadinessFailed");
}

#[test]
fn a_clock_that_jumps_shortens_no_bake() {
    let mut world = World::serving(canary(), 4);
    world.update("2.0.0");
    steps(&mut world, 10);
    world.now = world.now + Millis::from_secs(3600);
    steps(&mut world, 10);
    assert_eq!(world.state.phase, Phase::Progressing, "ten minutes have not passed");
    world.run(Millis::from_secs(600));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"));
}

#[test]
fn what_was_seen_before_a_group_was_gone_does_not_bring_it_back() {
    let mut world = World::serving(canary(), 2);
    world.update("2.0.0");
    steps(&mut world, 5);
    let stale = world.groups["2.0.0"].clone();
    world.update("1.0.0");
    steps(&mut world, 40);
    assert_eq!(world.state.phase, Phase::Healthy);
    world.groups.insert("2.0.0".into(), stale);
    world.actions.clear();
    steps(&mut world, 3);
    assert!(world.actions.is_empty(), "{:?}", world.actions);
}

#[test]
fn a_shrink_that_became_unsafe_before_it_was_sent_is_taken_back() {
    let plan = PlanBuilder::new("rolling", Mode::Ratio)
        .step(Hold::new(Weight::FULL, Millis::ZERO))
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .build()
        .unwrap();
    let mut world = World::empty(plan, 1);
    world.unready = vec!["2.0.0".into(), "3.0.0".into()];
    world.update("2.0.0");
    world.step();
    world.step();
    assert_eq!(world.size("2.0.0"), 1);
    // 2.0.0 serves nobody when 3.0.0 replaces it, and what is wished for then is lost
    world.update("3.0.0");
    world.mute = true;
    world.step();
    world.step();
    let wish = |world: &World| world.state.groups.iter().map(|group| group.wish).collect::<Vec<_>>();
    assert_eq!(wish(&world)[0], 0, "{:?}", world.state.groups);
    // by the time it would be repeated, 2.0.0 is the only one that serves
    ready(&mut world, "2.0.0", 1);
    world.unready.retain(|version| version != "2.0.0");
    world.mute = false;
    for _ in 0..3 {
        world.now = world.now + Millis(2500);
        world.step();
        assert_eq!(world.size("2.0.0"), 1);
    }
}

#[test]
fn an_observation_older_than_what_was_acknowledged_is_not_believed() {
    let mut world = World::serving(rolling(), 3);
    world.update("2.0.0");
    let before = world.groups["1.0.0"].clone();
    world.run(SECOND.times(10));
    world.step();
    let group = |world: &World| world.state.group(crate::version::RevisionNumber(1)).cloned().unwrap();
    let known = group(&world);
    assert!(known.acked > before.token && known.seen.created < before.created, "{known:?}");
    world.groups.insert("1.0.0".into(), before);
    world.step();
    assert_eq!((group(&world).acked, group(&world).seen), (known.acked, known.seen));
}
