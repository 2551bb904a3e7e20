//! What one look brings.

use serde::{Deserialize, Serialize};

use super::error::StatsError;
use super::probability::Alpha;

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
    /// P(X <= m - t) <= exp(-t^2 / (2 m)) for a binomial X with mean m. Failures that come in clumps of k are x / k events:
    /// L is k times as much then, divided by the temper. `None` without a request.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn highest_rate(self, alpha: Alpha, temper: f64) -> Option<f64> {
        let (failed, l) = (self.failed as f64, alpha.ln_needed() / temper);
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
