//! The tables in `tests/vectors`, read when the tests run: other rows of the same form can be put in
//! their place. Every row runs. What a row may be excluded for is its kind, rule or input, never its
//! id, and an excluded row is still checked for what is done with it here instead:
//!
//! - maxSurge and maxUnavailable both written as zero: such a plan cannot be built here, so the row
//!   asserts that it is refused. (Pairs that only *round* to zero fall back to one unavailable
//!   replica, and run like every other row.)
//!
//! A kind that is not known, or an input field that is not known, fails.

mod amount;
mod canary;
mod rolling;
mod split;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use amount::written_as_zero;

use crate::plan::{Amount, Hold, Mode, PlanBuilder, Weight};
use crate::time::Millis;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    kind: String,
    #[serde(rename = "in")]
    input: Value,
    out: Value,
}

impl Case {
    fn input<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_value(self.input.clone()).map_err(|error| format!("input: {error}"))
    }
}

/// Runs every row of a table; `answer` is what the code makes of one.
fn check(file: &str, answer: impl Fn(&Case) -> Result<Value, String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table: Table = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (mut ran, mut refused, mut failures) = (0, 0, String::new());
    for case in &table.cases {
        let outcome = match explicit_zeros(case) {
            Some(limits) => {
                refused += 1;
                refusal(limits)
            }
            None => answer(case).and_then(|got| expect(&case.out, &got)),
        };
        ran += 1;
        if let Err(problem) = outcome {
            let _ = writeln!(failures, "  {} ({}): {problem}\n    in {}", case.id, case.kind, case.input);
        }
    }
    println!(
        "{file}: {ran} rows ran, {refused} of them as plans that are refused (both limits written as zero)"
    );
    assert!(ran > 0, "{file} has no rows");
    assert!(failures.is_empty(), "{file}:\n{failures}");
}

fn expect(expected: &Value, got: &Value) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("expected {expected}, got {got}")) }
}

fn unknown_kind(case: &Case) -> Result<Value, String> {
    Err(format!("no test knows the kind {:?}", case.kind))
}

/// The limits of a row, when it has both and both are written as zero.
fn explicit_zeros(case: &Case) -> Option<(Amount, Amount)> {
    let zero = |name| written_as_zero(case.input.get(name)?);
    Some((zero("max_surge")?, zero("max_unavailable")?))
}

/// A plan with these limits must be refused, in every mode.
fn refusal((surge, unavailable): (Amount, Amount)) -> Result<(), String> {
    for mode in [Mode::Ratio, Mode::Routed { dynamic_stable: false }, Mode::Exclusive] {
        let plan = PlanBuilder::new("vectors", mode)
            .step(Hold::new(Weight::FULL, Millis::ZERO))
            .limits(surge, unavailable)
            .build();
        if plan.is_ok() {
            return Err(format!(
                "a {mode:?} plan with surge {surge} and unavailable {unavailable} was built"
            ));
        }
    }
    Ok(())
}

#[test]
fn a_row_that_is_wrong_is_found() {
    assert!(expect(&json!({"stable": 1, "canary": 2}), &json!({"stable": 1, "canary": 3})).is_err());
    assert!(expect(&json!({"stable": 1}), &json!({"stable": 1, "canary": 3})).is_err());
}

#[test]
fn limits_written_as_zero_are_refused_and_limits_that_round_to_zero_are_not() {
    let case = |surge, unavailable| Case {
        id: String::new(),
        kind: String::new(),
        input: json!({"n": 1, "max_surge": surge, "max_unavailable": unavailable}),
        out: Value::Null,
    };
    for (surge, unavailable) in
        [(json!(0), json!("0%")), (json!("0%"), json!(0)), (json!("00%"), json!("0%"))]
    {
        let limits = explicit_zeros(&case(surge, unavailable));
        assert_eq!(limits.map(refusal), Some(Ok(())));
    }
    for (surge, unavailable) in [(json!(0), json!("25%")), (json!(null), json!(0)), (json!("oops"), json!(0))]
    {
        assert_eq!(explicit_zeros(&case(surge, unavailable)), None);
    }
    assert!(refusal((Amount::Percent(0), Amount::Percent(1))).is_err());
}
