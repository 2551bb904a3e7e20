//! What the machine makes of the forms that a check may have.

use super::world::{World, analysis};
use crate::analysis::{AnalysisPlan, Sequential};
use crate::backend::Histogram;
use crate::machine::{Action, Arm, PauseCause, Phase};
use crate::plan::{Hold, Mode, Plan, PlanBuilder, Retire, Weight};
use crate::stats::Alpha;
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

fn plan(checks: &[&str]) -> Plan {
    plan_by(analysis(checks))
}

fn plan_by(analysis: AnalysisPlan) -> Plan {
    let weight = |w| Weight::new(w).unwrap();
    PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(weight(10), minutes(20)))
        .step(Hold::new(weight(100), minutes(20)))
        .analysis(analysis)
        .retire(Retire::after_promotion(Millis::from_secs(30)))
        .build()
        .unwrap()
}

/// 1.0.0 serves, and 2.0.0 comes.
fn canary(checks: &[&str]) -> World {
    let mut world = World::serving(plan(checks), 10);
    world.run(minutes(10));
    world.update("2.0.0");
    world
}

#[test]
fn a_rate_is_judged_when_its_window_is_whole_and_not_before() {
    // 10,000 requests in each window of 5 minutes
    let mut world = canary(&["request_rate > 34/s"]);
    world.run(minutes(4));
    assert_eq!(world.state.phase, Phase::Progressing, "{:?}", world.names());
    world.run(minutes(2));
    assert!(world.last_reason("GoingBack").contains("CheckFailed"), "{:?}", world.names());

    let mut world = canary(&["request_rate > 33/s", "request_rate < 2x stable"]);
    world.run(minutes(41));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());
}

#[test]
fn where_no_check_applies_the_bake_is_the_evidence() {
    // a first rollout, with nothing to compare with
    let mut world = World::empty(plan(&["error_rate < 2x stable"]), 10);
    world.run(minutes(10));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"), "{:?}", world.names());
}

#[test]
fn what_an_idle_stable_measures_is_nothing_to_compare_with() {
    // at a weight of 100 it measures 1 %, and before that 50 % like the canary
    let mut world = canary(&["saturation < 1.2x stable"]);
    world.run(minutes(41));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());
}

#[test]
fn a_check_of_stable_judges_stable_and_nobody_else() {
    let mut world = canary(&["error_rate_stable < 5%"]);
    world.failing.insert("2.0.0".into(), 9_000);
    world.run(minutes(15));
    assert_eq!(world.state.phase, Phase::Progressing, "{:?}", world.names());
    world.failing.insert("1.0.0".into(), 600);
    world.run(minutes(1));
    let reason = world.last_reason("GoingBack");
    assert!(reason.contains("CheckFailed"), "{:?}", world.names());
    let sentence = "error_rate_stable 6% is not < 5% (600 of 10000 requests)";
    let told = |event: &crate::machine::Event| event.kind.message().contains(sentence);
    assert!(world.events.iter().any(told), "{:?}", world.events);
}

#[test]
fn a_check_of_stable_asks_for_stable_alone_and_only_while_a_canary_is_judged() {
    let arms = |world: &World| {
        let later = world.state.clock.unwrap() + Millis::from_secs(10);
        let asked = crate::machine::queries(&world.plan, &world.state, later);
        asked.into_iter().map(|(arm, _)| arm).collect::<Vec<_>>()
    };
    let mut world = canary(&["error_rate_stable < 5%"]);
    assert_eq!(arms(&world), []);
    world.run(minutes(15));
    assert_eq!(arms(&world), [Arm::Stable]);
    world.run(minutes(15));
    assert_eq!((world.weight("2.0.0"), arms(&world)), (100, vec![]));
}

#[test]
fn a_check_of_stable_is_left_out_where_nobody_asks_stable() {
    // at a weight of 100
    let mut world = canary(&["error_rate_stable < 5%"]);
    world.run(minutes(25));
    assert_eq!(world.weight("2.0.0"), 100);
    world.failing.insert("1.0.0".into(), 9_000);
    world.run(minutes(20));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());

    // in a first rollout
    let mut world = World::empty(plan(&["error_rate_stable < 5%"]), 10);
    world.run(minutes(10));
    assert_eq!(world.stable().as_deref(), Some("1.0.0"), "{:?}", world.names());

    // where the replicas of stable are gone
    let rolling = PlanBuilder::new("rolling", Mode::Ratio).step(Hold::new(Weight::FULL, minutes(20)));
    let mut world =
        World::serving(rolling.analysis(analysis(&["error_rate_stable < 5%"])).build().unwrap(), 3);
    world.update("2.0.0");
    world.run(minutes(1));
    world.failing.insert("1.0.0".into(), 9_000);
    world.run(minutes(21));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());
}

#[test]
fn a_check_of_stable_that_had_no_data_holds_nobody_up_once_it_is_left_out() {
    let rolling = PlanBuilder::new("rolling", Mode::Ratio).step(Hold::new(Weight::FULL, minutes(20)));
    let plan = rolling.analysis(analysis(&["error_rate_stable < 5%"])).build().unwrap();
    let mut world = World::serving(plan, 3);
    world.update("2.0.0");
    world.unready.push("2.0.0".into());
    world.run(Millis::from_secs(1));
    world.dark = true;
    world.unready.clear();
    // 1.0.0 is asked while 2.0.0 has its first replicas
    world.mute = true;
    world.groups.get_mut("2.0.0").unwrap().ready = 1;
    world.groups.get_mut("2.0.0").unwrap().available = 1;
    world.run(Millis::from_secs(30));
    assert!(world.has("Measured"), "{:?}", world.names());
    world.mute = false;
    world.run(minutes(22));
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());
}

#[test]
fn a_check_of_stable_against_the_baseline_holds_it_against_what_it_was() {
    for (failing, promoted) in [(150, "2.0.0"), (250, "1.0.0")] {
        let mut world = World::serving(plan(&["error_rate_stable <= 2x baseline"]), 10);
        world.failing.insert("1.0.0".into(), 100);
        world.run(minutes(10));
        world.update("2.0.0");
        world.run(minutes(6));
        world.failing.insert("1.0.0".into(), failing);
        world.run(minutes(50));
        assert_eq!(world.stable().as_deref(), Some(promoted), "{failing}: {:?}", world.names());
    }
}

#[test]
fn the_same_metric_of_stable_is_stable() {
    for (failing, promoted) in [(110, "2.0.0"), (130, "1.0.0")] {
        let mut world = canary(&["error_rate_canary < 1.2x error_rate_stable"]);
        world.failing = [("1.0.0".into(), 100), ("2.0.0".into(), failing)].into();
        world.run(minutes(50));
        assert_eq!(world.stable().as_deref(), Some(promoted), "{failing}: {:?}", world.names());
    }
}

/// 2.0.0 comes, and every version has these durations; judged look by look, or by windows.
fn slow(analysis: AnalysisPlan, bounds_ms: &[u64], counts: &[u64]) -> World {
    let bounds_us: Vec<u64> = bounds_ms.iter().map(|ms| ms * 1000).collect();
    let mut world = World::serving(plan_by(analysis), 10);
    world.durations = Some(Histogram::new(bounds_us.into(), counts.to_vec()));
    world.run(minutes(10));
    world.update("2.0.0");
    world.run(minutes(50));
    world
}

fn sequential(checks: &[&str]) -> AnalysisPlan {
    AnalysisPlan { sequential: Some(Sequential::new(Alpha::DEFAULT)), ..analysis(checks) }
}

#[test]
fn a_histogram_by_which_a_latency_cannot_be_judged_is_the_reason_of_the_pause() {
    let check = |analysis: AnalysisPlan, bounds_ms: &[u64], counts: &[u64], weight: u32, sentence: &str| {
        let world = slow(analysis, bounds_ms, counts);
        assert_eq!(world.state.paused, Some(PauseCause::NoBound), "{:?}", world.names());
        assert_eq!((world.stable().as_deref(), world.weight("2.0.0")), (Some("1.0.0"), weight));
        let told = |name: &str| {
            let said = world.events.iter().filter(|event| event.kind.name() == name);
            said.map(|event| event.kind.message()).collect::<Vec<_>>()
        };
        let paused = format!("{sentence}; resume, promote or abort");
        let measured = told("Measured");
        assert!(measured.len() == 1 && measured[0].ends_with(sentence), "{measured:?}");
        assert_eq!(told("Paused").join(","), paused);
        let alerts = world.actions.iter().filter_map(|action| match action {
            Action::Notify(alert) => Some(&*alert.message),
            _ => None,
        });
        assert_eq!(alerts.collect::<Vec<_>>(), [paused]);
    };
    let no_bound = "p95_latency cannot be judged: no bound of the histogram is as high as";
    let (bounds, counts): (&[u64], &[u64]) = (&[5, 100, 500], &[5000, 2000, 1000, 2000]);
    let two_seconds = &format!("{no_bound} 2s (its bounds: 5ms to 500ms)");
    check(sequential(&["p95_latency < 2s"]), bounds, counts, 10, two_seconds);
    check(analysis(&["p95_latency < 2s"]), bounds, counts, 10, two_seconds);
    let far = |wanted| {
        format!(
            "p95_latency cannot be judged: the first bound of the histogram that is as high as {wanted} is 500ms, \
             which is far above it"
        )
    };
    check(sequential(&["p95_latency < 20ms"]), &[5, 500], &[5000, 2000, 0], 10, &far("20ms"));
    check(sequential(&["p95_latency < 1.2x stable"]), &[5, 500], &[5000, 2000, 0], 0, &far("1.2x stable"));
    let ten_times = &format!("{no_bound} 10x stable (its bounds: 100ms to 500ms)");
    check(sequential(&["p95_latency < 10x stable"]), &bounds[1..], &counts[1..], 0, ten_times);
    check(
        analysis(&["p95_latency < 1.2x stable"]),
        bounds,
        counts,
        10,
        &ten_times.replace("10x", "1.2x").replace("100ms", "5ms"),
    );
    check(
        sequential(&["p95_latency < 2x baseline"]),
        bounds,
        &[10_000, 0, 0, 0],
        0,
        "p95_latency cannot be judged: none of stable's requests is slower than 5ms, the first bound of the histogram",
    );
}

#[test]
fn a_dry_run_does_not_wait_for_what_stable_does_not_say() {
    for rules in [sequential, analysis] {
        for against in ["stable", "baseline"] {
            let mut analysis = rules(&["no_critical_alerts", &format!("p95_latency < 1.2x {against}")]);
            analysis.dry_run = vec![analysis.checks[1].clone()];
            let plan = PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
                .step(Hold::new(Weight::new(10).unwrap(), Millis::from_secs(60)))
                .step(Hold::new(Weight::FULL, Millis::from_secs(60)))
                .analysis(analysis)
                .build()
                .unwrap();
            let mut world = World::serving(plan, 10);
            world.update("2.0.0");
            // (nothing says how long requests take)
            world.run(Millis::from_secs(60 * 20));
            assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{against}: {:?}", world.names());
        }
    }
}

#[test]
fn a_dry_run_does_not_wait_for_bounds() {
    let mut analysis = sequential(&["no_critical_alerts", "p95_latency < 1.2x stable"]);
    analysis.dry_run = vec![analysis.checks[1].clone()];
    let world = slow(analysis, &[5, 100], &[10_000, 0, 0]);
    assert_eq!(world.stable().as_deref(), Some("2.0.0"), "{:?}", world.names());
}
