//! Rules between fields, for the API server. Each names the fields and says what would be accepted.

use kube::core::Rule;
use schemars::Schema;
use serde_json::{Value, json};

use super::value::{ALERTS_CHECK, OWN_METRIC, is_duration, matches, rule};
use crate::names;

/// Written as zero.
const ZERO: &str = "['0', '0%']";

/// The rule on the object's own name.
pub(super) fn name() -> Rule {
    let holds = format!(
        "{} && self.metadata.name.size() <= {}",
        matches("self.metadata.name", "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        names::MAX_NAME,
    );
    let message = format!(
        "metadata.name is not a name: write lower-case letters, digits and inner hyphens, at most {} characters, \
         because Deployments and pods are named after it",
        names::MAX_NAME,
    );
    Rule::new(holds).message(message.as_str())
}

fn add(schema: &mut Schema, rules: impl IntoIterator<Item = Value>) {
    let list = schema.ensure_object().entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.extend(rules);
    }
}

/// The same rule, reported at this field.
fn at(field: &str, mut rule: Value) -> Value {
    rule["fieldPath"] = field.into();
    rule
}

/// Of the spec as a whole.
pub(super) fn spec(schema: &mut Schema) {
    let whole = |section: &str, strategy: &str| {
        let holds = format!(
            "self.tier != 'enterprise' || self.strategy != '{strategy}' || !has(self.{section}) || \
             string(self.{section}.maxUnavailable) in {ZERO}"
        );
        let message = "more than 0 lets fewer replicas serve than are asked for, and tier enterprise accepts no downtime: \
            write 0 (and maxSurge 1 or more)";
        at(&format!(".{section}.maxUnavailable"), rule(holds, message))
    };
    let carried = "!has(self.canary) || !has(self.canary.steps) || self.canary.steps.all(step, \
        !has(step.canaryScale) || !has(step.canaryScale.replicas) || \
        step.canaryScale.replicas * 100 >= step.setWeight * self.replicas)";
    add(
        schema,
        [
            at(
                ".strategy",
                rule(
                    "self.tier != 'enterprise' || self.strategy != 'recreate'",
                    "recreate has downtime, and tier enterprise accepts none: write rolling, blue-green or canary",
                ),
            ),
            whole("rolling", "rolling"),
            whole("canary", "canary"),
            at(
                ".canary.steps",
                rule(
                    carried,
                    "canaryScale.replicas cannot carry its setWeight: write at least setWeight percent of replicas",
                ),
            ),
        ],
    );
}

/// `maxSurge` and `maxUnavailable`.
pub(super) fn room(schema: &mut Schema) {
    let holds = format!("!(string(self.maxSurge) in {ZERO} && string(self.maxUnavailable) in {ZERO})");
    let message =
        "maxSurge and maxUnavailable are both 0, and nothing could move: make one of them at least 1 or 1%";
    add(schema, [at(".maxSurge", rule(holds, message))]);
}

/// `blueGreen`.
pub(super) fn blue_green(schema: &mut Schema) {
    let holds = not_shorter("keepFor", "scaleDownAfter");
    let message = "keepFor is shorter than scaleDownAfter: write at least that";
    add(schema, [at(".keepFor", rule(format!("!has(self.keepFor) || {holds}"), message))]);
}

/// Both are durations and the first is not shorter. (What is no duration is told by a rule of its own.)
fn not_shorter(long: &str, short: &str) -> String {
    let (long, short) = (format!("self.{long}"), format!("self.{short}"));
    format!(
        "!({}) || !({}) || duration({long}) >= duration({short})",
        is_duration(&long),
        is_duration(&short)
    )
}

/// The list of a canary's steps.
pub(super) fn steps(schema: &mut Schema) {
    let message = "setWeight falls from one step to the next: write the same or more";
    add(schema, [rule("self.map(step, step.setWeight).isSorted()", message)]);
}

/// One step of a canary.
pub(super) fn step(schema: &mut Schema) {
    let holds = "!has(self.canaryScale) || !has(self.canaryScale.percent) || \
        self.canaryScale.percent >= self.setWeight";
    let message = "canaryScale.percent cannot carry setWeight: write at least as much";
    add(schema, [at(".canaryScale", rule(holds, message))]);
}

/// `canaryScale`.
pub(super) fn canary_scale(schema: &mut Schema) {
    let holds = "[has(self.replicas), has(self.percent), has(self.matchWeight)].filter(is, is).size() == 1 && \
        (!has(self.matchWeight) || self.matchWeight)";
    add(schema, [rule(holds, "write exactly one of replicas: N, percent: 0 to 100, matchWeight: true")]);
}

/// `analysis`.
pub(super) fn analysis(schema: &mut Schema) {
    let known = |list: &str| {
        format!(
            "!has(self.{list}) || self.{list}.all(check, {} || {} || (has(self.queries) && \
             self.queries.exists(name, check.matches('^[ \\t]*' + name + '[ \\t]*[<>]'))))",
            matches("check", &format!(r"^[ \t]*{OWN_METRIC}[ \t]*[<>]")),
            matches("check", ALERTS_CHECK),
        )
    };
    let unknown = "a check names no metric that is there: accepted are error_rate, success_rate, p50_latency, \
        p90_latency, p95_latency, p99_latency, no_critical_alerts and the names in queries";
    add(
        schema,
        [
            at(
                ".window",
                rule(
                    not_shorter("window", "interval"),
                    "window is shorter than interval: write at least that",
                ),
            ),
            at(".checks", rule(known("checks"), unknown)),
            at(".dryRun", rule(known("dryRun"), unknown)),
        ],
    );
}
