//! GRID-S: are the canary's errors more than so many times those of stable?

use serde::{Deserialize, Serialize};

use super::finite::Finite;
use super::ln;
use super::look::{Look, StatsError};

/// Ratios of error rates that are looked for.
pub const RATES: [f64; 11] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0];

/// Ratios of shares of slow requests that are looked for.
pub const LATENCIES: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

/// The test: its grid of ratios above the tolerated one, and its temper.
///
/// The null hypothesis is that in every look the canary's error rate is at most `tolerated` times that of stable, whatever
/// that is. `E >= 1 / alpha` at any look happens with probability `alpha` at the most while it is true.
#[derive(Clone, Debug, PartialEq)]
pub struct GridTest {
    ratios: Vec<f64>,
    tolerated: f64,
    temper: f64,
}

/// What was seen so far: a number for each ratio of the grid, whatever the number of looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    looks: u64,
    /// ln S of each ratio; none before the first look.
    sums: Vec<Finite>,
}

impl GridTest {
    /// Of error rates, on [`RATES`].
    ///
    /// # Errors
    /// See [`on`](Self::on).
    pub fn of_rates(tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        Self::on(&RATES, tolerated, temper)
    }

    /// On this rising grid. `tolerated` is the ratio r0 that is no failure yet, at least 1; `temper` is eta, above 0 and
    /// at most 1.
    ///
    /// # Errors
    /// When one of them is not within its bounds, or no ratio of the grid is above the tolerated one.
    pub fn on(grid: &[f64], tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        let last = grid.last().copied().unwrap_or_default();
        // from 1 to below the last one
        let bounds = (1.0_f64.next_down(), last.next_down());
        let accepted = "the tolerated ratio is at least 1, and below the last ratio of the grid";
        let tolerated = StatsError::unless_within("r0", tolerated, bounds, accepted)?;
        let accepted = "the temper is above 0 and at most 1";
        let temper = StatsError::unless_within("eta", temper, (0.0, 1.0), accepted)?;
        let ratios = grid.iter().copied().filter(|ratio| *ratio > tolerated).collect();
        Ok(Self { ratios, tolerated, temper })
    }

    /// Takes a look into account, and answers with ln E since then.
    pub fn look(&self, evidence: &mut Evidence, look: Look) -> f64 {
        let weight = ln_start_weight(evidence.looks);
        if evidence.looks == 0 {
            evidence.sums.clear();
        }
        let fresh = evidence.sums.is_empty();
        evidence.sums.resize(self.ratios.len(), Finite::default());
        for (sum, ratio) in evidence.sums.iter_mut().zip(self.ratios(look)) {
            let before = if fresh { weight } else { ln::add(sum.get(), weight) };
            // finite: counts are below 2^64, and a ratio is a count times a logarithm
            *sum = Finite::new(before + self.temper * ratio).unwrap_or_default();
        }
        evidence.looks = evidence.looks.saturating_add(1);
        evidence.ln_e()
    }

    /// The logarithm of the likelihood ratio of one look, for each ratio of the grid.
    pub fn ratios(&self, look: Look) -> impl Iterator<Item = f64> {
        let (share, (canary, all)) = (look.share(), look.failed());
        let null = (share * (self.tolerated - 1.0)).ln_1p();
        self.ratios.iter().map(move |ratio| {
            // logarithms are what a look costs: none is taken of what does not count
            let seen = if canary > 0.0 { canary * (ratio / self.tolerated).ln() } else { 0.0 };
            let expected = if all > 0.0 { all * ((share * (ratio - 1.0)).ln_1p() - null) } else { 0.0 };
            seen - expected
        })
    }
}

/// 1/2, then 1 / (2 t (t + 1)): together 1, so that a rise that begins late is found too.
#[allow(clippy::cast_precision_loss, reason = "nobody looks 2^53 times")]
fn ln_start_weight(look: u64) -> f64 {
    let t = look as f64;
    let rest = if look == 0 { 0.0 } else { t.ln() + (t + 1.0).ln() };
    -std::f64::consts::LN_2 - rest
}

impl Evidence {
    /// ln E.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "nobody looks 2^53 times")]
    pub fn ln_e(&self) -> f64 {
        if self.looks == 0 {
            return 0.0;
        }
        let reserve = -(2.0 * self.looks as f64).ln();
        ln::add(ln::mean(self.sums.iter().map(|sum| sum.get())), reserve)
    }

    /// Looks so far.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// Is it enough to alarm with this probability of a false alarm?
    #[must_use]
    pub fn exceeds(&self, alpha: f64) -> bool {
        self.ln_e() >= -alpha.ln()
    }
}
