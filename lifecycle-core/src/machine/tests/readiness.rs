//! Canaries that were in place and are not ready any more.

use super::world::{World, analysis};
use crate::machine::Phase;
use crate::plan::{Amount, Hold, Mode, Plan, PlanBuilder, Retire, Size, Weight};
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn canary(mode: Mode) -> Plan {
    PlanBuilder::new("canary", mode)
        .step(Hold::new(Weight::new(50).unwrap(), minutes(30)))
        .step(Hold::new(Weight::FULL, minutes(30)))
        .limits(Amount::Replicas(1), Amount::Replicas(0))
        .analysis(analysis(&["error_rate < 1%"]))
        .build()
        .unwrap()
}

fn validated() -> Plan {
    PlanBuilder::new("blue-green", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::ZERO, minutes(15)).size(Size::Share(Weight::FULL)))
        .step(Hold::new(Weight::FULL, minutes(30)))
        .analysis(analysis(&["error_rate < 1%"]))
        .retire(Retire::after_switch(minutes(60), minutes(60)))
        .progress_deadline(minutes(10))
        .build()
        .unwrap()
}

fn updated(plan: Plan, n: u32) -> World {
    let mut world = World::serving(plan, n);
    world.update("2.0.0");
    world
}

/// So many of the canary's replicas are ready; the others have failed this many verdicts.
fn ready(world: &mut World, ready: u32, failed_attempts: u32) {
    let status = world.groups.get_mut("2.0.0").unwrap();
    (status.ready, status.available, status.failed_attempts) = (ready, ready, failed_attempts);
}

#[test]
fn a_canary_that_nobody_serves_any_more_goes_back_in_every_mode() {
    for mode in [Mode::Ratio, Mode::Routed { dynamic_stable: false }, Mode::Routed { dynamic_stable: true }] {
        let mut world = updated(canary(mode), 4);
        world.run(minutes(10));
        ready(&mut world, 0, 2);
        world.run(minutes(1));
        assert_eq!(world.state.phase, Phase::Progressing, "{mode:?}: two verdicts are tolerated");
        ready(&mut world, 0, 3);
        world.run(minutes(1));
        assert_eq!(world.last_reason("GoingBack"), "ReadinessFailed", "{mode:?}");
    }
}

#[test]
fn a_canary_that_somebody_still_serves_stays() {
    let mut world = updated(canary(Mode::Routed { dynamic_stable: false }), 4);
    world.run(minutes(10));
    ready(&mut world, 1, 9);
    world.run(minutes(1));
    assert_eq!(world.state.phase, Phase::Progressing);
}

#[test]
fn what_passed_before_the_canary_lost_its_traffic_is_no_evidence() {
    let mut world = updated(canary(Mode::Ratio), 4);
    world.run(minutes(31));
    let later = |world: &mut World, seconds: u64| {
        world.now = world.now + Millis::from_secs(seconds);
        world.step();
    };
    while world.state.progress.step < 1 || world.state.progress.baked < Millis::from_secs(29 * 60 + 50) {
        later(&mut world, 10);
    }
    // seconds before the bake is over, and before the next look, nobody is ready for a moment
    later(&mut world, 5);
    ready(&mut world, 0, 0);
    later(&mut world, 1);
    world.dark = true;
    ready(&mut world, 4, 0);
    for _ in 0..9 {
        later(&mut world, 1);
    }
    assert_eq!((world.state.phase, world.state.progress.step), (Phase::Progressing, 1));
    assert!(world.state.progress.baked < minutes(30), "{}", world.state.progress.baked);
}

#[test]
fn validation_starts_anew_when_a_replica_is_not_ready() {
    let mut world = updated(validated(), 4);
    world.run(minutes(14));
    ready(&mut world, 3, 1);
    world.step();
    ready(&mut world, 4, 0);
    world.run(minutes(14));
    assert_eq!(world.weight("2.0.0"), 0, "14 minutes since all of it was ready");
    world.run(minutes(2));
    assert_eq!(world.weight("2.0.0"), 100);
}

#[test]
fn validation_that_starts_anew_for_ever_ends_by_its_deadline() {
    let mut world = updated(validated(), 4);
    for _ in 0..60 {
        world.run(Millis::from_secs(30));
        ready(&mut world, 3, 1);
        world.run(Millis::from_secs(30));
        if world.has("GoingBack") {
            break;
        }
        ready(&mut world, 4, 0);
    }
    assert_eq!(world.last_reason("GoingBack"), "ProgressDeadlineExceeded");
}

#[test]
fn what_is_the_matter_with_the_replicas_is_part_of_why_it_goes_back() {
    let trouble = "image app:2.0.0 cannot be pulled";
    let says = |world: &World| {
        let back = world.events.iter().find(|event| event.kind.name() == "GoingBack").unwrap();
        back.kind.message()
    };
    // one that was in place fails its verdicts; one that never comes up makes no progress
    for (failed_attempts, why) in
        [(3, "a new replica failed its readiness verdict 3 times"), (0, "no progress for 10m")]
    {
        let mut world = updated(validated(), 4);
        if failed_attempts == 0 {
            world.unready.push("2.0.0".to_owned());
        }
        world.run(Millis::from_secs(60));
        world.groups.get_mut("2.0.0").unwrap().trouble = Some(trouble.to_owned());
        ready(&mut world, 0, failed_attempts);
        world.run(minutes(12));
        assert!(says(&world).starts_with(&format!("{why}: {trouble}; ")), "{}", says(&world));
        let ended = world.state.last.as_ref().expect("it has ended");
        assert_eq!(*ended.reason, format!("{why}: {trouble}"));
    }
}
