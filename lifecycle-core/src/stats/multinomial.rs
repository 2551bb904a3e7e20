//! Lindon and Malek's test of shares, for comparison: do failures come from the arms as requests do?
//!
//! "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022. It alarms on a share that is too small as well as on
//! one that is too large, and its shares have to be the same at every look; [`GridTest`](super::GridTest) needs neither.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::error::StatsError;
use super::finite::Finite;

/// The least share of an arm, and the least concentration.
const LEAST: f64 = 1e-9;
/// The greatest concentration: beyond it the prior is a point.
const MOST: f64 = 1e9;

/// The test of counts against fixed shares, with the Dirichlet prior `concentration * shares` around them.
#[derive(Clone, Debug, PartialEq)]
pub struct Multinomial {
    shares: Vec<f64>,
    concentration: f64,
}

/// What was counted so far, and the least p-value of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    counts: Vec<u64>,
    /// The greatest ln E so far, at least 0.
    most: Finite,
}

impl Multinomial {
    /// Against these shares of two arms or more, which are 1 together. `concentration` is k, from 1e-9 to 1e9: the greater,
    /// the nearer to `shares` are the alternatives that are looked for.
    ///
    /// # Errors
    /// When the shares are below 1e-9 or not 1 together, or the concentration is not within its bounds.
    pub fn new(shares: Vec<f64>, concentration: f64) -> Result<Self, StatsError> {
        /// Shares are fractions that a double need not have.
        const ROUNDING: f64 = 1e-9;
        let accepted = "a share is from 1e-9 to 1";
        for share in &shares {
            StatsError::unless_within("shares", *share, (LEAST.next_down(), 1.0), accepted)?;
        }
        let accepted = "the shares are 1 together";
        StatsError::unless_within("shares", shares.iter().sum(), (1.0 - ROUNDING, 1.0 + ROUNDING), accepted)?;
        let concentration = concentration_within_bounds(concentration)?;
        Ok(Self { shares, concentration })
    }

    /// ln E of all counts so far, one for each share: the logarithm of their probability under the prior over that under
    /// the shares themselves. Exact to about 1e-15 times the number of all that was counted.
    ///
    /// # Errors
    /// When there is not one count for each share.
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::multinomial::Multinomial;
    ///
    /// let test = Multinomial::new(vec![0.1, 0.9], 100.0)?;
    /// assert!((test.ln_e(&[25, 90])? - 3.441_422_283).abs() < 1e-9);
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn ln_e(&self, counts: &[u64]) -> Result<f64, StatsError> {
        if counts.len() != self.shares.len() {
            let accepted = "there is one count for each share";
            return Err(StatsError { what: "counts", value: counts.len() as f64, accepted });
        }
        let all: f64 = counts.iter().map(|count| *count as f64).sum();
        let each = counts.iter().zip(&self.shares).map(|(count, share)| {
            let (count, prior) = (*count as f64, self.concentration * share);
            ln_gamma(prior + count) - ln_gamma(prior) - count * share.ln()
        });
        Ok(each.sum::<f64>() + ln_gamma(self.concentration) - ln_gamma(self.concentration + all))
    }

    /// Takes what was counted since the look before into account, and answers with ln E since then.
    ///
    /// # Errors
    /// Those of [`ln_e`](Self::ln_e).
    pub fn look(&self, totals: &mut Totals, increments: &[u64]) -> Result<f64, StatsError> {
        let before = totals.counts.iter().chain(std::iter::repeat(&0));
        let counts: Vec<u64> = before.zip(increments).map(|(a, b)| a.saturating_add(*b)).collect();
        let ln_e = self.ln_e(&counts)?;
        totals.counts = counts;
        totals.most = Finite::new(ln_e.max(totals.most.get())).unwrap_or(totals.most);
        Ok(ln_e)
    }
}

impl Totals {
    /// The p-value of all looks together, which never rises: 1 over the greatest E so far, at most 1.
    #[must_use]
    pub fn p(&self) -> f64 {
        (-self.most.get()).exp()
    }
}

/// A concentration of a prior.
pub(super) fn concentration_within_bounds(concentration: f64) -> Result<f64, StatsError> {
    let accepted = "the concentration is from 1e-9 to 1e9";
    StatsError::unless_within("k", concentration, (LEAST.next_down(), MOST), accepted)
}
