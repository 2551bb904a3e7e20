//! Early pass: is the canary certainly not that much worse?

use super::error::StatsError;
use super::finite::Finite;
use super::look::Look;

/// The test against "the canary's error rate is at least `bound` times that of stable, in every look so far".
///
/// It says nothing of a rise that begins later: the test for a failure goes on beside it. Looks without failures carry no
/// information.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyPass {
    bound: f64,
    temper: f64,
}

impl EarlyPass {
    /// `bound` is the ratio that shall be ruled out, above 1; `temper` is eta, above 0 and at most 1.
    ///
    /// # Errors
    /// When one of them is not within its bounds.
    pub fn new(bound: f64, temper: f64) -> Result<Self, StatsError> {
        let accepted = "the ratio to be ruled out is a number above 1";
        let bound = StatsError::unless_within("rmax", bound, (1.0, f64::MAX), accepted)?;
        let accepted = "the temper is above 0 and at most 1";
        let temper = StatsError::unless_within("eta", temper, (0.0, 1.0), accepted)?;
        Ok(Self { bound, temper })
    }

    /// Takes a look into account, and answers with ln L since then. At `ln L >= ln(1 / beta)` the claim is rejected, which
    /// is wrong with probability `beta` at the most, over all looks together.
    pub fn look(&self, sum: &mut Finite, look: Look) -> f64 {
        let (share, (canary, all)) = (look.share(), look.failed());
        let ratio = all * (share * (self.bound - 1.0)).ln_1p() - canary * self.bound.ln();
        *sum = Finite::new(sum.get() + self.temper * ratio).unwrap_or(*sum);
        sum.get()
    }
}
