//! Runs whose looks are told.

use lifecycle_core::report::LineKind;

use super::*;

/// All lines of an explained run of this spec in this scenario.
fn explained(fields: &str, scenario: &Scenario) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut simulation = Simulation::new(&spec(fields), scenario, 0).unwrap().explained();
    simulation.run(&mut |line| lines.push(line.clone()));
    lines
}

fn of_check<'l>(lines: &'l [Line], wanted: &str) -> Vec<(u64, &'l str, &'l str)> {
    let look = |line: &'l Line| match &line.kind {
        LineKind::Look { check, verdict, message, .. } if check == wanted => {
            Some((line.at_ms, *verdict, message.as_str()))
        }
        _ => None,
    };
    lines.iter().filter_map(look).collect()
}

#[test]
fn to_be_told_changes_nothing_of_a_run() {
    let faults = "versions: {1.5.0: {errorRate: 0.3%}}, events: [
        {at: 2m, fault: metrics-down, for: 2m}, {at: 6m, fault: driver-crash}, {at: 8m, fault: api-unavailable}]";
    for strategy in STRATEGIES {
        for analysis in ["", ", analysis: {sequential: {alpha: 0.01}}"] {
            let (fields, scenario) = (format!("{}{analysis}", ten(strategy)), scenario(faults));
            let mut told = explained(&fields, &scenario);
            let before = told.len();
            told.retain(|line| !matches!(line.kind, LineKind::Look { .. }));
            assert!(before > told.len(), "{fields}");
            assert_eq!(told, lines(&fields, &scenario).0, "{fields}");
        }
    }
}

#[test]
fn every_check_is_looked_at_every_ten_seconds() {
    let scenario = scenario("versions: {1.5.0: {errorRate: 5%}}, until: 3m");
    let fields = format!("{}, analysis: {{checks: [error_rate < 50%, no_critical_alerts]}}", ten("canary"));
    let lines = explained(&fields, &scenario);
    for check in ["error_rate < 50%", "no_critical_alerts"] {
        let measured: Vec<u64> = of_check(&lines, check)
            .into_iter()
            .filter(|(_, verdict, _)| *verdict != "Uncounted")
            .map(|(at, ..)| at / 1000)
            .collect();
        assert_eq!(measured, (3..18).map(|n| n * 10).collect::<Vec<u64>>(), "{check}");
    }
}

#[test]
fn why_there_is_no_look_is_told_once_and_behind_the_decision() {
    let lines = explained(&ten("canary"), &scenario("until: 1m"));
    let idle: Vec<(u64, &str, &str)> = of_check(&lines, "error_rate < 1%")
        .into_iter()
        .filter(|(_, verdict, _)| *verdict == "Uncounted")
        .collect();
    assert_eq!(idle, [(0, "Uncounted", "the canary gets no requests yet")]);
    let at = |wanted: fn(&LineKind) -> bool| lines.iter().position(|line| wanted(&line.kind));
    let started = at(|kind| matches!(kind, LineKind::Event { name: "RolloutStarted", .. }));
    assert!(started < at(|kind| matches!(kind, LineKind::Look { .. })) && started.is_some());
}

#[test]
fn the_sequential_judge_says_what_counts_from_when() {
    let fields = format!(
        "{}, analysis: {{sequential: {{alpha: 0.01}}, checks: [error_rate <= 1x stable]}}",
        ten("canary")
    );
    let steps = "canary: {steps: [{setWeight: 10, bake: 1m}, {setWeight: 50, bake: 1m}]}";
    let silence = "events: [{at: 50s, fault: metrics-down, for: 15s}], until: 3m";
    let lines = explained(&format!("{fields}, {steps}"), &scenario(silence));
    let said = of_check(&lines, "error_rate <= 1x stable");
    let reasons: Vec<&str> =
        said.iter().filter(|(_, verdict, _)| *verdict == "Uncounted").map(|(.., message)| *message).collect();
    assert_eq!(
        reasons,
        [
            "what stable measures is asked for first",
            "the canary gets no requests yet",
            "what comes from now on counts",
            "nothing counts while the weight changes",
            "what comes from now on counts",
        ],
        "{said:#?}"
    );
}

#[test]
fn the_sequential_judge_says_what_it_takes_to_pass() {
    let analysis = |rules: &str| {
        format!(
            "{}, analysis: {{minRequests: 900, checks: [error_rate <= 1x stable], sequential: {{{rules}}}",
            ten("canary")
        )
    };
    let bad = "versions: {1.4.0: {errorRate: 5%}, 1.5.0: {errorRate: 5%}}";
    let alpha = "alpha: 0.01}";
    for (rules, scene, says) in [
        (alpha, "until: 1m", "; it passes with minRequests, 900"),
        (
            "alpha: 0.01, earlyPass: {ratio: 2, beta: 0.01}}",
            bad,
            "; it is less than 2 times as bad: the bake may end early",
        ),
        (
            "alpha: 0.01}}, canary: {steps: [{setWeight: 1, bake: 10m}]",
            "cluster: {trafficRps: 5}, until: 5m",
            "nothing was counted of one of the versions for 10s: what comes counts with the next look",
        ),
    ] {
        let lines = explained(&analysis(rules), &scenario(scene));
        let said = of_check(&lines, "error_rate <= 1x stable");
        assert!(said.iter().any(|(.., message)| message.ends_with(says)), "{says}: {said:#?}");
    }
}
