//! Counts of requests.

use lifecycle_core::backend::{Counts, Reading};

use super::arm::Arm;
use super::{Answer, AnswerError, COUNT, FAILED, Series, is_live};
use crate::metrics::Metrics;

/// The requests of this arm in a window.
pub(crate) fn read(answer: &Answer, metrics: &Metrics, arm: &Arm) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    let Some(Counts { requests, failed, .. }) = of(series, arm)? else { return Ok(Reading::NoData) };
    Ok(match is_live(series, metrics, arm)? {
        true => Reading::Counts { requests, failed },
        false => Reading::NoData,
    })
}

/// The counts among these series; `None` where there are none.
pub(super) fn of(series: &[Series], arm: &Arm) -> Result<Option<Counts>, AnswerError> {
    let count = |which: &str, what: &'static str| {
        let mut found = arm.of(series).filter(|series| series.label(COUNT) == which);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => whole(one.number()?, what).map(Some),
            (Some(one), Some(_)) => Err(several(one, 2 + found.count())),
        }
    };
    // One that is not there has not counted anything.
    match (count("", "requests")?, count(FAILED, "failed requests")?) {
        (None, None) => Ok(None),
        (others, failed) => {
            let (others, failed) = (others.unwrap_or(0), failed.unwrap_or(0));
            Ok(Counts::new(failed, others.saturating_add(failed)).ok())
        }
    }
}

pub(super) fn several(one: &Series, count: usize) -> AnswerError {
    AnswerError::ManySeries { count, example: one.shown() }
}

/// The nearest whole number: what Prometheus extrapolates is no whole one.
pub(super) fn whole(value: f64, what: &'static str) -> Result<u64, AnswerError> {
    // Up to 2^53 each whole number is a value of its own.
    if (-0.5..=9_007_199_254_740_992.0).contains(&value) {
        return Ok(value.round().max(0.0) as u64);
    }
    Err(AnswerError::NotACount { what, value: value.to_string() })
}
