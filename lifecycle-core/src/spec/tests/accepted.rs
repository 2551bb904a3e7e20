//! What is accepted, and what it means.

use serde_json::json;

use super::*;
use crate::backend::HookPoint;
use crate::plan::{Amount, Mode, Size, Weight};
use crate::time::Millis;

fn minutes(n: u64) -> Millis {
    Millis::from_secs(60 * n)
}

#[test]
fn a_version_is_all_that_must_be_written_and_the_rest_has_its_defaults() {
    let manifest = Manifest::from_yaml(&manifest("version: 1.5.0")).unwrap();
    assert_eq!((&*manifest.name, &*manifest.namespace), ("edge-agent", "default"));
    let spec = manifest.spec;
    assert_eq!(&**spec.agent_id(), "edge-agent");
    assert_eq!((spec.strategy(), spec.replicas(), spec.tier()), (StrategyKind::Rolling, 1, Tier::Standard));
    let probe = |probe: &Probe| {
        (
            probe.endpoint.to_string(),
            probe.interval.to_string(),
            probe.timeout.to_string(),
            probe.failure_threshold,
        )
    };
    assert_eq!(probe(spec.health_check()), ("/ready".into(), "5s".into(), "3s".into(), 2));
    assert_eq!(probe(spec.liveness()), ("/health".into(), "10s".into(), "5s".into(), 3));
    assert_eq!((spec.template(), spec.adopt()), (None, None));
    let room = Room { max_surge: Amount::Replicas(1), max_unavailable: Amount::Replicas(0) };
    assert_eq!(*spec.rolling(), Rolling { room, window: minutes(5), readiness_attempts: 3 });
    let blue_green = BlueGreen {
        validate: minutes(15),
        monitor: minutes(30),
        scale_down_after: minutes(60),
        keep_for: minutes(24 * 60),
        auto_promote: true,
    };
    assert_eq!(*spec.blue_green(), blue_green);
    let canary = spec.canary();
    let steps: Vec<_> = canary.steps.iter().map(|step| (step.weight.get(), step.bake.to_string())).collect();
    assert_eq!(steps, [(10, "30m".into()), (50, "1h".into()), (100, "30m".into())]);
    assert!(canary.steps.iter().all(|step| !step.approval && step.scale.is_none()));
    assert_eq!((canary.room, canary.dynamic_stable_scale), (room, false));
    assert_eq!(canary.scale_down_delay, Millis::from_secs(30));
    assert_eq!((spec.traffic().provider, &*spec.traffic().service), (TrafficProvider::Service, "edge-agent"));
    assert_eq!(spec.analysis().checks, None);
    assert_eq!(spec.analysis().plan(Vec::new()), crate::analysis::AnalysisPlan::default());
    assert!(spec.hooks().is_empty() && !spec.paused());
    assert_eq!((spec.drain(), spec.progress_deadline()), (Millis::from_secs(5), minutes(10)));
    assert_eq!(spec.revision_history_limit(), 10);
}

/// The manifest as the documentation shows it: every field, with its default.
const FULL: &str = r#"
apiVersion: enis.andaon.com/v1
kind: AgentDeployment
metadata: {name: edge-agent, namespace: edge, labels: {team: a}, annotations: {x: "y"}}
spec:
  agentId: edge-agent
  version: 1.5.0
  strategy: rolling
  replicas: 1
  tier: standard
  healthCheck: {endpoint: /ready, interval: 5s, timeout: 3s, failureThreshold: 2}
  liveness: {endpoint: /health, interval: 10s, timeout: 5s, failureThreshold: 3}
  rolling:   {maxSurge: 1, maxUnavailable: 0, window: 5m, readinessAttempts: 3}
  blueGreen: {validate: 15m, monitor: 30m, scaleDownAfter: 1h, keepFor: 24h, autoPromote: true}
  canary:    {steps: [{setWeight: 10, bake: 30m}, {setWeight: 50, bake: 1h}, {setWeight: 100, bake: 30m}], maxSurge: 1,
              maxUnavailable: 0, dynamicStableScale: false, scaleDownDelay: 30s}
  traffic:   {provider: service, service: edge-agent}
  analysis:  {interval: 10s, window: 5m, minRequests: 500, failureLimit: 0, inconclusiveLimit: 3, consecutiveErrorLimit: 4,
              consecutiveSuccessLimit: 0, initialDelay: 0s, queries: {}}
  hooks:     []
  drain: 5s
  progressDeadline: 10m
  revisionHistoryLimit: 10
  paused: false
status:
  phase: healthy
"#;

#[test]
fn every_field_written_with_its_default_is_the_same_as_nothing_written() {
    let full = Manifest::from_yaml(FULL).unwrap();
    assert_eq!(full.spec, spec(""));
    assert_eq!(&*full.namespace, "edge");
}

#[test]
fn every_field_is_read() {
    let text = manifest(
        r#"agentId: Agent_1, version: v2.0.0, strategy: canary, replicas: 10, tier: enterprise,
        healthCheck: {endpoint: /r, interval: 1s, timeout: 250ms, failureThreshold: 5},
        liveness: {endpoint: /l, interval: 2s, timeout: 1s, failureThreshold: 6},
        template: {command: [agent, --fast], env: {A: "1"}}, adopt: {deployment: old-agent},
        rolling: {maxSurge: 25%, maxUnavailable: 3, window: 10s, readinessAttempts: 1},
        blueGreen: {validate: 1s, monitor: 2s, scaleDownAfter: 3s, keepFor: 4s, autoPromote: false},
        canary: {steps: [{setWeight: 0, approval: true, canaryScale: {replicas: 1}}, {setWeight: 20, bake: 5s, canaryScale: {percent: 40}},
                         {setWeight: 20, canaryScale: {matchWeight: true}}], maxSurge: 2, dynamicStableScale: true, scaleDownDelay: 1s},
        traffic: {provider: istio, service: svc, virtualService: {name: vs, routes: [primary]}},
        analysis: {interval: 1s, window: 30s, minRequests: 5, checks: ["error_rate < 2%", "queue < 10"], failureLimit: 1,
                   inconclusiveLimit: 2, consecutiveErrorLimit: 3, consecutiveSuccessLimit: 4, initialDelay: 5s, queries: {queue: "sum(queue)"}},
        hooks: [{on: smoke, url: "https://h/x", timeout: 5s, onFailure: continue}, {on: pre-deploy, url: "http://h"}],
        drain: 1s, progressDeadline: 2m, revisionHistoryLimit: 3, paused: true"#,
    );
    let spec = Manifest::from_yaml(&text).unwrap().spec;
    assert_eq!((&**spec.agent_id(), spec.version().to_string()), ("Agent_1", "2.0.0".to_owned()));
    assert_eq!((spec.strategy(), spec.replicas(), spec.tier()), (StrategyKind::Canary, 10, Tier::Enterprise));
    assert_eq!((spec.health_check().timeout, spec.liveness().failure_threshold), (Millis(250), 6));
    assert_eq!(**spec.template().unwrap(), json!({"command": ["agent", "--fast"], "env": {"A": "1"}}));
    assert_eq!(spec.adopt().map(|name| &**name), Some("old-agent"));
    let room = Room { max_surge: Amount::Percent(25), max_unavailable: Amount::Replicas(3) };
    assert_eq!(*spec.rolling(), Rolling { room, window: Millis(10_000), readiness_attempts: 1 });
    assert_eq!((spec.blue_green().keep_for, spec.blue_green().auto_promote), (Millis(4000), false));
    let weight = |percent| Weight::new(percent).unwrap();
    let step = |percent, bake, approval, scale| CanaryStep { weight: weight(percent), bake, approval, scale };
    let steps = [
        step(0, minutes(30), true, Some(Size::Exactly(1))),
        step(20, Millis(5000), false, Some(Size::Share(weight(40)))),
        step(20, minutes(30), false, None),
    ];
    assert_eq!(spec.canary().steps, steps);
    assert_eq!(
        (spec.canary().room.max_surge, spec.canary().dynamic_stable_scale),
        (Amount::Replicas(2), true)
    );
    let traffic = spec.traffic();
    assert_eq!((traffic.provider, &*traffic.service), (TrafficProvider::Istio, "svc"));
    assert_eq!(
        serde_json::to_value(&traffic.settings).unwrap(),
        json!({"virtualService": {"name": "vs", "routes": ["primary"]}})
    );
    let analysis = spec.analysis().plan(vec!["no_critical_alerts".parse().unwrap()]);
    assert_eq!(
        (analysis.interval, analysis.window, analysis.min_requests),
        (Millis(1000), Millis(30_000), 5)
    );
    assert_eq!((analysis.failure_limit, analysis.inconclusive_limit), (1, 2));
    assert_eq!((analysis.consecutive_error_limit, analysis.consecutive_success_limit), (3, 4));
    assert_eq!(analysis.initial_delay, Millis(5000));
    let checks: Vec<String> = analysis.checks.iter().map(ToString::to_string).collect();
    assert_eq!(checks, ["error_rate < 2%", "queue < 10"]);
    assert_eq!(analysis.queries, [("queue".into(), "sum(queue)".into())]);
    let hooks: Vec<_> =
        spec.hooks().iter().map(|hook| (hook.on, &*hook.url, hook.timeout, hook.aborts)).collect();
    let wanted = [
        (HookPoint::Smoke, "https://h/x", Millis(5000), false),
        (HookPoint::PreDeploy, "http://h", Millis(30_000), true),
    ];
    assert_eq!(hooks, wanted);
    assert_eq!(
        (spec.drain(), spec.progress_deadline(), spec.revision_history_limit()),
        (Millis(1000), minutes(2), 3)
    );
    assert!(spec.paused());
}

#[test]
fn a_given_list_of_checks_replaces_the_default_and_an_empty_one_is_none() {
    let default = || vec!["error_rate < 5%".parse().unwrap()];
    assert_eq!(spec("").analysis().plan(default()).checks, default());
    assert_eq!(spec("analysis: {checks: []}").analysis().plan(default()).checks, []);
    assert_eq!(spec("analysis: {checks: null}").analysis().plan(default()).checks, default());
}

#[test]
fn versions_are_normalised() {
    for (written, version) in [
        ("1.5.0", "1.5.0"),
        ("v2.0.0", "2.0.0"),
        ("\"1.5\"", "1.5.0"),
        ("\"1.10\"", "1.10.0"),
        ("v3", "3.0.0"),
    ] {
        let text = manifest(&format!("version: {written}"));
        assert_eq!(Manifest::from_yaml(&text).unwrap().spec.version().to_string(), version, "{written}");
    }
}

#[test]
fn blue_is_kept_at_least_as_long_as_its_replicas() {
    assert_eq!(spec("blueGreen: {scaleDownAfter: 48h}").blue_green().keep_for, minutes(48 * 60));
    assert_eq!(spec("blueGreen: {scaleDownAfter: 1m, keepFor: 1m}").blue_green().keep_for, minutes(1));
}

#[test]
fn an_empty_list_of_steps_is_straight_to_100() {
    assert!(spec("canary: {steps: []}").canary().steps.is_empty());
}

#[test]
fn percentages_that_only_round_to_zero_are_accepted() {
    let room = spec("replicas: 3, rolling: {maxSurge: 0, maxUnavailable: 1%}").rolling().room;
    assert_eq!(room, Room { max_surge: Amount::Replicas(0), max_unavailable: Amount::Percent(1) });
}

#[test]
fn a_field_written_as_null_is_not_written() {
    assert_eq!(spec("canary: null, replicas: ~, hooks: null, template: null"), spec(""));
}

#[test]
fn json_is_read_too() {
    let json = r#"{"apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment",
	"metadata": {"name": "edge-agent"}, "spec": {"version": "1.5.0", "agentId": "edge\u002dagent"}}"#;
    assert_eq!(Manifest::from_yaml(json).unwrap().spec, spec(""));
    assert_eq!(Manifest::from_yaml(&format!("\u{feff}{json}")).unwrap().spec, spec(""));
    let value = serde_json::from_str(json).unwrap();
    assert_eq!(Manifest::from_value(value).unwrap().spec, spec(""));
}

#[test]
fn a_yaml_mapping_in_braces_is_not_taken_for_json() {
    let text = "{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {name: edge-agent}, spec: {version: 1.5.0}}";
    assert_eq!(Manifest::from_yaml(text).unwrap().spec, spec(""));
}

#[test]
fn one_document_may_have_its_marks() {
    for text in [
        format!("---\n{}", manifest("version: 1.5.0")),
        format!("{}---\n", manifest("version: 1.5.0")),
        format!("# c\n{}...\n", manifest("version: 1.5.0")),
    ] {
        assert_eq!(Manifest::from_yaml(&text).map(|manifest| manifest.spec), Ok(spec("")), "{text}");
    }
}

#[test]
fn anchors_and_merges_are_understood() {
    let text = format!(
        "{HEAD}spec:\n  version: 1.5.0\n  healthCheck: &probe {{interval: 7s}}\n  liveness:\n    <<: *probe\n    timeout: 1s\n"
    );
    let spec = Manifest::from_yaml(&text).unwrap().spec;
    assert_eq!((spec.liveness().interval, spec.liveness().timeout), (Millis(7000), Millis(1000)));
}

#[test]
fn only_version_template_and_configuration_make_another_revision() {
    let hash = spec("").revision_hash();
    for same in ["replicas: 20", "paused: true", "strategy: canary", "drain: 1s", "analysis: {checks: []}"] {
        assert_eq!(spec(same).revision_hash(), hash, "{same}");
    }
    assert_ne!(spec("template: {command: [a]}").revision_hash(), hash);
    assert_ne!(spec("").with_version("1.5.1".parse().unwrap()).revision_hash(), hash);
    assert_ne!(spec("").with_configuration(json!({"A": "1"})).revision_hash(), hash);
    assert_ne!(spec("").or_template(json!({"command": ["a"]})).revision_hash(), hash);
    let own = spec("template: {command: [a]}");
    assert_eq!(own.clone().or_template(json!({"command": ["b"]})), own);
}

#[test]
fn the_wish_for_the_machine_is_the_spec_s() {
    let desired = spec("replicas: 7, paused: true").desired(Mode::Ratio);
    assert_eq!((desired.replicas, desired.paused, desired.mode), (7, true, Mode::Ratio));
    assert_eq!(
        (desired.version.to_string(), &*desired.hash),
        ("1.5.0".to_owned(), &*spec("").revision_hash())
    );
}
