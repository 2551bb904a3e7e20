//! What is accepted, and what is refused with which words.

use lifecycle_core::backend::Splitting;
use lifecycle_core::machine::CommandKind;

use super::*;
use crate::cluster::{Fault, HookBehaviour, Profile, Rate, Readiness};

#[test]
fn the_whole_grammar_is_understood() {
    let scenario = Scenario::from_yaml(
        r#"
cluster: {podStart: 10s, apiLatency: 5ms, trafficRps: 12.5, router: replica-ratio, capacityRps: 80}
versions:
  "1.4.0": {errorRate: 0.1%, latencyP50: 80ms, latencyP95: 200ms}
  "1.5.0": {errorRate: 3%, latencyP50: 90ms, latencyP95: 300ms, ready: after 20s}
  v1.6: {ready: never}
  "1.7.0": {ready: flapping 30s, capacityRps: 9}
hooks:
  "http://smoke": {takes: 10s, passes: false}
  "https://slow:9000/x": {takes: 1m}
  "http://gone": {answers: false}
  "http://fine": {}
initial: {version: "1.4.0", replicas: 10}
events:
  - {at: 5m, command: pause}
  - {at: 6m, command: resume}
  - {at: 7m, command: promote}
  - {at: 7m, command: promote-full}
  - {at: 8m, command: abort}
  - {at: 9m, command: retry}
  - {at: 9m, command: rollback}
  - {at: 9m, command: rollback, version: "1.3.0"}
  - {at: 10m, set: {version: "1.5.0", errorRate: 7%}}
  - {at: 11m, command: scale, replicas: 20}
  - {at: 11m, command: update, version: "1.6.0"}
  - {at: 12m, fault: api-unavailable, for: 2m}
  - {at: 13m, fault: api-conflict}
  - {at: 14m, fault: stale-watch}
  - {at: 15m, fault: lost-write}
  - {at: 16m, fault: pod-kill}
  - {at: 17m, fault: metrics-down}
  - {at: 18m, fault: critical-alert, for: 30s}
  - {at: 19m, fault: driver-crash}
  - {at: 20m, fault: driver-crash, for: 10s}
until: 6h
"#,
    )
    .unwrap();
    let capacity = Some(Rate::per_second(80));
    let healthy = Profile::default().capacity(capacity);
    let slower = healthy.error_rate(0.03).latency(Millis(90), Millis(300));
    let minute = Millis::from_secs(60);
    assert_eq!(scenario.cluster.pod_start, Millis::from_secs(10));
    assert_eq!(scenario.cluster.api_latency, Millis(5));
    assert_eq!(Some(scenario.cluster.traffic), Rate::from_f64(12.5));
    assert_eq!(scenario.cluster.splitting, Splitting::Switch);
    assert_eq!(
        scenario.versions.into_values().collect::<Vec<_>>(),
        [
            healthy,
            slower.ready(Readiness::After(Millis::from_secs(20))),
            healthy.ready(Readiness::Never),
            healthy.ready(Readiness::Flapping(Millis::from_secs(30))).capacity(Some(Rate::per_second(9))),
        ]
    );
    let hooks: Vec<_> = scenario.hooks.iter().map(|(url, behaviour)| (&**url, *behaviour)).collect();
    assert_eq!(
        hooks,
        [
            ("http://fine", HookBehaviour::default()),
            ("http://gone", HookBehaviour::silent()),
            ("http://smoke", HookBehaviour::new(Millis::from_secs(10), false)),
            ("https://slow:9000/x", HookBehaviour::new(minute, true)),
        ]
    );
    assert_eq!(scenario.until, Some(Millis::from_secs(6 * 3600)));
    let worse = slower.error_rate(0.07).ready(Readiness::After(Millis::from_secs(20)));
    let what: Vec<What> = scenario.events.into_iter().map(|event| event.what).collect();
    assert_eq!(
        what,
        [
            What::Command(CommandKind::Pause),
            What::Command(CommandKind::Resume),
            What::Command(CommandKind::Promote),
            What::Command(CommandKind::PromoteFull),
            What::Command(CommandKind::Abort),
            What::Command(CommandKind::Retry),
            What::Command(CommandKind::Rollback(None)),
            What::Command(CommandKind::Rollback(Some(Version::new(1, 3, 0)))),
            What::Set(Version::new(1, 5, 0), worse),
            What::Command(CommandKind::Scale(20)),
            What::Update(Version::new(1, 6, 0)),
            What::Fault(Fault::ApiUnavailable, minute.times(2)),
            What::Fault(Fault::ApiConflict, minute),
            What::Fault(Fault::StaleWatch, minute),
            What::Fault(Fault::LostWrite, minute),
            What::Fault(Fault::PodKill, Millis::ZERO),
            What::Fault(Fault::MetricsDown, minute),
            What::CriticalAlert(Millis::from_secs(30)),
            What::crash(),
            What::Crash { after: None, down: Millis::from_secs(10) },
        ]
    );
}

#[test]
fn what_is_left_out_has_its_default_but_nothing_is_deployed() {
    let scenario = Scenario::from_yaml("cluster: {podStart: 1s}").unwrap();
    let mut expected = Scenario::default();
    expected.cluster.pod_start = Millis::from_secs(1);
    assert_eq!(scenario, expected);
    assert_eq!(
        Scenario::from_yaml("{versions: {1.5.0: {}}}").unwrap().versions[&Version::new(1, 5, 0)],
        Profile::default()
    );
}

#[test]
fn a_latency_that_is_written_alone_takes_the_other_with_it() {
    for (text, p50, p95) in
        [("latencyP50: 10ms", 10, 200), ("latencyP50: 400ms", 400, 1000), ("latencyP95: 50ms", 20, 50)]
    {
        let scenario = Scenario::from_yaml(&format!("{{versions: {{1.5.0: {{{text}}}}}}}")).unwrap();
        let profile = scenario.versions[&Version::new(1, 5, 0)];
        assert_eq!((profile.latency_p50, profile.latency_p95), (Millis(p50), Millis(p95)), "{text}");
    }
}

/// The scenario is refused with an error of one line that starts with the path and has these words.
fn refused(text: &str, path: &str, words: &str) {
    let error = Scenario::from_yaml(text).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{path}: ")), "{text}\n{error}");
    assert!(error.contains(words), "{text}\n{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn bad_scenarios_are_refused_with_the_path_and_what_is_accepted() {
    for (text, path, words) in [
        ("", "scenario", "empty, where one scenario is expected"),
        ("- 1", "scenario", "is not a mapping: accepted fields are cluster"),
        (
            "{speed: 3}",
            "speed",
            "no such field: accepted are cluster, versions, hooks, initial, events, until",
        ),
        ("{cluster: {pods: 3}}", "cluster.pods", "accepted are podStart, apiLatency"),
        ("{cluster: {podStart: 20}}", "cluster.podStart", "20 has no unit: write a duration like 30s"),
        ("{cluster: {podStart: -5s}}", "cluster.podStart", "negative"),
        ("{cluster: {podStart: 5 minutes}}", "cluster.podStart", "30s, 15m, 1h"),
        ("{cluster: {trafficRps: -1}}", "cluster.trafficRps", "from 0 to 1000000"),
        ("{cluster: {trafficRps: many}}", "cluster.trafficRps", "requests a second"),
        ("{cluster: {router: istio}}", "cluster.router", "accepted are weighted, replica-ratio"),
        ("{cluster: {capacityRps: 0}}", "cluster.capacityRps", "no limit"),
        ("{versions: [1.5.0]}", "versions", "a mapping from versions"),
        ("{versions: {abc: {}}}", "versions.abc", "MAJOR.MINOR.PATCH"),
        (
            "{versions: {1.5.0: {errorRate: 3}}}",
            "versions[\"1.5.0\"].errorRate",
            "from 0% to 100%, like 0.1%",
        ),
        ("{versions: {1.5.0: {errorRate: 101%}}}", "versions[\"1.5.0\"].errorRate", "from 0% to 100%"),
        ("{versions: {1.5.0: {errorRate: NaN%}}}", "versions[\"1.5.0\"].errorRate", "from 0% to 100%"),
        ("{versions: {1.5.0: {latencyP50: 0s}}}", "versions[\"1.5.0\"].latencyP50", "longer than 0s"),
        (
            "{versions: {1.5.0: {latencyP50: 90ms, latencyP95: 80ms}}}",
            "versions[\"1.5.0\"].latencyP95",
            "below the median",
        ),
        (
            "{versions: {1.5.0: {ready: soon}}}",
            "versions[\"1.5.0\"].ready",
            "accepted are never, after 20s and flapping 30s",
        ),
        ("{versions: {1.5.0: {ready: after 20}}}", "versions[\"1.5.0\"].ready", "has no unit"),
        ("{versions: {1.5.0: {ready: flapping 0s}}}", "versions[\"1.5.0\"].ready", "longer than 0s"),
        ("{versions: {1.5.0: {}, \"1.5\": {}}}", "versions[\"1.5.0\"]", "the same version"),
        (
            "{versions: {1.10: {}}}",
            "versions",
            "the key 1.1 is read as a number, and a number cannot tell 1.10 from 1.1: quote it",
        ),
        ("versions:\n  1.10: {errorRate: 3%}\n", "versions", "quote it, like \"1.10\""),
        ("{versions: {2: {}}}", "versions", "the key 2 is not read as text: quote it"),
        ("{hooks: [http://h]}", "hooks", "a list is not a mapping"),
        ("{hooks: {smoke: {}}}", "hooks.smoke", "\"smoke\" is not a URL: write one like http://host/path"),
        (
            "{hooks: {\"http://h\": {take: 5s}}}",
            "hooks[\"http://h\"].take",
            "no such field: did you mean takes?",
        ),
        ("{hooks: {\"http://h\": {takes: 5}}}", "hooks[\"http://h\"].takes", "5 has no unit"),
        ("{hooks: {\"http://h\": {passes: no}}}", "hooks[\"http://h\"].passes", "is not true or false"),
        (
            "{hooks: {\"http://h\": {answers: false, takes: 5s}}}",
            "hooks[\"http://h\"].takes",
            "means nothing for a hook that does not answer",
        ),
        ("{initial: {version: 1.4.0}}", "initial.replicas", "is missing: write a number"),
        ("{initial: {version: 1.4.0, replicas: 0}}", "initial.replicas", "from 1 to 100000"),
        ("{initial: {version: 1.4, replicas: 1}}", "initial.version", "quote it"),
        ("{events: {at: 5m}}", "events", "is not a list"),
        ("{events: [pause]}", "events[0]", "is not a mapping"),
        ("{events: [{command: pause}]}", "events[0].at", "is missing: write when it happens"),
        ("{events: [{at: 5m}]}", "events[0]", "write one of command, set, fault"),
        ("{events: [{at: 5m, command: pause, fault: pod-kill}]}", "events[0]", "several things at once"),
        (
            "{events: [{at: 5m, command: stop}]}",
            "events[0].command",
            "accepted are pause, resume, promote, promote-full, abort",
        ),
        ("{events: [{at: 5m, command: scale}]}", "events[0].replicas", "is missing"),
        ("{events: [{at: 5m, command: scale, replicas: 0}]}", "events[0].replicas", "from 1 to 100000"),
        ("{events: [{at: 5m, command: update}]}", "events[0].version", "is missing"),
        ("{events: [{at: 5m, command: update, version: abc}]}", "events[0].version", "MAJOR.MINOR.PATCH"),
        (
            "{events: [{at: 5m, command: pause, version: 1.4.0}]}",
            "events[0].version",
            "accepted with rollback and update",
        ),
        ("{events: [{at: 5m, command: pause, replicas: 4}]}", "events[0].replicas", "accepted with scale"),
        ("{events: [{at: 5m, command: pause, for: 4s}]}", "events[0].for", "accepted with fault alone"),
        ("{events: [{at: 5m, set: {errorRate: 1%}}]}", "events[0].set.version", "is missing"),
        ("{events: [{at: 5m, set: {version: 1.5.0}}]}", "events[0].set", "changes nothing"),
        ("{events: [{at: 5m, set: {version: 1.5.0, errors: 1}}]}", "events[0].set.errors", "no such field"),
        (
            "{events: [{at: 1m, command: pause}, {at: 2m, command: resume}, {at: 5m, fault: api-down}]}",
            "events[2].fault",
            "accepted are api-unavailable, api-conflict, stale-watch, lost-write, pod-kill, metrics-down, critical-alert, driver-crash",
        ),
        ("{events: [{at: 5m, fault: metrics-down, for: 0s}]}", "events[0].for", "longer than 0s"),
        (
            "{events: [{at: 6m, command: pause}, {at: 5m, command: resume}]}",
            "events[1].at",
            "5m is before the 6m of the event before it",
        ),
        ("{until: 0s}", "until", "longer than 0s"),
        ("{until: [}", "scenario", "is not YAML"),
    ] {
        refused(text, path, words);
    }
}

#[test]
fn a_hook_goes_as_the_scenario_says() {
    let spec =
        "version: 1.5.0, strategy: blue-green, replicas: 10, hooks: [{on: smoke, url: 'http://smoke'}]";
    for (behaviour, ends, why) in [
        ("{}", "promoted", ""),
        ("{takes: 29s}", "promoted", ""),
        ("{takes: 31s}", "rolledBack", "no answer within 30s"),
        ("{takes: 10s, passes: false}", "rolledBack", "the hook said no"),
        ("{answers: false}", "rolledBack", "no answer"),
    ] {
        let outcome = outcome(spec, &format!("hooks: {{\"http://smoke\": {behaviour}}}"));
        assert_eq!(outcome.outcome, ends, "{behaviour}");
        assert!(outcome.reason.contains(why), "{behaviour}: {}", outcome.reason);
    }
}

#[test]
fn huge_and_deep_scenarios_are_refused_at_once() {
    refused(&"a".repeat(10 << 20), "scenario", "more than 1048576");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let error = Scenario::from_yaml(&format!("{{events: {deep}}}")).unwrap_err().to_string();
    assert!(error.contains("nested"), "{error}");
}

#[test]
fn a_spec_that_the_router_cannot_serve_is_refused_before_anything_moves() {
    let hooks = "version: 1.5.0, strategy: canary, analysis: {checks: [\"no_such_query < 1\"]}";
    let manifest = format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {{{hooks}}}}}"
    );
    if let Ok(manifest) = Manifest::from_yaml(&manifest) {
        let error = Simulation::new(&manifest.spec, &Scenario::default(), 0).unwrap_err().to_string();
        assert!(error.contains("no_such_query") && error.lines().count() == 1, "{error}");
    }
}
