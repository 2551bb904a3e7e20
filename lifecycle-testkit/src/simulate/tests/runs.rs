//! Runs in which nothing goes wrong but the version.

use super::*;

#[test]
fn a_healthy_version_is_promoted_by_every_strategy() {
    for strategy in STRATEGIES {
        let outcome = outcome(&ten(strategy), "");
        assert_eq!((outcome.outcome, outcome.version.as_deref()), ("promoted", Some("1.5.0")), "{strategy}");
        let most = match strategy {
            "rolling" => 11,
            "recreate" => 10,
            _ => 20,
        };
        assert_eq!(outcome.max_total, most, "{strategy}");
        if strategy == "recreate" {
            assert!(outcome.min_available == 0 && outcome.requests.refused > 0, "downtime is accepted");
        } else {
            assert_eq!((outcome.min_available, outcome.requests.refused), (10, 0), "{strategy}");
        }
        assert_eq!(outcome.violations, [""; 0], "{strategy}");
    }
}

#[test]
fn a_version_that_fails_requests_is_rolled_back_by_every_strategy() {
    for strategy in STRATEGIES {
        let outcome = outcome(&ten(strategy), "versions: {1.5.0: {errorRate: 20%}}");
        assert_eq!(
            (outcome.outcome, outcome.version.as_deref()),
            ("rolledBack", Some("1.4.0")),
            "{strategy}"
        );
        assert!(outcome.reason.contains("error_rate"), "{strategy}: {}", outcome.reason);
    }
}

#[test]
fn a_version_that_never_gets_ready_is_rolled_back_by_every_strategy() {
    for strategy in STRATEGIES {
        let outcome = outcome(&ten(strategy), "versions: {1.5.0: {ready: never}}");
        assert_eq!(
            (outcome.outcome, outcome.version.as_deref()),
            ("rolledBack", Some("1.4.0")),
            "{strategy}"
        );
    }
}

#[test]
fn a_canary_that_turns_slow_is_rolled_back() {
    let rest = "events: [{at: 40m, set: {version: 1.5.0, latencyP50: 200ms, latencyP95: 600ms}}]";
    let outcome = outcome(&ten("canary"), rest);
    assert_eq!(outcome.outcome, "rolledBack");
    assert!(outcome.reason.contains("p95"), "{}", outcome.reason);
}

#[test]
fn a_first_deployment_starts_from_nothing() {
    for strategy in STRATEGIES {
        let scenario = Scenario::from_yaml("{cluster: {trafficRps: 100}}").unwrap();
        let (lines, outcome) = lines(&ten(strategy), &scenario);
        assert_eq!(
            (outcome.outcome, outcome.min_available, outcome.max_total),
            ("promoted", 0, 10),
            "{strategy}"
        );
        // replicas are asked for at 0 and are ready 20.02 s later
        assert!((2000..2100).contains(&outcome.requests.refused), "{strategy}: {}", outcome.requests.refused);
        let statuses = statuses(&lines);
        assert!(statuses[0].1.stable.is_none(), "{strategy}");
    }
}

#[test]
fn every_request_is_counted() {
    let (lines, outcome) = lines(&ten("rolling"), &scenario("cluster: {trafficRps: 333}, until: 200s"));
    assert_eq!(outcome.requests.total, 333 * 200);
    assert_eq!(lines.last().map(|line| line.at_ms), Some(200_000));
    let share = outcome.requests.failed as f64 / outcome.requests.total as f64;
    assert!((0.0005..0.0015).contains(&share), "{share}");
}

#[test]
fn lines_come_in_the_order_of_time_with_the_outcome_last() {
    let (lines, _) = lines(&ten("canary"), &scenario("events: [{at: 5m, command: abort}]"));
    assert!(lines.is_sorted_by_key(|line| line.at_ms));
    let outcomes = lines.iter().filter(|line| matches!(line.kind, LineKind::Outcome(_))).count();
    assert_eq!(outcomes, 1);
    assert!(matches!(lines.last().map(|line| &line.kind), Some(LineKind::Outcome(_))));
}

#[test]
fn a_status_is_written_only_when_it_changed() {
    let (lines, _) = lines(&ten("rolling"), &scenario(""));
    let statuses = statuses(&lines);
    assert!(statuses.len() > 10);
    assert!(statuses.windows(2).all(|pair| pair[0].1 != pair[1].1));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| {
        let rest = "events: [{at: 21s, fault: lost-write}, {at: 5m, fault: driver-crash}, {at: 6m, fault: api-conflict}]";
        let mut text = String::new();
        let mut simulation = Simulation::new(&spec(&ten("canary")), &scenario(rest), seed).unwrap();
        simulation.run(&mut |line| {
            text.push_str(&serde_json::to_string(line).unwrap());
            text.push('\n');
        });
        text
    };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn a_run_without_lines_ends_like_one_with_lines() {
    let scenario = scenario("versions: {1.5.0: {errorRate: 3%}}");
    let mut quiet = Simulation::new(&spec(&ten("canary")), &scenario, 3).unwrap();
    let mut told = Simulation::new(&spec(&ten("canary")), &scenario, 3).unwrap();
    assert_eq!(quiet.run_with(&mut Unwatched), told.run(&mut |_| {}));
    assert_eq!(told.run_with(&mut Unwatched), told.run(&mut |_| {}), "the outcome stays");
}

#[test]
fn commands_are_carried_out_at_their_time() {
    let rest = "events: [{at: 5m, command: pause}, {at: 50m, command: resume}]";
    let (lines, outcome) = lines(&ten("canary"), &scenario(rest));
    let events = events(&lines);
    assert!(events.contains(&(300_000, "Paused")) && events.contains(&(3_000_000, "Resumed")), "{events:?}");
    assert_eq!(outcome.outcome, "promoted");
    let (lines, aborted) = super::lines(&ten("canary"), &scenario("events: [{at: 5m, command: abort}]"));
    assert_eq!((aborted.outcome, aborted.version.as_deref()), ("aborted", Some("1.4.0")));
    assert!(
        lines.last().is_some_and(|line| line.at_ms < 330_000),
        "nothing is left to do after half a minute"
    );
}

#[test]
fn hooks_are_run_and_can_stop_a_rollout() {
    use crate::cluster::HookBehaviour;
    let hooks = "hooks: [{on: smoke, url: \"http://smoke\", timeout: 60s, onFailure: abort}]";
    let spec = spec(&format!("{}, {hooks}", ten("blue-green")));
    for (passes, expected) in [(true, "promoted"), (false, "rolledBack")] {
        let mut simulation = Simulation::new(&spec, &scenario(""), 0).unwrap();
        simulation.cluster().set_hook("http://smoke", HookBehaviour::new(Millis::from_secs(45), passes));
        assert_eq!(simulation.run_with(&mut Unwatched).outcome, expected);
    }
}

#[test]
fn an_update_is_a_newer_spec() {
    let outcome = outcome(&ten("rolling"), "events: [{at: 60s, command: update, version: 1.6.0}]");
    assert_eq!((outcome.outcome, outcome.version.as_deref()), ("promoted", Some("1.6.0")));
}

#[test]
fn a_changed_number_of_replicas_is_followed() {
    let (lines, outcome) =
        lines(&ten("rolling"), &scenario("events: [{at: 60s, command: scale, replicas: 14}]"));
    assert_eq!(outcome.outcome, "promoted");
    let last = statuses(&lines).last().map(|(_, status)| status.stable.as_ref().map(|group| group.ready));
    assert_eq!(last, Some(Some(14)));
}

#[test]
fn a_replica_ratio_router_switches_blue_green_and_leaves_the_rest_to_the_ratio() {
    for strategy in STRATEGIES {
        let outcome = outcome(&ten(strategy), "cluster: {router: replica-ratio}");
        assert_eq!(outcome.outcome, "promoted", "{strategy}");
        let most = match strategy {
            "blue-green" => 20,
            "recreate" => 10,
            _ => 11,
        };
        assert_eq!(outcome.max_total, most, "{strategy}");
    }
}

#[test]
fn capacity_per_replica_refuses_what_is_too_much() {
    let outcome = outcome(&ten("rolling"), "cluster: {trafficRps: 500, capacityRps: 40}, until: 100s");
    // ten or eleven replicas take 400 or 440 of 500 requests a second
    assert!((6000..=10_000).contains(&outcome.requests.refused), "{}", outcome.requests.refused);
}

#[test]
fn a_kept_blue_is_something_left_to_do_only_where_an_end_is_given() {
    let end =
        |rest: &str| lines(&ten("blue-green"), &scenario(rest)).0.last().map(|line| line.at_ms / 60_000);
    // validated for 15 min, switched, monitored for 30 min; blue is scaled down an hour after the switch
    assert_eq!(end(""), Some(75));
    assert_eq!(end("until: 6h"), Some(360));
    // and kept for a day
    assert_eq!(end("until: 40h"), Some(24 * 60 + 15));
}

#[test]
fn a_rollout_that_waits_for_ever_ends_as_paused() {
    let outcome = outcome(&ten("canary"), "events: [{at: 5m, command: pause}]");
    assert_eq!(outcome.outcome, "paused");
    let (lines, until) = lines(&ten("canary"), &scenario("events: [{at: 5m, command: pause}], until: 2h"));
    assert_eq!((until.outcome, lines.last().map(|line| line.at_ms)), ("paused", Some(7_200_000)));
}

#[test]
fn a_run_that_is_cut_short_is_still_running() {
    let outcome = outcome(&ten("canary"), "until: 10m");
    assert_eq!((outcome.outcome, outcome.version.as_deref()), ("running", Some("1.4.0")));
}

#[test]
fn a_plan_that_no_manifest_can_ask_for_is_simulated_too() {
    use lifecycle_core::machine::Desired;
    use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
    let mode = Mode::Routed { dynamic_stable: false };
    let plan = PlanBuilder::new("halves", mode)
        .step(Hold::new(Weight::new(50).unwrap(), Millis::from_secs(60)))
        .step(Hold::new(Weight::FULL, Millis::from_secs(60)))
        .build()
        .unwrap();
    let target = Target::new(plan.into(), Desired::new("new".into(), Version::new(1, 5, 0), 4, mode));
    let scenario = Scenario::default().initial(Version::new(1, 4, 0), 4);
    let outcome = Simulation::of_target(&target, &scenario, 0).unwrap().run_with(&mut Unwatched);
    assert_eq!((outcome.outcome, outcome.requests.refused), ("promoted", 0));
}
