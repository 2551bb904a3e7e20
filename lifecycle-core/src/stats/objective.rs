//! One arm against an absolute rate.

use std::sync::LazyLock;

use super::error::StatsError;
use super::ln;
use super::look::Counts;
use super::ratios::{Each, Ratio, Ratios};

/// Multiples of the objective that are looked for.
pub const OBJECTIVES: [f64; 8] = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0];

static OF_OBJECTIVES: LazyLock<Ratios> = LazyLock::new(|| Ratios::of(&OBJECTIVES));

/// The test against "the error rate is at most `rate`", of all requests so far.
///
/// E is the mean, over the alternatives, of the likelihood ratio to the power of the temper. It needs no other arm, so that
/// nothing cancels: an outage of something that every version calls is a failure too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveTest {
    rate: f64,
    temper: f64,
    /// Multiples of the rate that are looked for.
    alternatives: Each<Ratio>,
}

impl ObjectiveTest {
    /// On the multiples [`OBJECTIVES`]. `rate` is p0, above 0 and below 1; `temper` is eta, above 0 and at most 1, see
    /// [`Dispersion`](super::Dispersion).
    ///
    /// # Errors
    /// When one of them is not within its bounds.
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::{Counts, ObjectiveTest};
    ///
    /// // 20 of 1,000 failed, where 1 % may: not enough yet to say so with an error of 1 in 100
    /// let test = ObjectiveTest::new(0.01, 1.0)?;
    /// let ln_e = test.ln_e(Counts::new(20, 1_000)?);
    /// assert!((ln_e - 2.395_771_740).abs() < 1e-9);
    /// assert!(ln_e < -0.01_f64.ln());
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn new(rate: f64, temper: f64) -> Result<Self, StatsError> {
        Self::of(&OF_OBJECTIVES, rate, temper)
    }

    /// On the multiples of this rising grid of 1 to 12 ratios above 1. No alternative is nearer to 1 than half way; equal
    /// ones count once.
    ///
    /// # Errors
    /// When one of them is not within its bounds.
    pub fn on(grid: &[f64], rate: f64, temper: f64) -> Result<Self, StatsError> {
        Self::of(&Ratios::new(grid)?, rate, temper)
    }

    fn of(grid: &Ratios, rate: f64, temper: f64) -> Result<Self, StatsError> {
        let accepted = "the objective is above 0 and below 1";
        let rate = StatsError::unless_within("p0", rate, (0.0, 1.0_f64.next_down()), accepted)?;
        let accepted = "the temper is above 0 and at most 1";
        let temper = StatsError::unless_within("eta", temper, (0.0, 1.0), accepted)?;
        let most = (0.5 + 0.5 * rate).min(1.0_f64.next_down());
        let mut alternatives: Each<Ratio> = grid.iter().take_while(|it| rate * it.value < most).collect();
        if alternatives.len() < grid.len() {
            alternatives.push(Ratio::from(most / rate));
        }
        Ok(Self { rate, temper, alternatives })
    }

    /// ln E of all requests so far: not of those since the look before. `ln E >= -ln(alpha)` at any look happens with
    /// probability `alpha` at the most while the rate is at most the objective.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    pub fn ln_e(&self, total: Counts) -> f64 {
        let (failed, passed) = (total.failed as f64, total.requests.saturating_sub(total.failed) as f64);
        let passing = (-self.rate).ln_1p();
        let ratio = |alternative: &Ratio| {
            let passed = passed * ((-self.rate * alternative.value).ln_1p() - passing);
            self.temper * (failed * alternative.ln + passed)
        };
        ln::mean(self.alternatives.iter().map(ratio))
    }
}

/// ln E of all failures so far against "the error rate is at most `rate`", over the multiples of a grid: an
/// [`ObjectiveTest`] without a temper.
///
/// # Errors
/// Those of [`ObjectiveTest::on`].
pub fn objective(grid: &[f64], rate: f64, total: Counts) -> Result<f64, StatsError> {
    Ok(ObjectiveTest::on(grid, rate, 1.0)?.ln_e(total))
}
