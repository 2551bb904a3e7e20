//! Which bounds of a histogram say something of a quantile.

use super::question::{Of, Question, SlowBeyond, beyond, slower};
use super::state::{EachBound, MOST};
use crate::analysis::{Bound, NoBound};
use crate::backend::Histogram;

/// How many times as high as what is compared a bound may be: those of Istio and Envoy are up to five times the one before.
const FAR: f64 = 5.0;

impl Question {
    /// The bounds to be tested, chosen from what stable measured before the first look (or from the canary's own bounds,
    /// which are no data, where a number says what is slow). None of failed requests, or of a histogram that makes no sense.
    ///
    /// A bound of stable says something of the 95th percentile when 1 to 10 % of its requests are slower (of another one in
    /// the same proportion); where there is none, the one nearest to the quantile is taken. It is compared with the
    /// canary's first bound that is at least the tolerated factor above it: a canary that is at most so many times as
    /// slow has no more requests beyond that one than stable has beyond its own.
    ///
    /// # Errors
    /// When the histogram has no bound that would do.
    pub(super) fn bounds(self, histogram: &Histogram) -> Result<EachBound<SlowBeyond>, NoBound> {
        let Of::Slow(per_mille) = self.of else { return Ok(EachBound::new()) };
        if histogram.counts.len() != histogram.bounds_us.len() + 1 {
            return Ok(EachBound::new());
        }
        let at_least = |us: f64| histogram.bounds_us.iter().copied().find(|bound| *bound as f64 >= us);
        let factor = match self.against {
            Bound::Value(seconds) => {
                let us = at_least(seconds * 1e6).ok_or_else(|| NoBound::ends(histogram))?;
                if us as f64 > seconds * 1e6 * FAR {
                    return Err(NoBound::Far { next_us: us });
                }
                return Ok([SlowBeyond { canary_us: us, stable_us: us }].into_iter().collect());
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
        let is_far = |bound: &SlowBeyond| bound.canary_us as f64 > bound.stable_us as f64 * factor * FAR;
        let (far, all): (Vec<_>, Vec<_>) = all.partition(|(_, bound)| is_far(bound));
        if let (Some((_, bound)), true) = (far.last(), all.is_empty()) {
            return Err(NoBound::Far { next_us: bound.canary_us });
        }
        let near = |slow: f64| slow >= share / 5.0 && slow <= (share * 2.0).min(0.75);
        let mut within: Vec<_> =
            all.iter().filter(|(slow, _)| near(*slow)).map(|(_, bound)| *bound).collect();
        if within.is_empty() {
            let distance = |slow: f64| (slow / share).ln().abs();
            let nearest = all.iter().min_by(|(a, _), (b, _)| distance(*a).total_cmp(&distance(*b)));
            within.push(nearest.map(|(_, bound)| *bound).ok_or_else(|| none_compares(histogram))?);
        }
        let step = within.len().div_ceil(MOST).max(1);
        Ok(within.into_iter().step_by(step).collect())
    }
}

/// Why no bound of stable's histogram can be compared with one above it.
fn none_compares(histogram: &Histogram) -> NoBound {
    let first = histogram.bounds_us.first();
    match first
        .filter(|us| slower(histogram, histogram.total(), **us).is_some_and(|slower| slower.failed == 0))
    {
        Some(&lowest_us) => NoBound::Begins { lowest_us },
        None => NoBound::ends(histogram),
    }
}
