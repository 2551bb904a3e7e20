//! What a measurement says about a check.

use serde::{Deserialize, Serialize};

use super::check::{Bound, Check, Comparison};
use super::metric::Metric;
use super::plan::AnalysisPlan;
use crate::backend::{Histogram, Reading};
use crate::stats::Finite;

/// What one look says about one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measurement {
    /// It holds.
    Pass(Finite),
    /// It does not hold.
    Fail(Finite),
    /// Too few requests to say; time passes.
    Waiting,
    /// No data: time stands still.
    NoData,
    /// Neither: the value cannot be compared.
    Inconclusive,
    /// The source failed, or what it said makes no sense.
    Error(MeasurementError),
}

/// Why a measurement is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MeasurementError {
    /// The source did not answer.
    SourceFailed,
    /// It is not a number, or infinite.
    NotANumber,
    /// The answer is not of the kind that was asked for.
    WrongKind,
    /// A counter was reset, or the source was away: what was counted since the look before cannot be said.
    CounterReset,
    /// The two arms were counted over different times.
    DifferentTimes,
    /// The source's clock went back.
    ClockWentBack,
}

/// Judges one look.
///
/// `canary` and `stable` are the answers for the check's signal, `reference` is what stable measured
/// last (or the baseline). An arm with fewer requests than the plan asks for is no evidence: the
/// check waits. A check against stable falls back on the reference when stable has too few requests;
/// a check against the baseline knows nothing but the reference.
///
/// A multiple of zero says nothing: against a reference of 0 a value of 0 passes, and a value above
/// it is inconclusive where less is better.
///
/// # Example
/// ```
/// # use lifecycle_core::analysis::{AnalysisPlan, Check, Measurement, judge};
/// # use lifecycle_core::backend::Reading;
/// let check: Check = "error_rate < 1%".parse().unwrap();
/// let bad = Ok(Reading::Counts { requests: 10_000, failed: 300 });
/// let few = Ok(Reading::Counts { requests: 20, failed: 20 });
/// let plan = AnalysisPlan::default();
/// assert!(matches!(judge(&check, &plan, Some(&bad), None, None), Measurement::Fail(_)));
/// assert_eq!(judge(&check, &plan, Some(&few), None, None), Measurement::Waiting);
/// ```
#[must_use]
pub fn judge(
    check: &Check,
    plan: &AnalysisPlan,
    canary: Option<&Result<Reading, String>>,
    stable: Option<&Result<Reading, String>>,
    reference: Option<Finite>,
) -> Measurement {
    let value = match sample(&check.metric, canary) {
        Ok(sample) if sample.is_enough(plan) => sample.value,
        Ok(_) => return Measurement::Waiting,
        Err(missing) => return missing,
    };
    let against = match (check.bound, reference) {
        (Bound::Value(_), _) => None,
        (Bound::Stable(_), _) => match (sample(&check.metric, stable), reference) {
            (Ok(sample), _) if sample.is_enough(plan) => Some(sample.value),
            (Err(error @ Measurement::Error(_)), _) => return error,
            (_, Some(reference)) => Some(reference),
            (Ok(_), None) => return Measurement::Waiting,
            (Err(missing), None) => return missing,
        },
        (Bound::Baseline(_), Some(reference)) => Some(reference),
        (Bound::Baseline(_), None) => return Measurement::Waiting,
    };
    compare(check, value, against)
}

/// The value of a check's metric in an answer, whatever the number of requests: for keeping stable's
/// value as a reference. `None` when there is no data, or none that makes sense.
#[must_use]
pub fn value_of(check: &Check, reading: &Reading) -> Option<Finite> {
    read(&check.metric, reading).ok().map(|sample| sample.value)
}

/// Compares a value with the check's bound; `against` is what a relative bound is a multiple of.
pub(super) fn compare(check: &Check, value: Finite, against: Option<Finite>) -> Measurement {
    let bound = match (check.bound, against) {
        (Bound::Value(bound), _) => bound,
        (Bound::Stable(factor) | Bound::Baseline(factor), Some(against)) => {
            let less_is_better = matches!(check.comparison, Comparison::Below | Comparison::AtMost);
            match against.get() == 0.0 {
                true if value.get() == 0.0 => return Measurement::Pass(value),
                true if less_is_better => return Measurement::Inconclusive,
                _ => factor * against.get(),
            }
        }
        (Bound::Stable(_) | Bound::Baseline(_), None) => return Measurement::Waiting,
    };
    match check.comparison.holds(value.get(), bound) {
        true => Measurement::Pass(value),
        false => Measurement::Fail(value),
    }
}

/// A value, and how many requests it was made of where that matters.
pub(super) struct Sample {
    pub(super) value: Finite,
    pub(super) requests: Option<u64>,
}

impl Sample {
    fn is_enough(&self, plan: &AnalysisPlan) -> bool {
        self.requests.is_none_or(|requests| requests >= plan.min_requests)
    }
}

/// The sample in an answer, or what is to be said instead.
pub(super) fn sample(
    metric: &Metric,
    answer: Option<&Result<Reading, String>>,
) -> Result<Sample, Measurement> {
    match answer {
        None => Err(Measurement::NoData),
        Some(Err(_)) => Err(Measurement::Error(MeasurementError::SourceFailed)),
        Some(Ok(reading)) => read(metric, reading),
    }
}

fn read(metric: &Metric, reading: &Reading) -> Result<Sample, Measurement> {
    let wrong_kind = Measurement::Error(MeasurementError::WrongKind);
    let (value, requests) = match (metric, reading) {
        (_, Reading::NoData)
        | (Metric::ErrorRate | Metric::SuccessRate, Reading::Counts { requests: 0, .. }) => {
            return Err(Measurement::NoData);
        }
        (Metric::ErrorRate, Reading::Counts { requests, failed }) => {
            (share(*failed, *requests), Some(*requests))
        }
        (Metric::SuccessRate, Reading::Counts { requests, failed }) => {
            (share(requests.saturating_sub(*failed), *requests), Some(*requests))
        }
        (Metric::Latency(per_mille), Reading::Histogram(histogram)) => {
            let requests = requests(histogram).ok_or(wrong_kind)?;
            if requests == 0 {
                return Err(Measurement::NoData);
            }
            (histogram.quantile_us(*per_mille).ok_or(wrong_kind)? as f64 / 1e6, Some(requests))
        }
        (Metric::CriticalAlerts | Metric::Named(_), Reading::Scalar(value)) => (*value, None),
        _ => return Err(wrong_kind),
    };
    match Finite::new(value) {
        Some(value) => Ok(Sample { value, requests }),
        None => Err(Measurement::Error(MeasurementError::NotANumber)),
    }
}

/// Never above 1: a source may have counted a failure before its request.
fn share(part: u64, all: u64) -> f64 {
    part.min(all) as f64 / all as f64
}

/// All requests of a histogram that makes sense: rising bounds, one count more than bounds, and a
/// sum that is a number.
fn requests(histogram: &Histogram) -> Option<u64> {
    let Histogram { bounds_us, counts } = histogram;
    let rising = bounds_us.windows(2).all(|pair| pair[0] < pair[1]);
    let fits = counts.len() == bounds_us.len() + 1 && !bounds_us.is_empty();
    counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)).filter(|_| rising && fits)
}

#[cfg(test)]
mod tests;
