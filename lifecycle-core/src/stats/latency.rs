//! Is the canary slower? GRID-S on the buckets of a histogram.

use std::ops::RangeInclusive;

use super::error::StatsError;
use super::grid::{Evidence, GridTest};
use super::look::{Counts, Look};

/// A test for each bound of a histogram: do more requests of the canary take longer than that? E is their mean, so that no
/// factor is due for their number.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyTest {
    test: GridTest,
    /// Indices of the bounds, chosen before the first look.
    bounds: Vec<usize>,
}

impl LatencyTest {
    /// On these bounds, by their index, rising; they have to be chosen before the first look.
    ///
    /// # Errors
    /// When there is none of them, or one does not follow on the one before; see also [`GridTest::on`].
    pub fn new(bounds: Vec<usize>, tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        let out_of_order = bounds.windows(2).find(|pair| pair[0] >= pair[1]).map(|pair| pair[1]);
        if bounds.is_empty() || out_of_order.is_some() {
            let accepted = "one index or more, each above the one before";
            return Err(of_bound(out_of_order.unwrap_or_default(), accepted));
        }
        Ok(Self { test: GridTest::of_latencies(tolerated, temper)?, bounds })
    }

    /// Indices of the bounds below which such a share of requests stays, of cumulative counts with the total last: `0.9..=0.99`
    /// are those that say something of the 95th percentile.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub fn bounds_within(cumulative: &[u64], shares: RangeInclusive<f64>) -> Vec<usize> {
        let Some((total, finite)) = cumulative.split_last() else { return Vec::new() };
        let is_within = |count: u64| *total > 0 && shares.contains(&(count as f64 / *total as f64));
        (0..finite.len()).filter(|bound| is_within(finite[*bound])).collect()
    }

    /// Takes a look into account: what was added to the cumulative counts of both arms since the look before, with the
    /// total last. Answers with ln E since then.
    ///
    /// # Errors
    /// When a count is above the total, or an arm has no such bound; nothing is taken into account then.
    pub fn look(
        &self,
        evidence: &mut Vec<Evidence>,
        canary: &[u64],
        stable: &[u64],
    ) -> Result<f64, StatsError> {
        let slower = |cumulative: &[u64], bound: usize| {
            let total = cumulative.last().copied().unwrap_or_default();
            // (the last one is the total, and no bound)
            let finite = cumulative.split_last().map_or(&[][..], |(_, finite)| finite);
            let accepted = "the index of a bound that the histograms of both arms have";
            let within = *finite.get(bound).ok_or_else(|| of_bound(bound, accepted))?;
            // (one that is above the total fails below)
            Counts::new(total.wrapping_sub(within), total)
        };
        let looks: Vec<Look> = self
            .bounds
            .iter()
            .map(|bound| Ok(Look::new(slower(canary, *bound)?, slower(stable, *bound)?)))
            .collect::<Result<_, StatsError>>()?;
        evidence.resize(looks.len(), Evidence::default());
        Ok(self.test.looks(evidence.iter_mut().zip(looks)))
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
const fn of_bound(bound: usize, accepted: &'static str) -> StatsError {
    StatsError { what: "bound", value: bound as f64, accepted }
}
