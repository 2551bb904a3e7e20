//! Checks as people write them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::metric::{Arm, Metric};

/// A check: a metric, a comparison and a bound, like `error_rate < 1%`.
///
/// - A metric is `error_rate`, `success_rate`, `p95_latency` (or `latency_p95`; also p50, p90, p99),
///   `request_rate`, `saturation` or `restarts`, of the canary, whose suffix `_canary` may be left away, or
///   of stable: `error_rate_stable`. Or it is a query that the user defined, by its name.
/// - A bound is a number in the metric's unit (`500ms`, `10/s`) or a multiple: `1.2x stable`,
///   `2x baseline`, `1.2x error_rate_stable`; a multiple of 1 is `stable` alone. What is measured of stable
///   is held against a number or the baseline.
/// - `no_critical_alerts` stands alone.
///
/// Prints the way it was written; parsing what is printed gives the same check.
///
/// # Example
/// ```
/// # use lifecycle_core::analysis::{Arm, Check};
/// let check: Check = "latency_p95_canary < 1.2x stable".parse().unwrap();
/// assert_eq!(check.to_string(), "latency_p95_canary < 1.2x stable");
/// let guard: Check = "error_rate_stable < 5%".parse().unwrap();
/// assert_eq!(guard.arm(), Arm::Stable);
/// assert!("error_rate < 5 minutes".parse::<Check>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Check {
    pub(crate) arm: Arm,
    pub(crate) metric: Metric,
    pub(crate) comparison: Comparison,
    pub(crate) bound: Bound,
    text: Arc<str>,
}

/// How a measurement must compare with its bound to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// What a measurement is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bound {
    /// A number in the metric's unit.
    Value(f64),
    /// This many times what stable measures now (or measured last, when it has no traffic).
    Stable(f64),
    /// This many times what stable measured just before the switch.
    Baseline(f64),
}

/// Why a check cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} at character {at}: {problem}")]
#[non_exhaustive]
pub struct CheckError {
    /// What was written; its beginning, when it is long.
    pub text: String,
    /// Where the problem is, counted from 1.
    pub at: usize,
    /// What is wrong and what is accepted.
    pub problem: String,
}

impl Check {
    /// Whose metric is measured.
    #[must_use]
    pub const fn arm(&self) -> Arm {
        self.arm
    }

    /// What is measured.
    #[must_use]
    pub const fn metric(&self) -> &Metric {
        &self.metric
    }

    /// How it must compare.
    #[must_use]
    pub const fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// With what.
    #[must_use]
    pub const fn bound(&self) -> Bound {
        self.bound
    }

    /// The check as it was written.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The metric as it was written.
    pub(super) fn metric_text(&self) -> &str {
        let end =
            self.text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.text.len());
        &self.text[..end]
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Check> for String {
    fn from(check: Check) -> Self {
        check.text.to_string()
    }
}

impl TryFrom<String> for Check {
    type Error = CheckError;
    fn try_from(text: String) -> Result<Self, CheckError> {
        text.parse()
    }
}

impl FromStr for Check {
    type Err = CheckError;
    fn from_str(text: &str) -> Result<Self, CheckError> {
        let (arm, metric, comparison, bound) = super::grammar::parse(text.trim_end_matches(['\n', '\r']))?;
        Ok(Self { arm, metric, comparison, bound, text: text.trim().into() })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

impl Comparison {
    /// Does `value` compare with `bound` in this way?
    #[must_use]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}
