//! Wald's sequential probability ratio test of one rate against another, for comparison.

use super::look::Counts;

/// Its two rates and the probabilities of its errors.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "four numbers")]
pub struct Sprt {
    /// The rate that is no failure.
    pub good: f64,
    /// The rate that is one.
    pub bad: f64,
    /// Probability that a good one is refused.
    pub alpha: f64,
    /// Probability that a bad one is accepted.
    pub beta: f64,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Decision {
    /// The good rate.
    Accept,
    /// Go on.
    Continue,
    /// The bad rate.
    Reject,
}

impl Sprt {
    /// The logarithm of the likelihood ratio of all requests so far.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn ln_ratio(&self, total: Counts) -> f64 {
        let (failed, passed) = (total.failed as f64, total.requests.saturating_sub(total.failed) as f64);
        failed * (self.bad / self.good).ln() + passed * ((-self.bad).ln_1p() - (-self.good).ln_1p())
    }

    /// Below the first it accepts, above the second it rejects.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        ((self.beta / (1.0 - self.alpha)).ln(), ((1.0 - self.beta) / self.alpha).ln())
    }

    /// What it says of all requests so far.
    #[must_use]
    pub fn decide(&self, total: Counts) -> Decision {
        let (ratio, (lower, upper)) = (self.ln_ratio(total), self.bounds());
        if ratio >= upper {
            Decision::Reject
        } else if ratio <= lower {
            Decision::Accept
        } else {
            Decision::Continue
        }
    }

    /// Requests that it takes on average, by Wald's approximation: under the good rate, and under the bad one.
    #[must_use]
    pub fn mean_requests(&self) -> (f64, f64) {
        let (lower, upper) = self.bounds();
        let step = |rate: f64| {
            let passed = (-self.bad).ln_1p() - (-self.good).ln_1p();
            rate * (self.bad / self.good).ln() + (1.0 - rate) * passed
        };
        let under = |rejects: f64, rate: f64| (rejects * upper + (1.0 - rejects) * lower) / step(rate);
        (under(self.alpha, self.good), under(1.0 - self.beta, self.bad))
    }
}
