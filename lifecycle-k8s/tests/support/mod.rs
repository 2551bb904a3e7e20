//! Specs for tests: drawn at random, valid and otherwise.
#![allow(dead_code, reason = "each test uses what it needs")]

pub(crate) mod refused;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// A manifest with this spec.
pub(crate) fn manifest(spec: &Value) -> Value {
    json!({
        "apiVersion": "enis.andaon.com/v1",
        "kind": "AgentDeployment",
        "metadata": {"name": "edge-agent", "namespace": "default"},
        "spec": spec,
    })
}

/// Some of these fields, now and then one of them as null.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let field = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        let written = prop_oneof![5 => value.prop_map(Some), 4 => Just(None), 1 => Just(Some(Value::Null))];
        written.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>()))
}

fn whole(range: std::ops::RangeInclusive<u32>) -> BoxedStrategy<Value> {
    range.prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(words).prop_map(Value::from).boxed()
}

fn text(pattern: &'static str) -> BoxedStrategy<Value> {
    pattern.prop_map(Value::from).boxed()
}

fn duration() -> BoxedStrategy<Value> {
    text("([0-9]{1,3}h)?([0-9]{1,4}m)?[0-9]{1,6}s([0-9]{1,5}ms)?")
}

fn time_span() -> BoxedStrategy<Value> {
    text("([0-9]{1,2}h)?([0-9]{1,3}m)?[1-9][0-9]{0,4}s|[1-9][0-9]{0,3}ms")
}

fn amount() -> BoxedStrategy<Value> {
    prop_oneof![whole(0..=100_000), (0u32..=100).prop_map(|p| json!(format!("{p}%")))].boxed()
}

fn name() -> BoxedStrategy<Value> {
    text("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
}

fn version() -> BoxedStrategy<Value> {
    let identifier = "(0|[1-9][0-9]{0,3}|[0-9]{0,3}[A-Za-z-][0-9A-Za-z-]{0,3})";
    let pattern = format!(
        r"[vV]?(0|[1-9][0-9]{{0,6}})(\.(0|[1-9][0-9]{{0,6}})){{0,2}}(-{identifier}(\.{identifier}){{0,2}})?(\+[0-9A-Za-z-]{{1,4}})?"
    );
    proptest::string::string_regex(&pattern).unwrap().prop_map(Value::from).boxed()
}

fn probe() -> BoxedStrategy<Value> {
    let fields = vec![
        ("endpoint", text("/[!-~]{0,20}")),
        ("interval", time_span()),
        ("timeout", time_span()),
        ("failureThreshold", whole(1..=1000)),
    ];
    some_of(fields).boxed()
}

fn step() -> impl Strategy<Value = Value> {
    let scale = prop_oneof![
        Just(json!({"percent": 100})),
        Just(json!({"matchWeight": true})),
        (0u32..=20).prop_map(|n| json!({"replicas": n})),
    ];
    let rest = some_of(vec![("bake", duration()), ("approval", boolean()), ("canaryScale", scale.boxed())]);
    (0u32..=100, rest).prop_map(|(weight, mut step)| {
        step["setWeight"] = weight.into();
        step
    })
}

fn steps() -> BoxedStrategy<Value> {
    let list = vec(step(), 0..5).prop_map(|mut steps| {
        steps.sort_by_key(|step| step["setWeight"].as_u64());
        Value::from(steps)
    });
    list.boxed()
}

fn check() -> BoxedStrategy<Value> {
    text(
        r"(error_rate|success_rate_canary) ?(<|<=|>|>=) ?(0\.[0-9]{1,3}|[0-9]{1,2}%|1\.2 ?x ?stable)|[ \t]?(p(50|95)_latency|latency_p99_canary)(<|<=)([1-9][0-9]{0,2}(us|ms|s|m)|\.5s|2X baseline)|no_critical_alerts ?",
    )
}

fn template() -> BoxedStrategy<Value> {
    text("[a-z]{1,5}:[0-9]")
        .prop_map(|image| {
            let container =
                json!({"name": "app", "image": image, "ports": [{"containerPort": 8080}], "x": [1.5, null]});
            json!({"metadata": {"labels": {"team": "a"}}, "spec": {"containers": [container]}})
        })
        .boxed()
}

fn analysis() -> BoxedStrategy<Value> {
    let limit = || whole(0..=1_000_000);
    let queries = btree_map("[a-z_][a-z0-9_]{3,9}_q", "[a-z({]{1,9}", 0..3).prop_map(|map| json!(map));
    some_of(vec![
        ("interval", time_span()),
        ("window", time_span()),
        ("minRequests", whole(0..=1_000_000_000)),
        ("checks", vec(check(), 0..4).prop_map(Value::from).boxed()),
        ("failureLimit", limit()),
        ("inconclusiveLimit", limit()),
        ("consecutiveErrorLimit", limit()),
        ("consecutiveSuccessLimit", limit()),
        ("initialDelay", duration()),
        ("queries", queries.boxed()),
    ])
    .boxed()
}

fn hook() -> impl Strategy<Value = Value> {
    let points = &[
        "pre-deploy",
        "post-deploy",
        "pre-switch",
        "post-switch",
        "pre-phase",
        "post-phase",
        "smoke",
        "integration",
    ];
    let rest = some_of(vec![("timeout", time_span()), ("onFailure", word(&["abort", "continue"]))]);
    (word(points), text("https?://[a-z0-9\\[][!-~]{0,30}"), rest).prop_map(|(on, url, mut hook)| {
        (hook["on"], hook["url"]) = (on, url);
        hook
    })
}

fn traffic() -> BoxedStrategy<Value> {
    let own = some_of(vec![("provider", Just(json!("service")).boxed()), ("service", name())]);
    let other = (word(&["istio", "gateway-api", "flagger"]), name()).prop_map(|(provider, route)| {
        json!({"provider": provider, "virtualService": {"name": route, "routes": ["primary"]}, "httpRoute": route})
    });
    prop_oneof![own, other].boxed()
}

/// Every field of a spec with values of its own kind; a few of the specs contradict themselves.
pub(crate) fn specs() -> impl Strategy<Value = Value> {
    let rolling = || {
        some_of(vec![
            ("maxSurge", amount()),
            ("maxUnavailable", amount()),
            ("window", duration()),
            ("readinessAttempts", whole(1..=1000)),
        ])
    };
    let blue_green = some_of(vec![
        ("validate", duration()),
        ("monitor", duration()),
        ("scaleDownAfter", duration()),
        ("keepFor", duration()),
        ("autoPromote", boolean()),
    ]);
    let canary = some_of(vec![
        ("steps", steps()),
        ("maxSurge", amount()),
        ("maxUnavailable", amount()),
        ("dynamicStableScale", boolean()),
        ("scaleDownDelay", duration()),
    ]);
    let rest = some_of(vec![
        ("agentId", text("[A-Za-z0-9]([-_.A-Za-z0-9]{0,20}[A-Za-z0-9])?")),
        ("strategy", word(&["rolling", "blue-green", "canary", "recreate"])),
        ("replicas", whole(1..=30)),
        ("tier", word(&["standard", "enterprise"])),
        ("healthCheck", probe()),
        ("liveness", probe()),
        ("template", template()),
        ("adopt", name().prop_map(|name| json!({"deployment": name})).boxed()),
        ("rolling", rolling().boxed()),
        ("blueGreen", blue_green.boxed()),
        ("canary", canary.boxed()),
        ("traffic", traffic()),
        ("analysis", analysis()),
        ("hooks", vec(hook(), 0..3).prop_map(Value::from).boxed()),
        ("drain", duration()),
        ("progressDeadline", time_span()),
        ("revisionHistoryLimit", whole(0..=100)),
        ("paused", boolean()),
    ]);
    (version(), rest).prop_map(|(version, mut spec)| {
        spec["version"] = version;
        spec
    })
}

/// Some value that a field might be given by mistake.
pub(crate) fn odd_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| json!(f64::from(n) / 8.0)),
        (0u32..200).prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[0-9]{1,22}(h|m|s|ms|%|x)?".prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let key = select(&["steps", "setWeight", "maxSurge", "canaryScale", "spec", "url", "checks"][..]);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((key, inner), 0..3).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}
