//! The test of the canary's share of all failures against a prior above its share of requests, for comparison.
//!
//! As [`multinomial`](super::multinomial) with two arms, but one-sided: only a share that is too large alarms. Its share of
//! requests has to be the same at every look; [`GridTest`](super::GridTest) does not need that.

use statrs::function::gamma::ln_gamma;

use super::error::StatsError;
use super::multinomial::concentration_within_bounds;

/// No more failures of an arm are accepted: the numerical work grows as the root of their number.
const MAX_FAILED: u64 = 1_000_000_000;

/// The test: the prior of the canary's share of failures is the beta distribution around its share of requests, cut off
/// below that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruncatedBeta {
    share: f64,
    concentration: f64,
}

impl TruncatedBeta {
    /// `share` is rho, the canary's share of the requests, from 1e-4 to 1 - 1e-4. `concentration` is k, from 1e-9 to 1e9: the
    /// greater, the smaller the excess that is looked for.
    ///
    /// # Errors
    /// When one of them is not within its bounds.
    pub fn new(share: f64, concentration: f64) -> Result<Self, StatsError> {
        let accepted = "the canary's share of requests is from 0.0001 to 0.9999";
        let share = StatsError::unless_within("rho", share, (1e-4_f64.next_down(), 1.0 - 1e-4), accepted)?;
        Ok(Self { share, concentration: concentration_within_bounds(concentration)? })
    }

    /// ln E of all failures so far, of the canary and of stable: the logarithm of their probability under the prior over
    /// that under the share itself.
    ///
    /// With `T(a, b)` the integral of `p^(a - 1) (1 - p)^(b - 1)` over p from rho to 1, and the prior a = k rho,
    /// b = k (1 - rho):
    ///
    /// `E = T(a + x_c, b + x_s) / (T(a, b) rho^x_c (1 - rho)^x_s)`
    ///
    /// # Errors
    /// When there are more than 1e9 failures of an arm.
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::truncated_beta::TruncatedBeta;
    ///
    /// let test = TruncatedBeta::new(0.3, 20.0)?;
    /// assert!((test.ln_e(30, 40)? - 1.924_495_157).abs() < 1e-9);
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn ln_e(&self, canary: u64, stable: u64) -> Result<f64, StatsError> {
        let accepted = "there are at most 1000000000 failures of an arm";
        let most = canary.max(stable);
        if most > MAX_FAILED {
            return Err(StatsError { what: "failed", value: most as f64, accepted });
        }
        let (a, b) = (self.concentration * self.share, self.concentration * (1.0 - self.share));
        Ok(ln_tail(a + canary as f64, b + stable as f64, self.share) - ln_tail(a, b, self.share))
    }
}

/// The logarithm of `T(a, b) / (rho^a (1 - rho)^b)`, in which the powers of all failures cancel.
///
/// By the continued fraction of the incomplete beta function on the side where it converges: of the upper tail itself while
/// its mean is below rho, else of the lower one, which is then taken off the whole.
fn ln_tail(a: f64, b: f64, share: f64) -> f64 {
    if 1.0 - share < (b + 1.0) / (a + b + 2.0) {
        return fraction(b, a, 1.0 - share).ln() - b.ln();
    }
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let whole = ln_beta - a * share.ln() - b * (-share).ln_1p();
    let lower = fraction(a, b, share) / a * (-whole).exp();
    whole + (-lower).ln_1p()
}

/// The continued fraction of the incomplete beta function, DLMF 8.17.22, so that
/// `I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) * fraction(a, b, x)`; by the method of Lentz.
///
/// statrs has it too, but gives up after 140 pairs of terms, which is not enough for some 10,000 failures.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    // many times the root of the greatest count
    const TERMS: u32 = 1_000_000;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut c, mut d) = (1.0, f64::INFINITY, 1.0);
    for term in 1..TERMS {
        let m = f64::from(term / 2);
        let numerator = match term % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / away_from_zero(1.0 + numerator * d);
        c = away_from_zero(1.0 + numerator / c);
        value *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}
