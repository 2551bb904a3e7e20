//! A probability that something is wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::StatsError;

/// A probability of an error that is tolerated: above 0 and below 1. At 0 no evidence would ever do, at 1 none would be
/// needed.
///
/// # Example
/// ```
/// # use lifecycle_core::stats::Alpha;
/// assert_eq!(Alpha::new(0.01).unwrap().shared_by(4).get(), 0.0025);
/// assert!(Alpha::new(1.0).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// What the manifest's `analysis.sequential` has unless it says otherwise.
    pub const DEFAULT: Self = Self(0.01);

    /// This probability.
    ///
    /// # Errors
    /// When it is not above 0 and below 1.
    pub fn new(probability: f64) -> Result<Self, StatsError> {
        let bounds = (0.0, 1.0_f64.next_down());
        let accepted = "a probability is above 0 and below 1, like 0.01";
        StatsError::unless_within("alpha", probability, bounds, accepted).map(Self)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// An equal share of it for each of so many tests: together they err with this probability at the most, by the
    /// union bound.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "nobody makes 2^53 tests")]
    pub fn shared_by(self, tests: usize) -> Self {
        Self((self.0 / tests.max(1) as f64).max(f64::MIN_POSITIVE))
    }

    /// This part of it, above 0 and at most 1.
    #[must_use]
    pub fn part(self, share: f64) -> Self {
        Self((self.0 * share.min(1.0)).max(f64::MIN_POSITIVE))
    }

    /// ln(1 / alpha): the logarithm of the evidence that is needed.
    #[must_use]
    pub fn ln_needed(self) -> f64 {
        -self.0.ln()
    }
}

impl TryFrom<f64> for Alpha {
    type Error = StatsError;
    fn try_from(probability: f64) -> Result<Self, StatsError> {
        Self::new(probability)
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

impl fmt::Display for Alpha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
