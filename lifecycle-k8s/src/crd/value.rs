//! The values that stand in fields: for the API server, the language that core's readers accept.
//!
//! Text is held against a rule, not against a `pattern`, because a rule has a message: it says what
//! would be accepted. Where a rule is narrower than core, it is by text that nobody writes (a number of
//! more than 19 digits, `007%`, spaces around a name).

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A semantic version after an optional `v`, minor and patch number may be missing.
const VERSION: &str = concat!(
    r"^\s*[vV]?(0|[1-9][0-9]{0,18})(\.(0|[1-9][0-9]{0,18})){0,2}",
    r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?",
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?\s*$",
);

/// Units in this order, each at most once. (With so many digits no sum overflows.)
const DURATION: &str = "^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,11}ms)?$";

/// A comparison and a number; a metric stands before it, a unit after it.
macro_rules! compared {
    () => {
        r"[ \t]*(<=|>=|<|>)[ \t]*([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?[ \t]*"
    };
}

/// What stands after the number of a relative check.
macro_rules! arm {
    () => {
        r"[xX][ \t]*(stable|baseline)"
    };
}

/// The metrics that need no query.
pub(super) const OWN_METRIC: &str =
    "((error|success)_rate|p(50|90|95|99)_latency|latency_p(50|90|95|99))(_canary)?";

const RATE_CHECK: &str =
    concat!(r"^[ \t]*(error|success)_rate(_canary)?", compared!(), "(%|", arm!(), r")?[ \t]*$");

const LATENCY_CHECK: &str = concat!(
    r"^[ \t]*(p(50|90|95|99)_latency|latency_p(50|90|95|99))(_canary)?",
    compared!(),
    "(us|ms|s|m|",
    arm!(),
    r")[ \t]*$"
);

const QUERY_CHECK: &str = concat!(
    r"^[ \t]*[A-Za-z_][A-Za-z0-9_]*[ \t]*(<=|>=|<|>)[ \t]*-?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?[ \t]*",
    "(",
    arm!(),
    r")?[ \t]*$"
);

/// The check that stands alone.
pub(super) const ALERTS_CHECK: &str = r"^[ \t]*no_critical_alerts[ \t]*$";

/// `subject` matches this pattern, in the API server's language.
pub(super) fn matches(subject: &str, pattern: &str) -> String {
    format!("{subject}.matches(r'{pattern}')")
}

/// `subject` is a duration of at most 366 days.
pub(super) fn is_duration(subject: &str) -> String {
    format!("{subject} != '' && {} && duration({subject}) <= duration('8784h')", matches(subject, DURATION))
}

/// One rule with its message.
pub(super) fn rule(rule: impl Into<String>, message: &str) -> Value {
    json!({"rule": rule.into(), "message": message})
}

/// Text of at most this many characters that a rule holds for.
fn text(longest: usize, holds: String, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": longest,
        "x-kubernetes-validations": [rule(holds, message)],
    })
}

/// One of these words.
fn word(words: &[&str]) -> Schema {
    json_schema!({"type": "string", "enum": words})
}

pub(super) fn version(_: &mut SchemaGenerator) -> Schema {
    let message = "is not a version: write MAJOR.MINOR.PATCH like 1.5.0 (1.5 and v1.5.0 are understood)";
    text(63, matches("self", VERSION), message)
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    let message = "is not a duration: write one like 250ms, 30s, 15m, 1h or 1h30m, at most 366 days";
    text(32, is_duration("self"), message)
}

pub(super) fn time_span(_: &mut SchemaGenerator) -> Schema {
    let message =
        "is not a duration longer than 0s: write one like 250ms, 30s, 15m, 1h or 1h30m, at most 366 days";
    text(32, format!("{} && duration(self) > duration('0s')", is_duration("self")), message)
}

pub(super) fn amount(_: &mut SchemaGenerator) -> Schema {
    let percent = matches("self", "^([0-9]|[1-9][0-9]|100)%$");
    let holds = format!("type(self) == int ? 0 <= self && self <= 100000 : {percent}");
    let message = "is not a number of replicas from 0 to 100000 or a percentage from 0% to 100%, like 25%";
    json_schema!({"x-kubernetes-int-or-string": true, "x-kubernetes-validations": [rule(holds, message)]})
}

pub(super) fn name(_: &mut SchemaGenerator) -> Schema {
    let message = "is not a name: write lower-case letters, digits and inner hyphens, at most 63 characters";
    text(63, matches("self", "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), message)
}

pub(super) fn label(_: &mut SchemaGenerator) -> Schema {
    let message =
        "is not an identifier: write letters, digits and inner '-', '_' or '.', at most 63 characters";
    text(63, matches("self", "^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"), message)
}

pub(super) fn endpoint(_: &mut SchemaGenerator) -> Schema {
    text(1024, matches("self", "^/[!-~]*$"), "is not a path: write one like /ready")
}

pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    let message = "is not a URL: write one like http://host/path or https://host/path";
    text(2048, matches("self", r"^https?://[A-Za-z0-9\[][!-~]*$"), message)
}

pub(super) fn strategy(_: &mut SchemaGenerator) -> Schema {
    word(&["rolling", "blue-green", "canary", "recreate"])
}

pub(super) fn tier(_: &mut SchemaGenerator) -> Schema {
    word(&["standard", "enterprise"])
}

pub(super) fn provider(_: &mut SchemaGenerator) -> Schema {
    word(&["service", "istio", "gateway-api", "flagger"])
}

pub(super) fn hook_point(_: &mut SchemaGenerator) -> Schema {
    word(&[
        "pre-deploy",
        "post-deploy",
        "pre-switch",
        "post-switch",
        "pre-phase",
        "post-phase",
        "smoke",
        "integration",
    ])
}

pub(super) fn reaction(_: &mut SchemaGenerator) -> Schema {
    word(&["abort", "continue"])
}

pub(super) fn phase(_: &mut SchemaGenerator) -> Schema {
    word(&["pending", "deploying", "healthy", "unhealthy", "rolled_back"])
}

pub(super) fn command_result(_: &mut SchemaGenerator) -> Schema {
    word(&["done", "refused"])
}

pub(super) fn verdict(_: &mut SchemaGenerator) -> Schema {
    word(&["Pass", "Fail", "Waiting", "NoData", "Inconclusive", "Error", "Uncounted"])
}

/// A pod template. Its own rules are those of the pods that are made of it; what is sure to be missing
/// is refused at once.
pub(super) fn template(_: &mut SchemaGenerator) -> Schema {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "required": ["spec"],
        "properties": {
            "metadata": open,
            "spec": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "required": ["containers"],
                "properties": {
                    "containers": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 64,
                        "items": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": true,
                            "required": ["name", "image"],
                            "properties": {
                                "name": {"type": "string", "minLength": 1},
                                "image": {"type": "string", "minLength": 1},
                            },
                        },
                    },
                },
            },
        },
    })
}

/// Metric, comparison and bound fit each other. Whether the metric is there is a rule of `analysis`.
pub(super) fn checks(_: &mut SchemaGenerator) -> Schema {
    let own_metric = matches("self", &format!(r"^[ \t]*({OWN_METRIC}|no_critical_alerts)\b"));
    let holds = [
        matches("self", RATE_CHECK),
        matches("self", LATENCY_CHECK),
        matches("self", ALERTS_CHECK),
        format!("(!{own_metric} && {})", matches("self", QUERY_CHECK)),
    ];
    let message = "is not a check: write one like error_rate < 1%, p95_latency < 500ms, \
        p95_latency <= 1.2x stable, no_critical_alerts, or a query against a number";
    json_schema!({"type": "array", "maxItems": 32, "items": text(200, holds.join(" || "), message)})
}

pub(super) fn queries(_: &mut SchemaGenerator) -> Schema {
    let is_name = matches("name", "^[A-Za-z_][A-Za-z0-9_]{0,62}$");
    let is_taken = matches("name", &format!("^({OWN_METRIC}|no_critical_alerts)$"));
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": text(8192, matches("self", r"\S"), "is not a query: write some text"),
        "x-kubernetes-validations": [
            rule(
                format!("self.all(name, {is_name})"),
                "a query's name is letters, digits and _, at most 63, not beginning with a digit",
            ),
            rule(
                format!("self.all(name, !{is_taken})"),
                "a query has the name of a metric that is there already: choose another one",
            ),
        ],
    })
}

pub(super) fn probability(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "x-kubernetes-validations": [
            rule("self > 0.0 && self < 1.0", "is not a probability above 0 and below 1, like 0.01"),
        ],
    })
}

pub(super) fn eta(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "x-kubernetes-validations": [rule("self > 0.0", "is not a number above 0 and at most 1, like 0.5")],
    })
}

pub(super) fn ratio(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number",
        "minimum": 1,
        "maximum": 1000,
        "x-kubernetes-validations": [rule("self > 1.0", "is not a number above 1 and at most 1000, like 2")],
    })
}
