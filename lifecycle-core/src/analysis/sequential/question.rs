//! What a check asks, as a test of counts.

use crate::analysis::{Arm, Bound, Check, Comparison, Metric};
use crate::backend::{Counted, Histogram, Signal};
use crate::stats::{Counts, RATES};

/// What a check asks, as a test of counts. Checks that ask something else are judged by their measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Question {
    pub(super) of: Of,
    pub(super) against: Bound,
}

/// What counts as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A request that failed.
    Failures,
    /// A request that was slower than a bound; of the quantile with this many per mille.
    Slow(u32),
}

impl Question {
    /// The question of this check, where it is one.
    ///
    /// - Failed requests against a number, a multiple of stable or of the baseline.
    /// - Latency against a number, a multiple of stable or of the baseline.
    ///
    /// A multiple of failed requests is below 1,000. A multiple below 1 asks the canary to be better than stable, which is none of a judge's that looks for harm.
    pub(crate) fn of(check: &Check) -> Option<Self> {
        if check.arm() != Arm::Canary {
            return None;
        }
        let less = matches!(check.comparison(), Comparison::Below | Comparison::AtMost);
        let (of, against) = match (check.metric(), check.bound(), less) {
            (Metric::ErrorRate, Bound::Value(rate), true) => (Of::Failures, Bound::Value(rate)),
            (Metric::SuccessRate, Bound::Value(rate), false) => (Of::Failures, Bound::Value(1.0 - rate)),
            (Metric::ErrorRate, bound, true) => (Of::Failures, bound),
            (Metric::Latency(per_mille), bound, true) => (Of::Slow(*per_mille), bound),
            _ => return None,
        };
        let can_be_tested = match (of, against) {
            (Of::Failures, Bound::Value(rate)) => rate > 0.0 && rate < 1.0,
            (Of::Slow(_), Bound::Value(seconds)) => seconds > 0.0,
            // (a factor above the grid could never be found to be exceeded)
            (Of::Failures, Bound::Stable(factor) | Bound::Baseline(factor)) => {
                factor >= 1.0 && RATES.last().is_some_and(|last| factor < *last)
            }
            (Of::Slow(_), Bound::Stable(factor) | Bound::Baseline(factor)) => factor >= 1.0,
        };
        can_be_tested.then_some(Self { of, against })
    }

    /// Is the canary compared with stable's requests of the same time, while stable has some?
    pub(crate) const fn is_relative(self) -> bool {
        matches!(self.against, Bound::Stable(_))
    }

    /// Is something of stable needed that is measured before the first look?
    pub(crate) const fn needs_stable(self) -> bool {
        !matches!(self.against, Bound::Value(_))
    }

    /// What a source is asked.
    pub(crate) const fn signal(self) -> Signal {
        match self.of {
            Of::Failures => Signal::Requests,
            Of::Slow(_) => Signal::Latency,
        }
    }

    /// The ratio of rates that is no failure yet. (A factor of a latency is in its bounds.)
    pub(super) const fn tolerated(self) -> f64 {
        match (self.of, self.against) {
            (Of::Failures, Bound::Stable(factor) | Bound::Baseline(factor)) => factor,
            _ => 1.0,
        }
    }

    /// The share of failures that is accepted, where a number says it.
    pub(super) fn objective(self) -> Option<f64> {
        match (self.of, self.against) {
            (Of::Failures, Bound::Value(rate)) => Some(rate),
            (Of::Slow(per_mille), Bound::Value(_)) => Some(beyond(per_mille)),
            _ => None,
        }
    }
}

/// The share of requests that is beyond a quantile.
pub(super) fn beyond(per_mille: u32) -> f64 {
    1.0 - f64::from(per_mille) / 1000.0
}

/// The bounds beyond which a request is slow: of the canary, and the one of stable that it is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlowBeyond {
    /// Microseconds.
    pub(super) canary_us: u64,
    /// Microseconds.
    pub(super) stable_us: u64,
}

/// Failures of all requests in what was counted; `None` when it is of another kind, or has no such bound.
pub(super) fn counts(of: Of, counted: &Counted, beyond_us: Option<u64>) -> Option<Counts> {
    match (of, counted, beyond_us) {
        (Of::Failures, Counted::Requests(counts), _) => Some(*counts),
        (Of::Slow(_), Counted::Durations(histogram), Some(us)) => slower(histogram, histogram.total(), us),
        _ => None,
    }
}

/// Requests slower than a bound that the histogram has, of all those in it.
pub(super) fn slower(histogram: &Histogram, total: u64, us: u64) -> Option<Counts> {
    if histogram.counts.len() != histogram.bounds_us.len() + 1 {
        return None;
    }
    let at = histogram.bounds_us.binary_search(&us).ok()?;
    let slower = Histogram::sum(&histogram.counts[at + 1..]);
    Counts::new(slower, total).ok()
}
