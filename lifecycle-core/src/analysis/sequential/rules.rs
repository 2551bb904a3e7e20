//! `analysis.sequential`: how often the judge may be wrong.

use serde::{Deserialize, Serialize};

use crate::stats::Alpha;

/// The rules of the sequential judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sequential {
    /// How probable it may be that a whole rollout of a version as good as stable goes back.
    pub alpha: Alpha,
    /// How failures that come in clumps are allowed for.
    pub temper: Tempering,
    /// When a step may end before its bake is over; `None` is never.
    pub early_pass: Option<EarlyPassRule>,
}

/// How failures that come in clumps are allowed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Tempering {
    /// By the dispersion between the halves of stable's replicas, measured before the first look.
    #[default]
    Measured,
    /// By this temper, above 0 and at most 1; 1 is for failures that are independent of each other.
    Fixed(f64),
}

/// A step may end early once its checks are certainly not so many times worse than stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EarlyPassRule {
    /// The ratio that shall be ruled out, above 1.
    pub ratio: f64,
    /// How probable it may be that a version that is so much worse passes early.
    pub beta: Alpha,
}

impl Sequential {
    /// With this probability of a false alarm in a whole rollout, the measured temper and no early pass.
    #[must_use]
    pub const fn new(alpha: Alpha) -> Self {
        Self { alpha, temper: Tempering::Measured, early_pass: None }
    }
}

impl EarlyPassRule {
    /// Rules this ratio out, which has to be above 1, with this probability of being wrong.
    #[must_use]
    pub const fn new(ratio: f64, beta: Alpha) -> Self {
        Self { ratio, beta }
    }
}
