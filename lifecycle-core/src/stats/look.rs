//! What one look brings.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::probability::Alpha;

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

/// Failed requests of all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that failed.
    pub failed: u64,
    /// All requests, the failed ones among them.
    pub requests: u64,
}

impl Counts {
    /// # Errors
    /// When more failed than there were.
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    pub const fn new(failed: u64, requests: u64) -> Result<Self, StatsError> {
        if failed > requests {
            let accepted = "no more can have failed than there were requests";
            return Err(StatsError { what: "failed", value: failed as f64, accepted });
        }
        Ok(Self { failed, requests })
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let failed = self.failed.saturating_add(other.failed);
        Self { failed, requests: self.requests.saturating_add(other.requests) }
    }

    /// Failed requests of all requests, 0 to 1; `None` without a request.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| self.failed as f64 / self.requests as f64)
    }

    /// The highest rate that is still to be reckoned with: the true one is above it with this probability at the most.
    /// Of x failures of n requests it is (x + L + sqrt(L^2 + 2 L x)) / n with L = ln(1 / alpha), from Chernoff's bound
    /// P(X <= m - t) <= exp(-t^2 / (2 m)) for a binomial X with mean m. `None` without a request.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn highest_rate(self, alpha: Alpha) -> Option<f64> {
        let (failed, l) = (self.failed as f64, alpha.ln_needed());
        let most = failed + l + (l * l + 2.0 * l * failed).sqrt();
        (self.requests > 0).then(|| (most / self.requests as f64).min(1.0))
    }
}

/// What was counted since the look before, over the same time in both arms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Look {
    /// Of the new version.
    pub canary: Counts,
    /// Of the one that serves.
    pub stable: Counts,
}

impl Look {
    /// These counts.
    #[must_use]
    pub const fn new(canary: Counts, stable: Counts) -> Self {
        Self { canary, stable }
    }

    /// The canary's share of the requests; 0 where there were none.
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub(super) fn share(&self) -> f64 {
        let (canary, stable) = (self.canary.requests as f64, self.stable.requests as f64);
        if canary + stable > 0.0 { canary / (canary + stable) } else { 0.0 }
    }

    /// Failed requests: the canary's, and both.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub(super) fn failed(&self) -> (f64, f64) {
        let (canary, stable) = (self.canary.failed as f64, self.stable.failed as f64);
        (canary, canary + stable)
    }
}
