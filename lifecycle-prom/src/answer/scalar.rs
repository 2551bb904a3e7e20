//! Numbers: named queries and alerts.

use lifecycle_core::backend::Reading;

use super::arm::Arm;
use super::counts::{several, whole};
use super::{Answer, AnswerError};

/// The one number that a query of the user has given. NaN and the infinities are left to the judge.
pub(crate) fn read(answer: &Answer) -> Result<Reading, AnswerError> {
    if let Answer::Scalar(value) = answer {
        return Ok(Reading::Scalar(*value));
    }
    match answer.vector().map_err(one_number)? {
        [] => Ok(Reading::NoData),
        [one] => one.number().map(Reading::Scalar),
        [one, ..] => Err(several(one, answer.vector()?.len())),
    }
}

/// How many critical alerts fire for this arm, or for its deployment and no revision in particular. An
/// alert is a series only while it is pending or fires, so that no series is none.
pub(crate) fn alerts(answer: &Answer, arm: &Arm) -> Result<Reading, AnswerError> {
    let counts = arm.of_all(answer.vector()?);
    let firing = counts.map(|series| whole(series.number()?, "alerts")).sum::<Result<u64, _>>()?;
    Ok(Reading::Scalar(firing as f64))
}

fn one_number(error: AnswerError) -> AnswerError {
    match error {
        AnswerError::WrongType { given, .. } => AnswerError::WrongType { given, expected: "one number" },
        other => other,
    }
}
