//! Samples that are too far from the others.

use super::super::error::StatsError;
use super::samples::{Missing, Samples};

/// Kayenta's factor: a sample is an outlier at three times the distance of the quartiles from the nearer one. (Tukey's
/// own, in Exploratory Data Analysis 1977, is 1.5.)
pub const OUTLIER_FACTOR: f64 = 3.0;

/// Indices of the values outside the fences: further below the first quartile, or above the third one, than `factor` times
/// the distance between the two. `reduce_sensitivity` moves the fences out to the 5th and 95th percentile where those are
/// further out: without it, where more than half of all values are equal, every other one is an outlier.
///
/// A NaN is none.
///
/// # Errors
/// When the factor is not a number of at least 0, or the values are not accepted as [`Samples`].
///
/// # Example
/// ```
/// use lifecycle_core::stats::mann_whitney::outliers;
///
/// assert_eq!(outliers(&[21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0], 1.5, false)?, [4]);
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
pub fn outliers(values: &[f64], factor: f64, reduce_sensitivity: bool) -> Result<Vec<usize>, StatsError> {
    let accepted = "the factor is a number of at least 0";
    let factor = StatsError::unless_within("factor", factor, (0.0_f64.next_down(), f64::MAX), accepted)?;
    let samples = Samples::new("values", values, Missing::Remove)?;
    let (Some(first), Some(third)) = (samples.quantile(0.25)?, samples.quantile(0.75)?) else {
        return Ok(Vec::new());
    };
    let distance = factor * (third - first);
    let (mut lower, mut upper) = (first - distance, third + distance);
    if reduce_sensitivity {
        lower = samples.quantile(0.05)?.map_or(lower, |tail| lower.min(tail));
        upper = samples.quantile(0.95)?.map_or(upper, |tail| upper.max(tail));
    }
    let is_outside = |(_, value): &(usize, &f64)| **value < lower || **value > upper;
    Ok(values.iter().enumerate().filter(is_outside).map(|(at, _)| at).collect())
}

/// The values without their [`outliers`], in their order.
///
/// # Errors
/// Those of [`outliers`].
pub fn without_outliers(
    values: &[f64],
    factor: f64,
    reduce_sensitivity: bool,
) -> Result<Vec<f64>, StatsError> {
    let outside = outliers(values, factor, reduce_sensitivity)?;
    let is_inside = |(at, _): &(usize, &f64)| outside.binary_search(at).is_err();
    Ok(values.iter().enumerate().filter(is_inside).map(|(_, value)| *value).collect())
}
