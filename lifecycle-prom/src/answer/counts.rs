//! Counts of requests.

use lifecycle_core::backend::Reading;

use super::{Answer, AnswerError, Series};

/// The label that tells the two sums of the question about requests apart.
pub(crate) const COUNT: &str = "lifecycle_count";
/// Its value for all requests.
pub(crate) const ALL: &str = "requests";
/// Its value for failed requests.
pub(crate) const FAILED: &str = "failed";

/// The requests of the revision with this hash.
pub(crate) fn read(answer: &Answer, revision: &str, hash: &str) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    let count = |which: &str, what: &'static str| {
        let mut found =
            series.iter().filter(|series| series.label(revision) == hash && series.label(COUNT) == which);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => whole(one.number()?, what).map(Some),
            (Some(one), Some(_)) => Err(several(one, 2 + found.count())),
        }
    };
    match (count(ALL, "requests")?, count(FAILED, "failed requests")?) {
        (None, None) => Ok(Reading::NoData),
        // No failure was ever counted: that is none, not unknown.
        (Some(requests), failed) => {
            // Each of the two was rounded.
            Ok(Reading::Counts { requests, failed: failed.unwrap_or(0).min(requests) })
        }
        (None, Some(_)) => Err(AnswerError::WrongType {
            given: "failed requests alone",
            expected: "failed and all requests",
        }),
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
