//! Runs in which something goes wrong that is nobody's version's fault.

use lifecycle_core::backend::BackendError;
use lifecycle_core::driver::Tick;
use lifecycle_core::machine::State;

use super::*;

/// Counts what it sees.
#[derive(Debug, Default)]
struct Seen {
    ticks: u64,
    failed: u64,
    errors: usize,
    crashes: Vec<(u64, bool)>,
    ticked_at: Vec<u64>,
}

impl Watch for Seen {
    fn ticked(&mut self, at: Timestamp, tick: &Tick, _state: &State) {
        self.ticks += 1;
        self.errors += tick.errors.len();
        self.ticked_at.push(at.as_millis());
    }

    fn failed(&mut self, _at: Timestamp, _error: &BackendError) {
        self.failed += 1;
    }

    fn crashed(&mut self, at: Timestamp, _writes: u64, inside: bool) {
        self.crashes.push((at.as_millis(), inside));
    }
}

fn watched(strategy: &str, scenario: &Scenario) -> (Seen, OutcomeLine) {
    let mut seen = Seen::default();
    let mut simulation = Simulation::new(&spec(&ten(strategy)), scenario, 0).unwrap();
    let outcome = simulation.run_with(&mut seen);
    (seen, outcome)
}

#[test]
fn a_healthy_version_is_promoted_through_every_fault() {
    for fault in [
        "api-unavailable",
        "api-conflict",
        "stale-watch",
        "lost-write",
        "pod-kill",
        "metrics-down",
        "driver-crash",
    ] {
        for strategy in STRATEGIES {
            let rest = format!(
                "events: [{{at: 0s, fault: {fault}}}, {{at: 30s, fault: {fault}}}, {{at: 5m, fault: {fault}, for: 90s}}]"
            );
            let outcome = outcome(&ten(strategy), &rest);
            assert_eq!(
                (outcome.outcome, outcome.version.as_deref()),
                ("promoted", Some("1.5.0")),
                "{fault} {strategy}"
            );
        }
    }
}

#[test]
fn a_critical_alert_rolls_a_canary_back() {
    let outcome = outcome(&ten("canary"), "events: [{at: 10m, fault: critical-alert}]");
    assert_eq!(outcome.outcome, "rolledBack");
    assert!(outcome.reason.contains("alert"), "{}", outcome.reason);
}

#[test]
fn without_data_for_long_a_canary_waits_for_a_person() {
    let outcome = outcome(&ten("canary"), "events: [{at: 10m, fault: metrics-down, for: 20m}], until: 2h");
    assert_eq!(outcome.outcome, "paused");
}

#[test]
fn a_driver_that_cannot_reach_the_store_tries_again_every_second() {
    let (seen, outcome) = watched("rolling", &scenario("events: [{at: 30s, fault: api-conflict, for: 60s}]"));
    assert!(seen.failed > 0, "a save conflicted");
    assert_eq!(outcome.outcome, "promoted");
}

#[test]
fn a_driver_that_dies_is_back_after_a_second() {
    let (seen, outcome) = watched("rolling", &scenario("events: [{at: 95s, fault: driver-crash}]"));
    assert_eq!(seen.crashes.len(), 1);
    assert_eq!(seen.crashes[0].0, 95_000);
    assert!(seen.ticked_at.contains(&96_000), "{:?}", seen.ticked_at);
    assert!(!seen.ticked_at.iter().any(|at| (95_001..96_000).contains(at)));
    assert_eq!(outcome.outcome, "promoted");

    let (seen, _) = watched("rolling", &scenario("events: [{at: 95s, fault: driver-crash, for: 30s}]"));
    assert!(!seen.ticked_at.iter().any(|at| (95_001..125_000).contains(at)), "{:?}", seen.ticked_at);
    assert!(seen.ticked_at.contains(&125_000));
}

#[test]
fn a_driver_that_dies_between_any_two_effects_ends_the_same() {
    let undisturbed = outcome(&ten("rolling"), "");
    let (mut inside, mut after) = (0, 0);
    loop {
        let crash = What::Crash { after: Some(after), down: DRIVER_DOWN };
        let (seen, outcome) = watched("rolling", &scenario("").with(Timestamp::ZERO, crash));
        assert_eq!(
            (outcome.outcome, outcome.version),
            (undisturbed.outcome, undisturbed.version.clone()),
            "{after}"
        );
        assert_eq!(outcome.max_total, undisturbed.max_total, "after {after} writes");
        match seen.crashes.as_slice() {
            [] => break,
            [(_, true)] => inside += 1,
            other => panic!("after {after} writes: {other:?}"),
        }
        after += 1;
    }
    // ten replicas up and ten down are at least twenty writes, and each is saved before
    assert!(inside >= 40, "only {inside} places to die in");
}

#[test]
fn a_command_that_a_dying_driver_forgot_is_given_again() {
    let rest = "events: [{at: 5m, fault: driver-crash, for: 30s}, {at: 310s, command: abort}]";
    let outcome = outcome(&ten("canary"), rest);
    assert_eq!(outcome.outcome, "aborted");
}

#[test]
fn a_spec_that_changes_while_the_driver_is_away_is_seen_when_it_is_back() {
    let rest =
        "events: [{at: 50s, fault: driver-crash, for: 30s}, {at: 60s, command: update, version: 1.6.0}]";
    let outcome = outcome(&ten("rolling"), rest);
    assert_eq!((outcome.outcome, outcome.version.as_deref()), ("promoted", Some("1.6.0")));
}

#[test]
fn late_and_repeated_writes_and_jumping_clocks_are_survived() {
    use crate::cluster::Fault;
    let minutes = |n: u64| Timestamp::from_millis(n * 60_000);
    for strategy in STRATEGIES {
        let scenario = scenario("")
            .with(minutes(0), What::Fault(Fault::LateWrite, Millis::from_secs(60)))
            .with(minutes(1), What::Fault(Fault::RepeatedWrite, Millis::from_secs(60)))
            .with(minutes(2), What::ClockJump(3_600_000))
            .with(minutes(3), What::ClockJump(-7_200_000))
            .with(minutes(4), What::ClockJump(3_600_000));
        let (_, outcome) = watched(strategy, &scenario);
        assert_eq!((outcome.outcome, outcome.version.as_deref()), ("promoted", Some("1.5.0")), "{strategy}");
    }
}

#[test]
fn the_driver_ticks_once_an_instant_even_without_any_latency() {
    let scenario = scenario("cluster: {apiLatency: 0s, podStart: 0s}");
    for strategy in STRATEGIES {
        let (seen, outcome) = watched(strategy, &scenario);
        assert_eq!(outcome.outcome, "promoted", "{strategy}");
        assert!(seen.ticked_at.is_sorted_by(|a, b| a < b), "{strategy}: {:?}", seen.ticked_at);
    }
}

#[test]
fn faults_are_told_in_the_report() {
    let (lines, _) = lines(
        &ten("rolling"),
        &scenario("events: [{at: 30s, fault: pod-kill}, {at: 40s, fault: driver-crash}]"),
    );
    let told: Vec<_> = events(&lines).into_iter().filter(|(_, name)| *name == "FaultInjected").collect();
    assert_eq!(told, [(30_000, "FaultInjected"), (40_000, "FaultInjected")]);
}
