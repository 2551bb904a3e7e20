//! What is known of pods.

use lifecycle_core::backend::Reading;

use super::arm::Arm;
use super::counts::{several, whole};
use super::{Answer, AnswerError, COUNT, LIMIT, Series, UNKNOWN, YOUNG, age};
use crate::metrics::Metrics;

/// How often containers of this arm were started again.
pub(crate) fn restarts(answer: &Answer, metrics: &Metrics, arm: &Arm) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    if !is_complete(series, metrics, arm, "pods")? {
        return Ok(Reading::NoData);
    }
    let Some(restarts) = number(series, arm, "")? else { return Ok(Reading::NoData) };
    Ok(Reading::Scalar(whole(restarts, "restarts")? as f64))
}

/// The share of their limits that containers of this arm have used.
pub(crate) fn saturation(answer: &Answer, metrics: &Metrics, arm: &Arm) -> Result<Reading, AnswerError> {
    let series = answer.vector()?;
    if !is_complete(series, metrics, arm, "containers with a limit")? {
        return Ok(Reading::NoData);
    }
    let (Some(used), Some(limit)) = (number(series, arm, "")?, number(series, arm, LIMIT)?) else {
        return Ok(Reading::NoData);
    };
    let (used, limit) = (processors(used)?, processors(limit)?);
    Ok(if limit > 0.0 { Reading::Scalar(used / limit) } else { Reading::NoData })
}

/// Was everything measured, and lately? Not yet, where what was not is new.
fn is_complete(
    series: &[Series],
    metrics: &Metrics,
    arm: &Arm,
    of: &'static str,
) -> Result<bool, AnswerError> {
    age(series, metrics, arm)?;
    let count = |which| match number(series, arm, which)? {
        None => Ok(0),
        Some(count) => whole(count, of),
    };
    match count(UNKNOWN)? {
        0 => Ok(count(YOUNG)? == 0),
        missing => Err(AnswerError::Partial { missing, of }),
    }
}

/// The number of this arm with this name; `None` where there is none.
fn number(series: &[Series], arm: &Arm, which: &str) -> Result<Option<f64>, AnswerError> {
    let mut found = arm.of(series).filter(|series| series.label(COUNT) == which);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.number().map(Some),
        (Some(one), Some(_)) => Err(several(one, 2 + found.count())),
    }
}

fn processors(value: f64) -> Result<f64, AnswerError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => Err(AnswerError::NotACount { what: "processors", value: value.to_string() }),
    }
}
