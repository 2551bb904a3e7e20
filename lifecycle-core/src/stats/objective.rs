//! One arm against an absolute rate.

use super::ln;
use super::look::{Counts, StatsError};

/// Multiples of the objective that are looked for.
pub const OBJECTIVES: [f64; 8] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0];

/// ln E of all failures so far against "the error rate is at most `rate`", over the multiples of a grid. No alternative is
/// nearer to 1 than half way; equal ones count once.
///
/// # Errors
/// When the rate is not between 0 and 1.
#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub fn objective(grid: &[f64], rate: f64, total: Counts) -> Result<f64, StatsError> {
    let accepted = "the objective is above 0 and below 1";
    let rate = StatsError::unless_within("p0", rate, (0.0, 1.0_f64.next_down()), accepted)?;
    let (failed, passed) = (total.failed as f64, (total.requests - total.failed) as f64);
    let most = 0.5 + 0.5 * rate;
    let mut alternatives: Vec<f64> = grid.iter().map(|ratio| (rate * ratio).min(most)).collect();
    alternatives.dedup();
    let ratio = |alternative: &f64| {
        failed * (alternative / rate).ln() + passed * ((-alternative).ln_1p() - (-rate).ln_1p())
    };
    Ok(ln::mean(alternatives.iter().map(ratio)))
}

/// The same with a temper, on [`OBJECTIVES`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveTest {
    rate: f64,
    temper: f64,
}

impl ObjectiveTest {
    /// # Errors
    /// When the rate is not between 0 and 1, or the temper not above 0 and at most 1.
    pub fn new(rate: f64, temper: f64) -> Result<Self, StatsError> {
        let accepted = "the objective is above 0 and below 1";
        let rate = StatsError::unless_within("p0", rate, (0.0, 1.0_f64.next_down()), accepted)?;
        let accepted = "the temper is above 0 and at most 1";
        let temper = StatsError::unless_within("eta", temper, (0.0, 1.0), accepted)?;
        Ok(Self { rate, temper })
    }

    /// ln E of all failures so far.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn ln_e(&self, total: Counts) -> f64 {
        let (failed, passed) = (total.failed as f64, (total.requests - total.failed) as f64);
        let most = 0.5 + 0.5 * self.rate;
        let mut alternatives: Vec<f64> =
            OBJECTIVES.iter().map(|ratio| (self.rate * ratio).min(most)).collect();
        alternatives.dedup();
        let ratio = |alternative: &f64| {
            let ratio = failed * (alternative / self.rate).ln()
                + passed * ((-alternative).ln_1p() - (-self.rate).ln_1p());
            self.temper * ratio
        };
        ln::mean(alternatives.iter().map(ratio))
    }
}
