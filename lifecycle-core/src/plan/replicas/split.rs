//! The split of `n` replicas by a weight.

use std::cmp::Ordering;

use super::{Sizes, narrow};
use crate::plan::Weight;

/// A weight out of a maximum. [`Weight`] is one out of 100; routers of other backends count in
/// thousandths or finer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    weight: u32,
    max: u32,
}

impl Ratio {
    /// `weight` out of `max`. A maximum of 0 counts as 1, a weight above the maximum as the maximum.
    #[must_use]
    pub const fn new(weight: u32, max: u32) -> Self {
        let max = if max == 0 { 1 } else { max };
        Self { weight: if weight > max { max } else { weight }, max }
    }

    /// The weight.
    #[must_use]
    pub const fn weight(self) -> u32 {
        self.weight
    }

    /// What the weight is out of.
    #[must_use]
    pub const fn max(self) -> u32 {
        self.max
    }

    /// What is left for the other side.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self { weight: self.max - self.weight, max: self.max }
    }

    /// Another weight out of the same maximum.
    #[must_use]
    pub const fn with_weight(self, weight: u32) -> Self {
        Self::new(weight, self.max)
    }

    /// Replicas out of `n` that carry this weight: `ceil(weight * n / max)`.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_core::plan::replicas::Ratio;
    /// assert_eq!(Ratio::new(25, 100).ceil(10), 3);
    /// ```
    #[must_use]
    pub fn ceil(self, n: u32) -> u32 {
        narrow((u64::from(self.weight) * u64::from(n)).div_ceil(u64::from(self.max)))
    }

    fn floor(self, n: u32) -> u32 {
        narrow(u64::from(self.weight) * u64::from(n) / u64::from(self.max))
    }

    /// Does this weight of `total` end in exactly one half?
    fn is_half_way(self, total: u64) -> bool {
        let (twice, max) = (2 * u128::from(self.weight) * u128::from(total), u128::from(self.max));
        twice % (2 * max) == max
    }
}

impl From<Weight> for Ratio {
    fn from(weight: Weight) -> Self {
        Self::new(weight.get(), 100)
    }
}

/// One way to divide: so many canaries out of so many replicas.
#[derive(Clone, Copy)]
struct Candidate {
    canary: u32,
    total: u64,
}

impl Candidate {
    /// Compares how far two candidates are from the wanted weight, exactly:
    /// `|canary * max / total - weight|` with both sides multiplied by both totals.
    fn closer(self, other: Self, ratio: Ratio) -> Ordering {
        let distance = |of: Self, by: u64| {
            let has = u128::from(of.canary) * u128::from(ratio.max);
            let wants = u128::from(ratio.weight) * u128::from(of.total);
            // at most 2^64 (has) times 2^33 (a total): no overflow
            has.abs_diff(wants) * u128::from(by)
        };
        distance(self, other.total).cmp(&distance(other, self.total))
    }

    fn sizes(self) -> Sizes {
        Sizes { stable: narrow(self.total.saturating_sub(u64::from(self.canary))), canary: self.canary }
    }
}

/// How `n` replicas divide when the share of replicas is the share of traffic: `weight` out of
/// `max_weight` to the canary (as in [`Ratio::new`]). The sum is `n`, or
/// `n + 1` when there is a surge to use and that is closer to the weight. With `0 < weight < max`
/// both groups have at least one replica, with two exceptions that need a surge of 0: `n` is 1, or the
/// weight is half a replica below `n` (95 % of 10): the canary may not be all replicas, the half rounds
/// up, and all stay stable.
///
/// Source: the pod-ratio canary of Argo Rollouts, in exact instead of floating-point arithmetic.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::replicas::{Sizes, split};
/// assert_eq!(split(10, 20, 100, 0), Sizes::new(8, 2));
/// // 1 of 4 is closer to 10 % than 1 of 3
/// assert_eq!(split(3, 10, 100, 1), Sizes::new(3, 1));
/// ```
#[must_use]
pub fn split(n: u32, weight: u32, max_weight: u32, surge: u32) -> Sizes {
    if n == 0 {
        return Sizes::default();
    }
    let ratio = Ratio::new(weight, max_weight);
    let total = u64::from(n);
    let (ceil, floor) = (ratio.ceil(n), ratio.floor(n));
    let endpoint = ratio.weight == 0 || ratio.weight == ratio.max;
    let zero_allowed = endpoint || (n == 1 && surge == 0);

    let ceil_fits = ceil < n || zero_allowed;
    let floor_fits = floor > 0 || zero_allowed;
    let candidates = [
        ceil_fits.then_some(Candidate { canary: ceil, total }),
        (floor_fits && !ratio.is_half_way(total)).then_some(Candidate { canary: floor, total }),
        (surge > 0).then_some(Candidate { canary: ceil, total: total + 1 }),
        (surge > 0 && floor_fits && !ratio.is_half_way(total + 1))
            .then_some(Candidate { canary: floor, total: total + 1 }),
    ];
    // `min_by` keeps the first of equals, which is the rule for a draw
    let best = candidates.into_iter().flatten().min_by(|a, b| a.closer(*b, ratio));
    best.map_or(Sizes { stable: n, canary: 0 }, Candidate::sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_never_above_its_maximum() {
        assert_eq!(Ratio::new(120, 100), Ratio::new(100, 100));
        assert_eq!(Ratio::new(7, 0), Ratio::new(1, 1));
    }

    #[test]
    fn half_a_replica_below_all_of_them_needs_a_surge() {
        for (n, weight) in [(2, 75), (5, 90), (10, 95), (50, 99)] {
            assert_eq!(split(n, weight, 100, 0), Sizes::new(n, 0), "{weight}% of {n}");
            let surged = split(n, weight, 100, 1);
            assert!(surged.stable >= 1 && surged.canary >= n - 1, "{weight}% of {n}: {surged:?}");
        }
        assert_eq!(split(10, 94, 100, 0), Sizes::new(1, 9));
        assert_eq!(split(10, 96, 100, 0), Sizes::new(1, 9));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        assert_eq!(Ratio::new(u32::MAX, u32::MAX).ceil(u32::MAX), u32::MAX);
        let sizes = split(u32::MAX, u32::MAX / 2, u32::MAX, u32::MAX);
        assert!(u64::from(sizes.stable) + u64::from(sizes.canary) >= u64::from(u32::MAX), "{sizes:?}");
    }

    #[test]
    fn a_weight_of_one_in_a_hundred_million_still_gets_a_replica() {
        assert_eq!(split(23, 1, 100_000_000, 0), Sizes::new(22, 1));
    }
}
