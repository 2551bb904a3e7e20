//! What was counted between two marks.

use lifecycle_core::backend::{Counted, Increase, Mark, Reading};

use super::arm::Arm;
use super::{
    Answer, AnswerError, CHANGED, COUNT, FAILED, NOW, Series, THEN, UNKNOWN, age, counts, histogram, native,
};
use crate::metrics::Metrics;

/// What an answer says about one arm.
#[derive(Debug)]
pub(crate) struct Grown<'a> {
    /// The sum of its counters at the earlier mark; `None` where there were none.
    pub(crate) then: Option<f64>,
    /// At the later one.
    pub(crate) now: Option<f64>,
    /// Is there a series of which cannot be told how much it has grown?
    unknown: bool,
    series: &'a [Series],
    arm: &'a Arm,
}

/// Reads what an answer says about this arm up to this mark.
pub(crate) fn read<'a>(
    answer: &'a Answer,
    metrics: &Metrics,
    arm: &'a Arm,
    until: Mark,
) -> Result<Grown<'a>, AnswerError> {
    let series = answer.vector()?;
    if let Some(elsewhere) = series.iter().find(|one| !one.is_of(until)) {
        // An answer for another moment than was asked for would be counted up to the wrong mark.
        return Err(AnswerError::AnotherMoment(elsewhere.shown()));
    }
    age(series, metrics, arm)?;
    let sum = |which| arm.one(series, which).map(Series::number).transpose();
    let unknown = arm.one(series, UNKNOWN).is_some();
    Ok(Grown { then: sum(THEN)?, now: sum(NOW)?, unknown, series, arm })
}

/// Is the difference between both ends, which this answer has, not all that there is to say of this arm?
pub(crate) fn is_more_than_a_difference(answer: &Answer, arm: &Arm, latency: bool) -> bool {
    let Ok(series) = answer.vector() else { return false };
    if arm.one(series, CHANGED).is_some() {
        return true;
    }
    let sum = |which| arm.one(series, which).and_then(|one| one.number().ok());
    let (then, now) = (sum(THEN), sum(NOW));
    let all = |one: &&Series| !latency || one.label("le") == "+Inf";
    let counted = arm.of(series).filter(|one| matches!(one.label(COUNT), "" | FAILED)).filter(all);
    let counted: Vec<f64> = counted.filter_map(|one| one.number().ok()).collect();
    let difference = now.unwrap_or(0.0) - then.unwrap_or(0.0);
    // counts are whole numbers, and differ by one at least
    let differs = (counted.iter().sum::<f64>() - difference).abs() > 0.5;
    differs || (counted.is_empty() && (then.is_some() || now.is_some()))
}

impl Grown<'_> {
    /// What begins at this mark.
    pub(crate) const fn begins(until: Mark) -> Reading {
        Reading::Increase(Increase::new(until, None))
    }

    /// What was counted up to this mark, if the answer before has ended with what this one begins with: if they `agree`.
    pub(crate) fn reading(
        &self,
        metrics: &Metrics,
        until: Mark,
        agree: bool,
        latency: bool,
    ) -> Result<Reading, AnswerError> {
        let mut of_arm = self.arm.of(self.series);
        if of_arm.next().is_none() {
            return Ok(Reading::NoData);
        }
        if self.unknown || !agree {
            // the differences are none, and may be less than nothing
            return Ok(Self::begins(until));
        }
        // (where it was there at the earlier mark and never since, nothing is counted)
        let counted = match latency {
            true if metrics.native => {
                native::since(self.series, metrics, self.arm, self.then)?.map(Counted::Durations)
            }
            true => histogram::of(self.series, metrics, self.arm)?.map(Counted::Durations),
            false => counts::of(self.series, self.arm)?.map(Counted::Requests),
        };
        Ok(Reading::Increase(Increase::new(until, counted)))
    }
}
