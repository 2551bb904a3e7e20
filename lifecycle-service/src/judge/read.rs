//! The values that stand in the file: numbers, counts, looks.

use lifecycle_core::spec::SpecError;
use lifecycle_core::spec::field::{Field, Fields};
use lifecycle_core::stats::mann_whitney::{MAX_SAMPLES, MAX_VALUE};
use lifecycle_core::stats::{Counts, StatsError};

use super::course::Rule;
use crate::input::BadInput;

/// Whole numbers are exact in a double up to here.
const MAX_COUNT: u64 = 1 << 53;

/// More looks are refused: a week of one in six seconds.
const MAX_LOOKS: usize = 100_000;

impl From<SpecError> for BadInput {
    fn from(error: SpecError) -> Self {
        Self::new(error)
    }
}

impl From<StatsError> for BadInput {
    fn from(error: StatsError) -> Self {
        Self::new(error)
    }
}

/// A number, whatever it may be.
pub(super) fn number(field: &Field<'_>) -> Result<f64, SpecError> {
    field.value().as_f64().filter(|number| number.is_finite()).ok_or_else(|| field.expected("a number"))
}

/// A probability that can be asked for.
pub(super) fn probability(field: &Field<'_>) -> Result<f64, SpecError> {
    let number = field.value().as_f64().filter(|number| *number > 0.0 && *number < 1.0);
    number.ok_or_else(|| field.expected("a probability above 0 and below 1"))
}

/// Samples of a metric.
pub(super) fn samples(field: &Field<'_>) -> Result<Vec<f64>, SpecError> {
    let sample = |field: &Field<'_>| match number(field)? {
        value if value.abs() <= MAX_VALUE => Ok(value),
        _ => Err(field.expected(&format!("a number from {:e} to {MAX_VALUE:e}", -MAX_VALUE))),
    };
    field.list(MAX_SAMPLES)?.iter().map(sample).collect()
}

/// A whole number of requests, also as 1e6.
pub(super) fn count(field: &Field<'_>) -> Result<u64, SpecError> {
    let value = field.value();
    // (a double from 0 to 2^53 without a fraction is a whole number)
    let whole = |number: f64| (0.0..=MAX_COUNT as f64).contains(&number) && number.fract() == 0.0;
    let float = || value.as_f64().filter(|number| whole(*number)).map(|number| number as u64);
    let count = value.as_u64().or_else(float).filter(|count| *count <= MAX_COUNT);
    count.ok_or_else(|| field.expected(&format!("a whole number from 0 to {MAX_COUNT}")))
}

/// A list of exactly so many counts; `form` shows one.
pub(super) fn counts<const N: usize>(field: &Field<'_>, form: &str) -> Result<[u64; N], SpecError> {
    let counts = field.list(usize::MAX)?.iter().map(count).collect::<Result<Vec<u64>, _>>()?;
    let wrong =
        |counts: Vec<u64>| field.error(format!("a list of {} is not a look: write {form}", counts.len()));
    counts.try_into().map_err(wrong)
}

/// Failed requests of all requests of an arm.
pub(super) fn arm(field: &Field<'_>, failed: u64, requests: u64) -> Result<Counts, SpecError> {
    let wrong =
        format!("{failed} of {requests} requests have failed: write no more failed requests than requests");
    Counts::new(failed, requests).map_err(|_| field.error(wrong))
}

/// Every look, at least one; `example` shows some.
pub(super) fn looks<T>(
    fields: &Fields<'_>,
    example: &str,
    read: impl Fn(&Field<'_>) -> Result<T, SpecError>,
) -> Result<Vec<T>, SpecError> {
    let looks = fields.required("looks", example, |field| field.list(MAX_LOOKS))?;
    if looks.is_empty() {
        return Err(fields.error_at("looks", format!("is empty: write {example}")));
    }
    looks.iter().map(read).collect()
}

/// When the tests with looks fail; with what is not written.
pub(super) fn rule(fields: &Fields<'_>) -> Result<Rule, SpecError> {
    let alpha = fields.read_or("alpha", 0.01, probability)?;
    Ok(Rule { alpha, eta: fields.read_or("eta", 1.0, number)?, early: None })
}
