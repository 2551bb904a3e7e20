//! GRID-S: are the canary's errors more than so many times those of stable?

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::error::StatsError;
use super::finite::Finite;
use super::ln;
use super::look::Look;
use super::ratios::{Each, Ratio, Ratios};

/// Ratios of error rates that are looked for.
pub const RATES: [f64; 11] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0];

/// Ratios of shares of slow requests that are looked for.
pub const LATENCIES: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

static OF_RATES: LazyLock<Ratios> = LazyLock::new(|| Ratios::of(&RATES));
static OF_LATENCIES: LazyLock<Ratios> = LazyLock::new(|| Ratios::of(&LATENCIES));

/// The test: its grid of ratios above the tolerated one, and its temper.
///
/// The null hypothesis is that in every look the canary's error rate is at most `tolerated` times that of stable, whatever
/// that is. `E >= 1 / alpha` at any look happens with probability `alpha` at the most while it is true.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridTest {
    /// Those above the tolerated one.
    ratios: Each<Ratio>,
    tolerated: Ratio,
    temper: f64,
}

/// What was seen so far: a number for each ratio of the grid, whatever the number of looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    looks: u64,
    /// ln S of each ratio; none before the first look.
    sums: Each<Finite>,
}

impl GridTest {
    /// Of error rates, on [`RATES`].
    ///
    /// # Errors
    /// See [`on`](Self::on).
    pub fn of_rates(tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        Self::of(&OF_RATES, tolerated, temper)
    }

    /// Of shares of slow requests, on [`LATENCIES`].
    ///
    /// # Errors
    /// See [`on`](Self::on).
    pub fn of_latencies(tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        Self::of(&OF_LATENCIES, tolerated, temper)
    }

    /// On this rising grid of 1 to 12 ratios above 1. `tolerated` is the ratio r0 that is no failure yet, at least 1;
    /// `temper` is eta, above 0 and at most 1.
    ///
    /// # Errors
    /// When the grid does not rise, one of the others is not within its bounds, or no ratio of the grid is above the tolerated
    /// one.
    pub fn on(grid: &[f64], tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        Self::of(&Ratios::new(grid)?, tolerated, temper)
    }

    fn of(grid: &Ratios, tolerated: f64, temper: f64) -> Result<Self, StatsError> {
        // from 1 to below the last one
        let bounds = (1.0_f64.next_down(), grid.highest().next_down());
        let accepted = "the tolerated ratio is at least 1, and below the last ratio of the grid";
        let tolerated = StatsError::unless_within("r0", tolerated, bounds, accepted)?;
        let accepted = "the temper is above 0 and at most 1";
        let temper = StatsError::unless_within("eta", temper, (0.0, 1.0), accepted)?;
        let ratios = grid.iter().filter(|ratio| ratio.value > tolerated).collect();
        Ok(Self { ratios, tolerated: tolerated.into(), temper })
    }

    /// Takes a look into account, and answers with ln E since then.
    pub fn look(&self, evidence: &mut Evidence, look: Look) -> f64 {
        self.looks([(evidence, look)])
    }

    /// Takes the looks at several bounds of one histogram into account, and answers with ln of the mean of their E.
    pub(crate) fn looks<'e>(&self, looks: impl IntoIterator<Item = (&'e mut Evidence, Look)>) -> f64 {
        // all requests are the same at each bound, and with them what a failure says
        let mut odds: Option<Odds> = None;
        ln::mean(looks.into_iter().map(|(evidence, look)| {
            let share = look.share();
            let odds = match &mut odds {
                Some(odds) if odds.share == share => odds,
                odds => odds.insert(self.odds(share)),
            };
            self.take(evidence, look, odds);
            evidence.ln_e()
        }))
    }

    fn take(&self, evidence: &mut Evidence, look: Look, odds: &Odds) {
        let (weight, (canary, all)) = (ln_start_weight(evidence.looks), look.failed());
        if evidence.looks == 0 {
            evidence.sums.clear();
        }
        let fresh = evidence.sums.is_empty();
        evidence.sums.resize(self.ratios.len(), Finite::default());
        for (sum, (seen, expected)) in evidence.sums.iter_mut().zip(&odds.each) {
            let before = if fresh { weight } else { ln::add(sum.get(), weight) };
            // finite: counts are below 2^64, and a ratio is a count times a logarithm
            let ratio = canary * seen - all * expected;
            *sum = Finite::new(before + self.temper * ratio).unwrap_or_default();
        }
        evidence.looks = evidence.looks.saturating_add(1);
    }

    /// The logarithm of the likelihood ratio of one look, for each ratio of the grid.
    pub fn ratios(&self, look: Look) -> impl Iterator<Item = f64> {
        let (canary, all) = look.failed();
        let each = self.odds(look.share()).each;
        each.into_iter().map(move |(seen, expected)| canary * seen - all * expected)
    }

    fn odds(&self, share: f64) -> Odds {
        let null = (share * (self.tolerated.value - 1.0)).ln_1p();
        let odds = |it: &Ratio| (it.ln - self.tolerated.ln, (share * (it.value - 1.0)).ln_1p() - null);
        Odds { share, each: self.ratios.iter().map(odds).collect() }
    }
}

/// What a failure says when the canary has this share of the requests.
struct Odds {
    share: f64,
    /// For each ratio: the logarithm that each failure of the canary adds, and the one that every failure takes away.
    each: Each<(f64, f64)>,
}

/// 1/2, then 1 / (2 t (t + 1)): together 1, so that a rise that begins late is found too.
#[allow(clippy::cast_precision_loss, reason = "nobody looks 2^53 times")]
fn ln_start_weight(look: u64) -> f64 {
    let t = look as f64;
    let rest = if look == 0 { 0.0 } else { (t * (t + 1.0)).ln() };
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
