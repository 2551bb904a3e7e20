//! The samples of one arm, and what they say by themselves.

use super::super::error::StatsError;

/// No more samples are accepted of one arm: it is one a minute for 69 days.
pub const MAX_SAMPLES: usize = 100_000;

/// No sample may be further from 0: sums and differences of so many stay finite.
pub const MAX_VALUE: f64 = 1e300;

/// What is made of a sample that is not a number: a minute without requests has no latency, and no errors either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// It is left out: for latencies and the like.
    #[default]
    Remove,
    /// It counts as 0: for counts of errors. An arm without samples is no reason to fail then.
    Zero,
}

/// The samples of one metric in one arm, in its unit: finite, rising, and not too many. There may be none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    rising: Vec<f64>,
}

impl Samples {
    /// These values, in any order. `what` names the arm in errors; `missing` says what becomes of NaN.
    ///
    /// # Errors
    /// When there are more than [`MAX_SAMPLES`], or one is further from 0 than [`MAX_VALUE`].
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::mann_whitney::{Missing, Samples};
    ///
    /// let samples = Samples::new("canary", &[3.0, f64::NAN, 1.0], Missing::Remove)?;
    /// assert_eq!(samples.rising(), [1.0, 3.0]);
    /// let error = Samples::new("canary", &[f64::INFINITY], Missing::Remove).unwrap_err();
    /// assert!(error.to_string().starts_with("canary: inf is not accepted; "));
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn new(what: &'static str, values: &[f64], missing: Missing) -> Result<Self, StatsError> {
        if values.len() > MAX_SAMPLES {
            let accepted = "there are at most 100000 samples of one arm";
            return Err(StatsError { what, value: values.len() as f64, accepted });
        }
        let numbers = values.iter().copied().filter_map(|value| match missing {
            _ if !value.is_nan() => Some(value),
            Missing::Remove => None,
            Missing::Zero => Some(0.0),
        });
        let within = |value: f64| {
            let accepted = "a sample is a number from -1e300 to 1e300";
            // no -0: a difference of 0 is 0, whichever way
            StatsError::unless_within(what, value, ((-MAX_VALUE).next_down(), MAX_VALUE), accepted)
                .map(|value| value + 0.0)
        };
        let mut rising = numbers.map(within).collect::<Result<Vec<f64>, _>>()?;
        rising.sort_unstable_by(f64::total_cmp);
        Ok(Self { rising })
    }

    /// All of them, the lowest first.
    #[must_use]
    pub fn rising(&self) -> &[f64] {
        &self.rising
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rising.len()
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rising.is_empty()
    }

    /// Their arithmetic mean; `None` of none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.rising.iter().sum();
        (!self.is_empty()).then(|| sum / self.len() as f64)
    }

    /// The value below which such a `share` of the samples is, by linear interpolation between two of them (type 7 of
    /// Hyndman and Fan, The American Statistician 1996, which is R's own); `None` of none.
    ///
    /// # Errors
    /// When the share is not from 0 to 1.
    ///
    /// # Example
    /// ```
    /// use lifecycle_core::stats::mann_whitney::{Missing, Samples};
    ///
    /// let samples = Samples::new("latency", &[4.0, 1.0, 9.0], Missing::Remove)?;
    /// assert_eq!(samples.quantile(0.25)?, Some(2.5));
    /// # Ok::<(), lifecycle_core::stats::StatsError>(())
    /// ```
    pub fn quantile(&self, share: f64) -> Result<Option<f64>, StatsError> {
        let accepted = "the share is from 0 to 1";
        let share = StatsError::unless_within("share", share, (0.0_f64.next_down(), 1.0), accepted)?;
        let place = share * self.len().saturating_sub(1) as f64;
        let at = |place: f64| self.rising.get(place as usize).copied();
        let (below, above) = (at(place.floor()), at(place.ceil()));
        Ok(below.zip(above).map(|(below, above)| below + (above - below) * place.fract()))
    }
}

/// Mean of the canary over mean of the baseline; `None` where that says nothing: an arm without samples, a mean of 0, a
/// ratio beyond all numbers.
///
/// # Example
/// ```
/// use lifecycle_core::stats::mann_whitney::{Missing, Samples, mean_ratio};
///
/// let arm = |values| Samples::new("arm", values, Missing::Remove);
/// assert_eq!(mean_ratio(&arm(&[3.0, 5.0])?, &arm(&[1.0, 2.0, 6.0])?), Some(4.0 / 3.0));
/// assert_eq!(mean_ratio(&arm(&[3.0, 5.0])?, &arm(&[0.0])?), None);
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
#[must_use]
pub fn mean_ratio(canary: &Samples, baseline: &Samples) -> Option<f64> {
    let (canary, baseline) = (canary.mean()?, baseline.mean()?);
    let ratio = canary / baseline;
    (canary != 0.0 && baseline != 0.0 && ratio.is_finite()).then_some(ratio)
}
