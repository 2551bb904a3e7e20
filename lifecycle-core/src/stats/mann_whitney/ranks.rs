//! Ranks of two samples among both, and the statistic that is made of them.

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::super::error::StatsError;
use super::samples::Samples;

/// The statistic z: how far, in standard deviations, the ranks of the canary are from those of equal samples once all its
/// values are lowered by `shift`, which is in the unit of the samples. Mid-ranks, corrected for ties and for continuity
/// (Mann and Whitney, Annals of Mathematical Statistics 1947; as R's `wilcox.test` has it):
///
/// `z = (d - sign(d) / 2) / sqrt(mn / 12 ((m + n + 1) - sum(t^3 - t) / ((m + n)(m + n - 1))))`
///
/// where `d` is the number of pairs in which the canary is higher (half of the equal ones) less `mn / 2`, and `t` are the
/// sizes of the groups of equal values. 0 where nothing varies, and of none.
///
/// # Example
/// ```
/// use lifecycle_core::stats::mann_whitney::{Missing, Samples, statistic};
///
/// let arm = |values| Samples::new("arm", values, Missing::Remove);
/// let (canary, baseline) = (arm(&[10.0, 20.0, 30.0, 40.0])?, arm(&[1.0, 2.0, 3.0, 4.0])?);
/// assert!((statistic(&canary, &baseline, 0.0) - 2.165_063_509_461_1).abs() < 1e-12);
/// assert_eq!(statistic(&canary, &baseline, 22.5), 0.0);
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
#[must_use]
pub fn statistic(canary: &Samples, baseline: &Samples, shift: f64) -> f64 {
    let shifted: Vec<f64> = canary.rising().iter().map(|value| value - shift).collect();
    let (m, n) = (canary.len() as f64, baseline.len() as f64);
    let distance = wins(&shifted, baseline.rising()) - m * n / 2.0;
    let mut all = [&shifted, baseline.rising()].concat();
    all.sort_unstable_by(f64::total_cmp);
    let spread = spread(ties(&all), m, n);
    if spread > 0.0 { corrected(distance) / spread } else { 0.0 }
}

/// The share of pairs in which the canary is higher, with half of the equal ones: the common language effect size (McGraw
/// and Wong, Psychological Bulletin 1992). 0.5 where the arms are alike; `None` when one has no samples.
///
/// # Example
/// ```
/// use lifecycle_core::stats::mann_whitney::{Missing, Samples, common_language};
///
/// let arm = |values| Samples::new("arm", values, Missing::Remove);
/// assert_eq!(common_language(&arm(&[1.0, 4.0, 6.0])?, &arm(&[2.0, 4.0, 5.0, 9.0])?), Some(0.375));
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
#[must_use]
pub fn common_language(canary: &Samples, baseline: &Samples) -> Option<f64> {
    let pairs = canary.len() as f64 * baseline.len() as f64;
    (pairs > 0.0).then(|| wins(canary.rising(), baseline.rising()) / pairs)
}

/// The z for which a standard normal number is between -z and z with this probability.
///
/// # Errors
/// When the confidence is not above 0 and below 1.
///
/// # Example
/// ```
/// # use lifecycle_core::stats::mann_whitney::normal_quantile;
/// assert!((normal_quantile(0.98)? - 2.326_347_874).abs() < 1e-9);
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
pub fn normal_quantile(confidence: f64) -> Result<f64, StatsError> {
    let accepted = "the confidence is above 0 and below 1";
    let confidence =
        StatsError::unless_within("confidence", confidence, (0.0, 1.0_f64.next_down()), accepted)?;
    // by the lower tail, whose probability is exact however near to 1 the confidence is
    Ok(-Normal::standard().inverse_cdf((1.0 - confidence) / 2.0))
}

/// Pairs in which the first is higher, and half of those in which both are equal; the second are rising.
fn wins(first: &[f64], second: &[f64]) -> f64 {
    let of = |value: &f64| {
        let below = second.partition_point(|other| other < value);
        let equal = second.partition_point(|other| other <= value) - below;
        below as f64 + equal as f64 / 2.0
    };
    first.iter().map(of).sum()
}

/// Half a pair nearer to none: the correction for continuity.
pub(super) fn corrected(distance: f64) -> f64 {
    if distance == 0.0 { 0.0 } else { distance - 0.5 * distance.signum() }
}

/// The sum of t^3 - t over the groups of t equal values, of rising ones.
pub(super) fn ties(rising: &[f64]) -> f64 {
    let of = |size: f64| size * (size * size - 1.0);
    rising.chunk_by(|a, b| a == b).map(|group| of(group.len() as f64)).sum()
}

/// The standard deviation of the number of pairs in which one arm is higher, of `m` and `n` samples.
pub(super) fn spread(ties: f64, m: f64, n: f64) -> f64 {
    let all = m + n;
    let lost = if ties > 0.0 { ties / (all * (all - 1.0)) } else { 0.0 };
    (m * n / 12.0 * (all + 1.0 - lost)).max(0.0).sqrt()
}
