//! The interval of shifts that two samples do not rule out.

use super::super::error::StatsError;
use super::differences::Differences;
use super::ranks::{corrected, normal_quantile, spread, ties};
use super::samples::Samples;

/// How much higher the canary's values are than those of the baseline, in the unit of the samples.
///
/// With the confidence that was asked for, a shift of all values by something between `lower` and `upper` explains the
/// difference of the arms, if chance alone made the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "three numbers")]
pub struct Interval {
    /// The least shift that the samples do not rule out.
    pub lower: f64,
    /// The most.
    pub upper: f64,
    /// The median of all differences between a sample of the canary and one of the baseline (Hodges and Lehmann, Annals of
    /// Mathematical Statistics 1963).
    pub estimate: f64,
}

impl Interval {
    /// Of these samples; `confidence` is above 0 and below 1, usually 0.98. `None` when an arm has no samples. Few samples
    /// rule nothing out: then it reaches over all differences.
    ///
    /// Takes time for the number of samples, not of pairs: milliseconds for a thousand in each arm.
    ///
    /// # Errors
    /// When the confidence is not within its bounds.
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::mann_whitney::{Interval, Missing, Samples};
    ///
    /// let arm = |values| Samples::new("arm", values, Missing::Remove);
    /// let (canary, baseline) = (arm(&[10.0, 20.0, 30.0, 40.0])?, arm(&[1.0, 2.0, 3.0, 4.0])?);
    /// let is = Interval::of(&canary, &baseline, 0.95)?;
    /// assert_eq!(is, Some(Interval { lower: 6.0, upper: 39.0, estimate: 22.5 }));
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn of(canary: &Samples, baseline: &Samples, confidence: f64) -> Result<Option<Self>, StatsError> {
        Ok(Self::within(canary, baseline, normal_quantile(confidence)?))
    }

    /// Of the shifts whose statistic is between `-z` and `z`.
    ///
    /// The statistic falls while the shift rises, by steps: at a shift that is the difference of a pair, that pair no
    /// longer counts. So each end is a difference, the first one behind which the statistic is below `z` (or `-z`). Between
    /// differences no sample of one arm is equal to one of the other: the ties are those within the arms.
    pub(super) fn within(canary: &Samples, baseline: &Samples, z: f64) -> Option<Self> {
        let differences = Differences::between(canary, baseline)?;
        let (m, n) = (canary.len() as f64, baseline.len() as f64);
        let spread = spread(ties(canary.rising()) + ties(baseline.rising()), m, n);
        let end = |z: f64| match most_above(differences.len(), z * spread) {
            // (nothing is ruled out: the first one)
            Some(above) => differences.nth((differences.len() - above).saturating_sub(1)),
            None => differences.nth(u64::MAX),
        };
        Some(Self { lower: end(z), upper: end(-z), estimate: differences.median() })
    }
}

/// With how many of `all` differences above a shift, at the most, the statistic there is still below `bound`.
fn most_above(all: u64, bound: f64) -> Option<u64> {
    let is_below = |above: u64| corrected(above as f64 - all as f64 / 2.0) < bound;
    if !is_below(0) {
        return None;
    }
    let (mut least, mut most) = (0, all);
    while least < most {
        let middle = most - (most - least) / 2;
        if is_below(middle) { least = middle } else { most = middle - 1 }
    }
    Some(least)
}
