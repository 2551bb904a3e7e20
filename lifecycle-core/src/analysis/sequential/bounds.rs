//! Which bounds of a histogram say something of a quantile.

use super::question::{Of, Question, SlowBeyond, beyond, slower};
use super::state::EachBound;
use crate::analysis::Bound;
use crate::backend::Histogram;

/// The most bounds that are tested: those that are near each other say the same, and each costs as much as a check of
/// failed requests.
pub(super) const MOST: usize = 4;

impl Question {
    /// The bounds to be tested, chosen from what stable measured before the first look (or from the canary's own bounds,
    /// which are no data, where a number says what is slow). None of failed requests; empty when the histogram has no
    /// bound that would do.
    ///
    /// A bound of stable says something of the 95th percentile when 1 to 10 % of its requests are slower (of another one in
    /// the same proportion); where there is none, the one nearest to the quantile is taken. It is compared with the
    /// canary's first bound that is at least the tolerated factor above it: a canary that is at most so many times as
    /// slow has no more requests beyond that one than stable has beyond its own.
    pub(super) fn bounds(self, histogram: &Histogram) -> EachBound<SlowBeyond> {
        let Of::Slow(per_mille) = self.of else { return EachBound::new() };
        let at_least = |us: f64| histogram.bounds_us.iter().copied().find(|bound| *bound as f64 >= us);
        let factor = match self.against {
            Bound::Value(seconds) => {
                let us = seconds * 1e6;
                return at_least(us)
                    .map(|us| SlowBeyond { canary_us: us, stable_us: us })
                    .into_iter()
                    .collect();
            }
            Bound::Stable(factor) | Bound::Baseline(factor) => factor,
        };
        let share = beyond(per_mille);
        let total = histogram.total();
        let all = histogram.bounds_us.iter().filter_map(|&stable_us| {
            let slow = slower(histogram, total, stable_us)?.rate().filter(|slow| *slow > 0.0)?;
            let canary_us = at_least(stable_us as f64 * factor)?;
            Some((slow, SlowBeyond { canary_us, stable_us }))
        });
        let all: Vec<_> = all.collect();
        let near = |slow: f64| slow >= share / 5.0 && slow <= (share * 2.0).min(0.75);
        let mut within: Vec<_> =
            all.iter().filter(|(slow, _)| near(*slow)).map(|(_, bound)| *bound).collect();
        if within.is_empty() {
            let distance = |slow: f64| (slow / share).ln().abs();
            let nearest = all.iter().min_by(|(a, _), (b, _)| distance(*a).total_cmp(&distance(*b)));
            within.extend(nearest.map(|(_, bound)| *bound));
        }
        let step = within.len().div_ceil(MOST).max(1);
        within.into_iter().step_by(step).collect()
    }
}
