//! What is refused, with its name.

use thiserror::Error;

/// What cannot be tested.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{what}: {} is not accepted; {accepted}", shown(*.value))]
#[non_exhaustive]
pub struct StatsError {
    /// Which number.
    pub what: &'static str,
    /// What it is.
    pub value: f64,
    /// What is accepted.
    pub accepted: &'static str,
}

/// A number in a few characters, also one of 300 digits.
fn shown(value: f64) -> String {
    let is_short = value == 0.0 || (1e-6..1e15).contains(&value.abs());
    if is_short { value.to_string() } else { format!("{value:e}") }
}

impl StatsError {
    /// `value` where it is within these bounds, `lower` not among them.
    pub(super) fn unless_within(
        what: &'static str,
        value: f64,
        (above, most): (f64, f64),
        accepted: &'static str,
    ) -> Result<f64, Self> {
        // (a NaN is within nothing)
        if value > above && value <= most { Ok(value) } else { Err(Self { what, value, accepted }) }
    }
}
