//! Rollouts that the sequential judge decides.

use std::collections::BTreeMap;

use lifecycle_core::driver::Tick;
use lifecycle_core::machine::State;
use lifecycle_core::time::Timestamp;

use super::*;

/// Ten replicas with this strategy and the sequential judge.
fn sequential(strategy: &str, more: &str) -> String {
    format!(
        "version: 1.5.0, strategy: {strategy}, replicas: 10, analysis: {{sequential: {{alpha: 0.01}}{more}}}"
    )
}

/// How it ends with each of these seeds.
fn ends(fields: &str, rest: &str, seeds: std::ops::Range<u64>) -> Vec<&'static str> {
    let (spec, scenario) = (spec(fields), scenario(rest));
    let end = |seed| {
        let outcome = Simulation::new(&spec, &scenario, seed).unwrap().run_with(&mut Unwatched);
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        outcome.outcome
    };
    seeds.map(end).collect()
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_is_not_by_every_strategy() {
    for strategy in STRATEGIES {
        let good = ends(&sequential(strategy, ""), "", 0..3);
        assert_eq!(good, ["promoted"; 3], "{strategy}");
        let bad = ends(&sequential(strategy, ""), "versions: {1.5.0: {errorRate: 20%}}", 0..3);
        assert_eq!(bad, ["rolledBack"; 3], "{strategy}");
        let slow = "versions: {1.5.0: {latencyP50: 400ms, latencyP95: 900ms}}";
        let checks = ", checks: [\"p95_latency <= 1.2x stable\"]";
        assert_eq!(ends(&sequential(strategy, checks), slow, 0..3), ["rolledBack"; 3], "{strategy}");
    }
}

#[test]
fn a_canary_that_is_as_bad_as_stable_is_promoted_where_a_threshold_goes_back() {
    let bad = "versions: {1.4.0: {errorRate: 1.2%}, 1.5.0: {errorRate: 1.2%}}";
    assert_eq!(ends(&sequential("canary", ""), bad, 0..20), ["promoted"; 20]);
    assert_eq!(ends(&ten("canary"), bad, 0..3), ["rolledBack"; 3]);
}

#[test]
fn an_outage_that_both_share_is_no_reason_to_go_back() {
    let outage = "versions: {1.4.0: {errorRate: 0.1%}, 1.5.0: {errorRate: 0.1%}}, events: [
        {at: 5m, set: {version: 1.4.0, errorRate: 20%}}, {at: 5m, set: {version: 1.5.0, errorRate: 20%}},
        {at: 9m, set: {version: 1.4.0, errorRate: 0.1%}}, {at: 9m, set: {version: 1.5.0, errorRate: 0.1%}}]";
    assert_eq!(ends(&sequential("canary", ""), outage, 0..10), ["promoted"; 10]);
}

#[test]
fn what_turns_bad_late_is_found_in_each_step() {
    for (at, what) in [("20m", "in the first"), ("80m", "in the second"), ("110m", "with all traffic")] {
        let rest = format!("events: [{{at: {at}, set: {{version: 1.5.0, errorRate: 5%}}}}]");
        assert_eq!(ends(&sequential("canary", ""), &rest, 0..3), ["rolledBack"; 3], "{what}");
    }
}

#[test]
fn evidence_goes_on_after_the_driver_died() {
    let rest = "versions: {1.5.0: {errorRate: 0.5%}}, events: [{at: 40s, fault: driver-crash}, {at: 61s, fault: driver-crash}]";
    assert_eq!(ends(&sequential("canary", ""), rest, 0..5), ["rolledBack"; 5]);
}

#[test]
fn without_data_nothing_passes() {
    let rest = "events: [{at: 10s, fault: metrics-down, for: 3h}], until: 2h";
    let (lines, outcome) = lines(&sequential("canary", ""), &scenario(rest));
    assert_eq!((outcome.outcome, outcome.version.as_deref()), ("paused", Some("1.4.0")));
    assert!(!events(&lines).iter().any(|(_, name)| *name == "GatePassed"), "{:?}", events(&lines));
    let rest = "events: [{at: 2m, fault: metrics-down, for: 3h}], until: 2h";
    assert_eq!(ends(&sequential("canary", ""), rest, 0..1), ["paused"], "in its middle");
}

#[test]
fn a_short_silence_of_the_source_is_made_up_for() {
    let rest = "versions: {1.5.0: {errorRate: 0.5%}}, events: [{at: 40s, fault: metrics-down, for: 30s}]";
    assert_eq!(ends(&sequential("canary", ""), rest, 0..5), ["rolledBack"; 5]);
}

#[test]
fn a_step_ends_early_when_it_may_and_its_checks_rule_enough_out() {
    let fields = |early: &str| {
        format!(
            "version: 1.5.0, strategy: canary, replicas: 10, canary: {{steps: [{{setWeight: 20, bake: 30m}}]}},
             analysis: {{sequential: {{alpha: 0.01, eta: 1{early}}}, checks: [\"error_rate <= 1x stable\"]}}"
        )
    };
    let promoted = |fields: &str| {
        let (lines, outcome) =
            lines(fields, &scenario("versions: {1.4.0: {errorRate: 1%}, 1.5.0: {errorRate: 1%}}"));
        assert_eq!(outcome.outcome, "promoted");
        events(&lines).iter().find(|(_, name)| *name == "Promoted").unwrap().0
    };
    let whole = promoted(&fields(""));
    let early = promoted(&fields(", earlyPass: {ratio: 2, beta: 0.01}"));
    assert!(whole > 1_800_000 && early < 600_000, "{whole} ms and {early} ms");
}

#[test]
fn a_dry_run_is_told_and_decides_nothing() {
    let rest = "versions: {1.5.0: {errorRate: 20%}}";
    let more = ", checks: [no_critical_alerts], dryRun: [\"error_rate <= 1x stable\", \"error_rate < 1%\"]";
    let mut told = Vec::new();
    let mut simulation = Simulation::new(&spec(&sequential("canary", more)), &scenario(rest), 0).unwrap();
    let outcome = simulation.run(&mut |line| {
        if let LineKind::Event { name: "Measured", reason, message, .. } = &line.kind {
            told.push(format!("{reason} {message}"));
        }
    });
    assert_eq!(outcome.outcome, "promoted");
    let dry = told.iter().filter(|told| told.starts_with("Fail") && told.ends_with("(dry run)")).count();
    assert!(dry >= 2, "{told:#?}");
}

#[test]
fn what_other_checks_ask_of_stable_is_not_what_the_canary_alone_is_held_against() {
    let more = ", checks: [\"error_rate <= 1x stable\", \"success_rate >= 0.99x stable\"]";
    let rest = "events: [{at: 110m, set: {version: 1.5.0, errorRate: 0.7%}}]";
    assert_eq!(ends(&sequential("canary", more), rest, 0..3), ["rolledBack"; 3]);
}

/// What the newest look at each check said, when a gate passed.
#[derive(Default)]
struct Gates {
    ticks: u64,
    newest: BTreeMap<String, bool>,
    passed: Vec<bool>,
}

impl Watch for Gates {
    fn ticked(&mut self, _: Timestamp, tick: &Tick, _: &State) {
        self.ticks += 1;
        for look in &tick.looks {
            self.newest.insert(look.check.to_string(), look.measurement.is_some());
        }
        let passed = tick.events.iter().any(|event| event.kind.name() == "GatePassed");
        if passed {
            self.passed.push(self.newest.values().all(|counted| *counted));
        }
    }
}

#[test]
fn a_gate_passes_by_a_look_that_counted_and_not_in_a_silence() {
    let fields = sequential("canary", ", minRequests: 1, checks: [\"error_rate <= 1x stable\"]");
    let rare = scenario("cluster: {trafficRps: 0.6}");
    let mut gates = Gates::default();
    let mut simulation = Simulation::new(&spec(&fields), &rare, 0).unwrap().explained();
    simulation.run_with(&mut gates);
    assert!(!gates.passed.is_empty() && gates.passed.iter().all(|counted| *counted), "{:?}", gates.passed);
}

#[test]
fn an_initial_delay_is_waited_for_without_looking_at_the_clock() {
    let ticks = |delay: &str| {
        let mut gates = Gates::default();
        let fields = sequential("canary", delay);
        Simulation::new(&spec(&fields), &scenario(""), 0).unwrap().run_with(&mut gates);
        gates.ticks
    };
    let (without, with) = (ticks(""), ticks(", initialDelay: 8m"));
    assert!(with < without + without / 4, "{with} of {without}");
}

/// How much evidence fails each check, by step, of each look that counted.
#[derive(Default)]
struct Needed(BTreeMap<(usize, String), u64>);

impl Watch for Needed {
    fn ticked(&mut self, _: Timestamp, tick: &Tick, state: &State) {
        for look in &tick.looks {
            let needed =
                look.message.split_once(" of the ").and_then(|(_, rest)| rest.split_once(" that fail it"));
            if let Some((needed, _)) = needed.filter(|_| look.measurement.is_some()) {
                self.0.insert((state.progress.step, look.check.to_string()), needed.parse().unwrap());
            }
        }
    }
}

#[test]
fn alpha_is_split_over_the_steps_and_over_the_checks_that_decide() {
    let needed = |more: &str| {
        let mut needed = Needed::default();
        let mut simulation =
            Simulation::new(&spec(&sequential("canary", more)), &scenario(""), 0).unwrap().explained();
        simulation.run_with(&mut needed);
        needed.0.into_iter().map(|((step, check), needed)| (step, check, needed)).collect::<Vec<_>>()
    };
    let (errors, slow) =
        ("error_rate <= 1x stable".to_owned(), "latency_p95_canary <= 1.2x stable".to_owned());
    let both = [(0, 260), (1, 1300), (2, 7800)];
    let both = both.into_iter().flat_map(|(step, of)| [(step, errors.clone(), of), (step, slow.clone(), of)]);
    // 2 checks x (1/260 + 1/1300 + 3/7800) is 0.01: in the last step, with all traffic, three tests share it
    assert_eq!(needed(""), both.collect::<Vec<_>>());
    let one = [(0, 130), (1, 650), (2, 3900)].map(|(step, of)| (step, errors.clone(), of));
    let dry = ", dryRun: [\"latency_p95_canary <= 1.2x stable\"], checks: [\"error_rate <= 1x stable\"]";
    let decide: Vec<_> = needed(dry).into_iter().filter(|(_, check, _)| *check == errors).collect();
    assert_eq!(decide, one);
}

#[test]
fn a_first_deployment_is_judged_by_its_numbers() {
    let first = |rest: &str| {
        let scenario = Scenario::from_yaml(&format!("{{{rest}}}")).unwrap();
        let mut scenario = scenario;
        scenario.initial = None;
        let fields = sequential("canary", ", checks: [\"error_rate < 1%\", \"error_rate <= 1x stable\"]");
        Simulation::new(&spec(&fields), &scenario, 0).unwrap().run_with(&mut Unwatched).outcome
    };
    assert_eq!(first("versions: {1.5.0: {errorRate: 0.1%}}"), "promoted");
    assert_eq!(first("versions: {1.5.0: {errorRate: 5%}}"), "failed");
}

#[test]
fn checks_against_numbers_need_nothing_of_stable_where_the_temper_is_given() {
    let given = "version: 1.5.0, strategy: canary, replicas: 10,
        analysis: {sequential: {alpha: 0.01, eta: 1}, checks: [\"error_rate < 1%\", \"p95_latency < 500ms\"]}";
    assert_eq!(ends(given, "", 0..2), ["promoted"; 2]);
    assert_eq!(ends(given, "versions: {1.5.0: {errorRate: 5%}}", 0..2), ["rolledBack"; 2]);
}

#[test]
fn an_initial_delay_is_one_of_the_looks_and_not_of_the_traffic() {
    let delayed = |judge: &str| {
        format!(
            "version: 1.5.0, strategy: canary, replicas: 10, analysis: {{initialDelay: 8m{judge},
             checks: [\"error_rate <= 2x baseline\", \"p95_latency <= 1.2x stable\"]}}"
        )
    };
    for judge in ["", ", sequential: {alpha: 0.01}"] {
        let (lines, outcome) =
            lines(&delayed(judge), &scenario("versions: {1.4.0: {errorRate: 1%}, 1.5.0: {errorRate: 20%}}"));
        assert_eq!(outcome.outcome, "rolledBack", "{judge}");
        let at = |wanted| events(&lines).iter().find(|(_, name)| *name == wanted).unwrap().0;
        assert!(at("WeightReached") < 60_000, "{judge}: {}", at("WeightReached"));
        assert!(at("GoingBack") >= 480_000, "{judge}: {}", at("GoingBack"));
    }
}
