//! The sections of the spec.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{rules, value};

/// How a replica is asked over HTTP whether it is ready, or alive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Probe {
    /// Path of the GET request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::endpoint")]
    pub endpoint: Option<String>,

    /// Between two probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span")]
    pub interval: Option<String>,

    /// How long an answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span")]
    pub timeout: Option<String>,

    /// So many failed probes in a row are a failed verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i64>,
}

/// The strategy rolling: replica by replica.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::room)]
#[non_exhaustive]
pub struct Rolling {
    /// Replicas above the desired number, as a number or a percentage; a percentage rounds up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::amount", extend("default" = 1))]
    pub max_surge: Option<IntOrString>,

    /// Replicas below the desired number, as a number or a percentage; a percentage rounds down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::amount", extend("default" = 0))]
    pub max_unavailable: Option<IntOrString>,

    /// How long the new replicas must hold when all of them run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "5m"))]
    pub window: Option<String>,

    /// After this many failed readiness verdicts of one new replica the rollout goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 3))]
    pub readiness_attempts: Option<i64>,
}

/// The strategy blue-green: a whole second set, and one switch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::blue_green)]
#[non_exhaustive]
pub struct BlueGreen {
    /// How long green must hold before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "15m"))]
    pub validate: Option<String>,

    /// How long green must hold after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "30m"))]
    pub monitor: Option<String>,

    /// How long after the switch blue keeps its replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "1h"))]
    pub scale_down_after: Option<String>,

    /// How long after the switch blue is kept for rollback; 24h unless written, never less than
    /// scaleDownAfter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration")]
    pub keep_for: Option<String>,

    /// Does a validated green switch by itself, or wait for the command promote?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub auto_promote: Option<bool>,
}

/// The strategy canary: a growing share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::room)]
#[non_exhaustive]
pub struct Canary {
    /// The steps, with weights that never fall; an empty list is straight to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), transform = rules::steps, extend("default" = default_steps()))]
    pub steps: Option<Vec<CanaryStep>>,

    /// Replicas above the desired number where the weight is the share of replicas, as a number or a
    /// percentage; a percentage rounds up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::amount", extend("default" = 1))]
    pub max_surge: Option<IntOrString>,

    /// Replicas below the desired number where the weight is the share of replicas, as a number or a
    /// percentage; a percentage rounds down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::amount", extend("default" = 0))]
    pub max_unavailable: Option<IntOrString>,

    /// Does stable shrink as the canary grows?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub dynamic_stable_scale: Option<bool>,

    /// How long the old replicas stay after promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "30s"))]
    pub scale_down_delay: Option<String>,
}

/// One step of a canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::step)]
#[non_exhaustive]
pub struct CanaryStep {
    /// Share of the traffic, in percent; never less than in the step before.
    #[schemars(range(min = 0, max = 100))]
    pub set_weight: i64,

    /// How long it must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "30m"))]
    pub bake: Option<String>,

    /// Does the step pause at its end until somebody commands promote?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,

    /// Another size than the weight asks for; never too small for the weight. Needs a router that splits
    /// by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_scale: Option<CanaryScale>,
}

/// The size of a canary: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::canary_scale)]
#[non_exhaustive]
pub struct CanaryScale {
    /// This many replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub replicas: Option<i64>,

    /// This share of the desired number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i64>,

    /// What the weight asks for; only true is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_weight: Option<bool>,
}

/// What carries the split of the traffic. A provider other than service takes fields of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("maxProperties" = 64))]
#[non_exhaustive]
pub struct Traffic {
    /// service, istio, gateway-api or flagger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::provider", extend("default" = "service"))]
    pub provider: Option<String>,

    /// Name of the Service; the object's own name unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::name")]
    pub service: Option<String>,

    /// The provider's own fields.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Value>,
}

/// What is taken over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Adopt {
    /// Name of the Deployment.
    #[schemars(schema_with = "value::name")]
    pub deployment: String,
}

/// How health is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::analysis)]
#[non_exhaustive]
pub struct Analysis {
    /// Between two looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span", extend("default" = "10s"))]
    pub interval: Option<String>,

    /// What a look judges; not shorter than the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span", extend("default" = "5m"))]
    pub window: Option<String>,

    /// Requests on each side; with fewer a check waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000), extend("default" = 500))]
    pub min_requests: Option<i64>,

    /// Checks like "error_rate < 1%"; the strategy's own unless written, an empty list is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::checks")]
    pub checks: Option<Vec<String>>,

    /// Failed looks that are tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub failure_limit: Option<i64>,

    /// Looks that cannot be compared and are tolerated; with more the rollout pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 3))]
    pub inconclusive_limit: Option<i64>,

    /// Failures of the source in a row that are tolerated; with more the rollout pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 4))]
    pub consecutive_error_limit: Option<i64>,

    /// Good looks in a row that wipe out failed ones; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 0))]
    pub consecutive_success_limit: Option<i64>,

    /// No look at a step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "0s"))]
    pub initial_delay: Option<String>,

    /// Names for questions in the language of the metrics, for checks like "queue_depth < 100".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::queries")]
    pub queries: Option<BTreeMap<String, String>>,

    /// Checks that count requests are judged by all that came since the step began, look by look, and the rollout goes
    /// back as soon as the evidence suffices. Without it they are judged by the trailing window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,

    /// Checks that are measured and told, and decide nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::checks")]
    pub dry_run: Option<Vec<String>>,
}

/// The rules of the sequential judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sequential {
    /// How probable it may be that a whole rollout of a version as good as stable goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::probability", extend("default" = 0.01))]
    pub alpha: Option<f64>,

    /// The temper for failures that come in clumps: 1 where they are independent. Measured on stable unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::eta")]
    pub eta: Option<f64>,

    /// A step ends early once its checks are certainly not so many times worse than stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_pass: Option<EarlyPass>,
}

/// When a step ends early.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EarlyPass {
    /// The ratio of rates that is to be ruled out.
    #[schemars(schema_with = "value::ratio")]
    pub ratio: f64,

    /// How probable it may be that a version that is so much worse passes early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::probability", extend("default" = 0.01))]
    pub beta: Option<f64>,
}

/// A URL that is called at a point of every rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Hook {
    /// When it is called.
    #[schemars(schema_with = "value::hook_point")]
    pub on: String,

    /// What is called, by POST.
    #[schemars(schema_with = "value::url")]
    pub url: String,

    /// How long an answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span", extend("default" = "30s"))]
    pub timeout: Option<String>,

    /// What a failure does: abort sends the rollout back, continue tells and goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::reaction", extend("default" = "abort"))]
    pub on_failure: Option<String>,
}

/// 10 % for 30 min, 50 % for 1 h, 100 % for 30 min.
fn default_steps() -> Value {
    let step = |(weight, bake): (u32, &str)| json!({"setWeight": weight, "bake": bake});
    [(10, "30m"), (50, "1h"), (100, "30m")].map(step).into()
}

/// The defaults of a readiness probe.
pub(super) fn readiness(schema: &mut Schema) {
    probe(schema, &json!({"endpoint": "/ready", "interval": "5s", "timeout": "3s", "failureThreshold": 2}));
}

/// The defaults of a liveness probe.
pub(super) fn liveness(schema: &mut Schema) {
    probe(schema, &json!({"endpoint": "/health", "interval": "10s", "timeout": "5s", "failureThreshold": 3}));
}

fn probe(schema: &mut Schema, defaults: &Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in properties.into_iter().flatten() {
        field["default"] = defaults[name].clone();
    }
}
