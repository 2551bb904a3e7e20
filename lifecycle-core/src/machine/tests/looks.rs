//! What is told of each look.

use super::world::{World, analysis};
use crate::analysis::{AnalysisPlan, Sequential};
use crate::plan::{Hold, Mode, PlanBuilder, Retire, Weight};
use crate::time::Millis;

fn minutes(m: u64) -> Millis {
    Millis::from_secs(60 * m)
}

/// 1.0.0 serves, 2.0.0 comes, and these are the rules.
fn world(analysis: AnalysisPlan) -> World {
    let plan = PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::new(10).unwrap(), minutes(20)))
        .step(Hold::new(Weight::FULL, minutes(20)))
        .analysis(analysis)
        .retire(Retire::after_promotion(Millis::from_secs(30)))
        .build()
        .unwrap();
    let mut world = World::serving(plan, 10);
    world.update("2.0.0");
    world
}

/// What was said of this check, each sentence once, with its verdict.
fn said(world: &World, check: &str) -> Vec<String> {
    let of_check = world.looks.iter().filter(|look| *look.check == *check);
    let mut said: Vec<String> =
        of_check.map(|look| format!("{}: {}", look.verdict(), look.message)).collect();
    said.dedup();
    said
}

#[test]
fn every_look_says_the_numbers_the_bound_and_the_time() {
    let mut world = world(analysis(&["error_rate < 1%"]));
    world.failing.insert("2.0.0".to_owned(), 50);
    world.run(Millis::from_secs(40));
    let passed: Vec<&str> =
        world.looks.iter().filter(|look| look.measurement.is_some()).map(|look| &*look.message).collect();
    assert!(passed.len() >= 3, "{passed:?}");
    for (look, span) in passed.iter().zip([10, 20, 30]) {
        assert_eq!(*look, format!("error_rate 0.5% is < 1% (50 of 10000 requests) in {span}s"));
    }
    let counted: Vec<Option<Millis>> =
        world.looks.iter().filter_map(|look| Some(look.counted).filter(Option::is_some)).collect();
    assert_eq!(counted[..2], [Some(Millis::from_secs(10)), Some(Millis::from_secs(20))]);
}

#[test]
fn a_failure_says_how_many_fail_the_rollout() {
    let mut world = world(AnalysisPlan { failure_limit: 1, ..analysis(&["error_rate < 1%"]) });
    world.failing.insert("2.0.0".to_owned(), 300);
    world.run(minutes(1));
    let failed: Vec<String> =
        said(&world, "error_rate < 1%").into_iter().filter(|said| said.starts_with("Fail")).collect();
    assert_eq!(
        failed,
        [
            "Fail: error_rate 3% is not < 1% (300 of 10000 requests) in 10s; failure 1 of the 2 that fail it",
            "Fail: error_rate 3% is not < 1% (300 of 10000 requests) in 20s; failure 2 of the 2 that fail it",
        ]
    );
    assert!(world.has("GoingBack"));
}

#[test]
fn a_look_that_does_not_count_says_why() {
    let mut few = world(AnalysisPlan { min_requests: 20_000, ..analysis(&["error_rate < 1%"]) });
    few.run(Millis::from_secs(15));
    let waits = "Waiting: error_rate waits for more requests than 10000 in 10s, minRequests is 20000";
    assert_eq!(said(&few, "error_rate < 1%").last().map(String::as_str), Some(waits));

    let mut young = world(analysis(&["request_rate > 10/s"]));
    young.run(Millis::from_secs(15));
    let waits = "Waiting: request_rate waits for a whole window in 10s, and a window is 5m";
    assert_eq!(said(&young, "request_rate > 10/s").last().map(String::as_str), Some(waits));

    let mut dark = world(analysis(&["error_rate < 1%"]));
    dark.dark = true;
    dark.run(Millis::from_secs(15));
    let nothing =
        "NoData: there is no data for error_rate; time stands still, and after 5m the rollout pauses";
    assert_eq!(said(&dark, "error_rate < 1%").last().map(String::as_str), Some(nothing));

    let mut clean = world(analysis(&["error_rate < 2x stable"]));
    clean.failing.insert("2.0.0".to_owned(), 1);
    clean.run(Millis::from_secs(25));
    let of = |n, span| {
        format!(
            "Inconclusive: error_rate 0.01% cannot be compared with a multiple of 0 in {span}; inconclusive {n} \
             of the 4 that pause the rollout"
        )
    };
    assert_eq!(said(&clean, "error_rate < 2x stable")[1..], [of(1, "6s"), of(2, "16s")]);
}

#[test]
fn where_there_is_no_look_the_reason_is_told() {
    let mut delayed = world(AnalysisPlan { initial_delay: minutes(2), ..analysis(&["error_rate < 1%"]) });
    delayed.run(minutes(3));
    let told = said(&delayed, "error_rate < 1%");
    assert_eq!(
        told[..2],
        [
            "Uncounted: the canary gets no requests yet",
            "Uncounted: no look in the first 2m of a step (initialDelay)",
        ]
    );
    assert!(told[2].starts_with("Pass: "), "{told:?}");

    let mut first = world(analysis(&["error_rate < 2x stable", "error_rate_stable < 5%", "error_rate < 1%"]));
    first.state = crate::machine::State::default();
    first.groups.clear();
    first.run(minutes(1));
    let alone = "Uncounted: there is no stable version to compare with";
    assert_eq!(said(&first, "error_rate < 2x stable"), [alone]);
    let none = "Uncounted: stable gets no requests that could be measured";
    assert_eq!(said(&first, "error_rate_stable < 5%"), [none]);
}

#[test]
fn a_check_that_decides_nothing_says_so_and_no_limit() {
    let check: crate::analysis::Check = "error_rate < 1%".parse().unwrap();
    let mut world = world(AnalysisPlan { dry_run: vec![check], ..analysis(&["error_rate < 1%"]) });
    world.failing.insert("2.0.0".to_owned(), 300);
    world.run(Millis::from_secs(15));
    let last = said(&world, "error_rate < 1%").pop();
    let wanted = "Fail: error_rate 3% is not < 1% (300 of 10000 requests) in 10s (dry run)";
    assert_eq!(last.as_deref(), Some(wanted));
    assert!(!world.has("GoingBack"));
}

#[test]
fn the_sequential_judge_says_what_it_waits_for_before_it_counts() {
    let sequential = Some(Sequential::new(crate::stats::Alpha::DEFAULT));
    let mut world = world(AnalysisPlan { sequential, ..analysis(&["error_rate <= 1x stable"]) });
    world.dark = true;
    world.run(minutes(1));
    let waits = "Uncounted: what stable measures is asked for first";
    assert_eq!(said(&world, "error_rate <= 1x stable"), [waits]);
}
