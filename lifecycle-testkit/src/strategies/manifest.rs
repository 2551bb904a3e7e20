//! Specs: every strategy, small numbers of replicas, short times.

use lifecycle_core::spec::Manifest;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scenario::hook_url;

/// The names of the strategies.
const STRATEGIES: [&str; 4] = ["rolling", "blue-green", "canary", "recreate"];

/// Valid manifests of every strategy, version 1.5.0, 1 to 8 replicas, with bakes and windows of seconds
/// to minutes.
pub fn manifests() -> impl Strategy<Value = Manifest> {
    prop::sample::select(STRATEGIES.to_vec()).prop_flat_map(manifests_of)
}

/// The same of one strategy, by its name.
pub fn manifests_of(strategy: &'static str) -> impl Strategy<Value = Manifest> {
    (spec(strategy), 0..u8::MAX).prop_filter_map("the spec contradicts itself", move |(spec, _)| {
        let manifest = json!({
            "apiVersion": "enis.andaon.com/v1",
            "kind": "AgentDeployment",
            "metadata": {"name": "edge-agent"},
            "spec": spec,
        });
        Manifest::from_value(manifest).ok()
    })
}

fn spec(strategy: &'static str) -> impl Strategy<Value = Value> {
    let hooks = prop_oneof![3 => Just(Vec::new()), 1 => vec(hook(), 1..=3)];
    (1u32..=8, own(strategy), analysis(strategy), 0u64..=10, 120u64..=600, hooks).prop_map(
        move |(replicas, own, analysis, drain, deadline, hooks)| {
            let mut spec = json!({
                "agentId": "edge-agent",
                "version": "1.5.0",
                "strategy": strategy,
                "replicas": replicas,
                "analysis": analysis,
                "drain": seconds(drain),
                "progressDeadline": seconds(deadline),
                "hooks": hooks,
            });
            let section = match strategy {
                "blue-green" => "blueGreen",
                "canary" => "canary",
                _ => "rolling",
            };
            spec[section] = own;
            spec
        },
    )
}

fn hook() -> impl Strategy<Value = Value> {
    let points = vec![
        "pre-deploy",
        "post-deploy",
        "pre-switch",
        "post-switch",
        "pre-phase",
        "post-phase",
        "smoke",
        "integration",
    ];
    (prop::sample::select(points), 0usize..4, 5u64..=60, any::<bool>()).prop_map(
        |(on, at, timeout, aborts)| {
            json!({
                "on": on,
                "url": hook_url(at),
                "timeout": seconds(timeout),
                "onFailure": if aborts { "abort" } else { "continue" },
            })
        },
    )
}

fn seconds(s: u64) -> String {
    format!("{s}s")
}

/// The strategy's own section.
fn own(strategy: &'static str) -> BoxedStrategy<Value> {
    match strategy {
        "blue-green" => (20u64..=120, 20u64..=120, 60u64..=300, 0u64..=300)
            .prop_map(|(validate, monitor, after, keep)| {
                json!({
                    "validate": seconds(validate),
                    "monitor": seconds(monitor),
                    "scaleDownAfter": seconds(after),
                    "keepFor": seconds(after + keep),
                })
            })
            .boxed(),
        "canary" => (vec((1u32..=100, 10u64..=120), 1..=3), limits(), any::<bool>(), 0u64..=60)
            .prop_map(|(mut steps, (surge, unavailable), dynamic, delay)| {
                steps.sort_unstable();
                let steps: Vec<Value> = steps
                    .iter()
                    .map(|(weight, bake)| json!({"setWeight": weight, "bake": seconds(*bake)}))
                    .collect();
                json!({
                    "steps": steps,
                    "maxSurge": surge,
                    "maxUnavailable": unavailable,
                    "dynamicStableScale": dynamic,
                    "scaleDownDelay": seconds(delay),
                })
            })
            .boxed(),
        "recreate" => (10u64..=120).prop_map(|window| json!({"window": seconds(window)})).boxed(),
        _ => (limits(), 10u64..=120, 1u32..=4)
            .prop_map(|((surge, unavailable), window, attempts)| {
                json!({
                    "maxSurge": surge,
                    "maxUnavailable": unavailable,
                    "window": seconds(window),
                    "readinessAttempts": attempts,
                })
            })
            .boxed(),
    }
}

/// maxSurge and maxUnavailable, not both zero.
fn limits() -> impl Strategy<Value = (Value, Value)> {
    let amount =
        || prop_oneof![(0u32..=4).prop_map(|n| json!(n)), (0u32..=100).prop_map(|p| json!(format!("{p}%")))];
    (amount(), amount()).prop_filter("both are zero", |(surge, unavailable)| {
        let zero = |value: &Value| *value == json!(0) || *value == json!("0%");
        !(zero(surge) && zero(unavailable))
    })
}

fn analysis(strategy: &'static str) -> impl Strategy<Value = Value> {
    let checks: Vec<Vec<&'static str>> = vec![
        vec![],
        vec!["error_rate < 5%"],
        vec!["error_rate < 1%", "no_critical_alerts"],
        vec!["error_rate < 5%", "error_rate_stable < 20%", "request_rate > 0.01/s"],
        vec!["error_rate_stable < 20%"],
        if strategy == "recreate" || strategy == "rolling" {
            vec!["success_rate > 95%", "p95_latency < 500ms"]
        } else {
            vec!["error_rate < 1%", "p95_latency < 2x stable"]
        },
    ];
    (prop::sample::select(checks), 30u64..=120, 50u64..=500).prop_map(|(checks, window, requests)| {
        json!({"interval": "10s", "window": seconds(window), "minRequests": requests, "checks": checks})
    })
}
