//! What a measurement says about a check.

use serde::{Deserialize, Serialize};

use super::check::{Bound, Check, Comparison};
use super::metric::Metric;
use super::no_bound::NoBound;
use super::plan::AnalysisPlan;
use crate::backend::{Histogram, Reading};
use crate::stats::Finite;
use crate::time::Millis;

/// What one look says about one check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measurement {
    /// It holds.
    Pass(Finite),
    /// It does not hold.
    Fail(Finite),
    /// Too few requests to say; time passes.
    #[default]
    Waiting,
    /// No data: time stands still.
    NoData,
    /// Neither: the value cannot be compared.
    Inconclusive,
    /// The source failed, or what it said makes no sense.
    Error(MeasurementError),
}

impl Measurement {
    /// One word: `Pass`, `Fail`, `Waiting`, `NoData`, `Inconclusive` or `Error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass(_) => "Pass",
            Self::Fail(_) => "Fail",
            Self::Waiting => "Waiting",
            Self::NoData => "NoData",
            Self::Inconclusive => "Inconclusive",
            Self::Error(_) => "Error",
        }
    }
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
    /// A latency cannot be judged by the bounds that its histogram has.
    NoBound(NoBound),
}

/// Judges one look.
///
/// `measured` and `stable` are the answers for the check's signal, of the check's [arm](Check::arm) and of
/// stable, both of the last `window`; `reference` is what stable measured last (or the baseline). An arm
/// with fewer requests than the plan asks for is no evidence: the check waits. A check against stable
/// falls back on the reference when stable has too few requests; a check against the baseline knows
/// nothing but the reference.
///
/// A rate of requests needs no number of them, but a whole window of the plan: of a few seconds a source
/// may not have seen everything yet, and what is missing would look like too low a rate.
///
/// A latency beyond the last bound of its histogram is greater than that bound, and nobody knows by how much: compared with anything
/// above it, it is an error ([`NoBound`]).
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
/// assert!(matches!(judge(&check, &plan, plan.window, Some(&bad), None, None), Measurement::Fail(_)));
/// assert_eq!(judge(&check, &plan, plan.window, Some(&few), None, None), Measurement::Waiting);
/// ```
#[must_use]
pub fn judge(
    check: &Check,
    plan: &AnalysisPlan,
    window: Millis,
    measured: Option<&Result<Reading, String>>,
    stable: Option<&Result<Reading, String>>,
    reference: Option<Finite>,
) -> Measurement {
    let (value, beyond) = match sample(&check.metric, window, measured) {
        Ok(sample) if sample.is_enough(plan) => (sample.value, sample.beyond),
        Ok(_) => return Measurement::Waiting,
        Err(missing) => return missing,
    };
    let against = match (check.bound, reference) {
        (Bound::Value(_), _) => None,
        (Bound::Stable(_), _) => match (sample(&check.metric, window, stable), reference) {
            (Ok(sample), _) if sample.is_enough(plan) => Some(sample.value),
            (Err(error @ Measurement::Error(_)), _) => return error,
            (_, Some(reference)) => Some(reference),
            (Ok(_), None) => return Measurement::Waiting,
            (Err(missing), None) => return missing,
        },
        (Bound::Baseline(_), Some(reference)) => Some(reference),
        (Bound::Baseline(_), None) => return Measurement::Waiting,
    };
    match beyond {
        Some(no_bound) => compare_beyond(check, value, against, no_bound),
        None => compare(check, value, against),
    }
}

/// Compares what is greater than the last bound of its histogram, nobody knows by how much.
fn compare_beyond(check: &Check, last: Finite, against: Option<Finite>, no_bound: NoBound) -> Measurement {
    let bound = match (check.bound, against) {
        (Bound::Value(bound), _) => bound,
        // (stable's may be beyond it, too)
        (Bound::Stable(factor) | Bound::Baseline(factor), Some(against)) if against.get() < last.get() => {
            factor * against.get()
        }
        (Bound::Stable(_) | Bound::Baseline(_), Some(_)) => f64::INFINITY,
        (Bound::Stable(_) | Bound::Baseline(_), None) => return Measurement::Waiting,
    };
    let less_is_better = matches!(check.comparison, Comparison::Below | Comparison::AtMost);
    match (bound <= last.get(), less_is_better) {
        (true, true) => Measurement::Fail(last),
        (true, false) => Measurement::Pass(last),
        (false, _) => Measurement::Error(MeasurementError::NoBound(no_bound)),
    }
}

/// What an answer for stable, of the last `window`, is worth as a reference: its value, where the answer
/// is as much evidence as [`judge`] asks for.
#[must_use]
pub fn reference_of(check: &Check, plan: &AnalysisPlan, window: Millis, reading: &Reading) -> Option<Finite> {
    let sample = read(&check.metric, window, reading).ok()?;
    sample.is_enough(plan).then_some(sample.value)
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

/// A value, and what it was made of where that matters.
pub(super) struct Sample {
    pub(super) value: Finite,
    pub(super) basis: Basis,
    /// Is it more than its histogram can say, and this its last bound?
    beyond: Option<NoBound>,
}

/// How much evidence a value is.
pub(super) enum Basis {
    /// So many requests.
    Requests(u64),
    /// All requests of this span of time.
    Span(Millis),
    /// A number that the source answers for.
    Scalar,
}

impl Sample {
    fn is_enough(&self, plan: &AnalysisPlan) -> bool {
        match self.basis {
            Basis::Requests(requests) => requests >= plan.min_requests,
            Basis::Span(span) => span >= plan.window,
            Basis::Scalar => true,
        }
    }
}

/// The sample in an answer, or what is to be said instead.
pub(super) fn sample(
    metric: &Metric,
    window: Millis,
    answer: Option<&Result<Reading, String>>,
) -> Result<Sample, Measurement> {
    match answer {
        None => Err(Measurement::NoData),
        Some(Err(_)) => Err(Measurement::Error(MeasurementError::SourceFailed)),
        Some(Ok(reading)) => read(metric, window, reading),
    }
}

fn read(metric: &Metric, window: Millis, reading: &Reading) -> Result<Sample, Measurement> {
    let wrong_kind = Measurement::Error(MeasurementError::WrongKind);
    let mut beyond = None;
    let (value, basis) = match (metric, reading) {
        (_, Reading::NoData)
        | (
            Metric::ErrorRate | Metric::SuccessRate | Metric::RequestRate,
            Reading::Counts { requests: 0, .. },
        ) => {
            return Err(Measurement::NoData);
        }
        (Metric::ErrorRate, Reading::Counts { requests, failed }) => {
            (share(*failed, *requests), Basis::Requests(*requests))
        }
        (Metric::SuccessRate, Reading::Counts { requests, failed }) => {
            (share(requests.saturating_sub(*failed), *requests), Basis::Requests(*requests))
        }
        (Metric::RequestRate, Reading::Counts { .. }) if window.is_zero() => {
            return Err(Measurement::Waiting);
        }
        (Metric::RequestRate, Reading::Counts { requests, .. }) => {
            (*requests as f64 * 1000.0 / window.get() as f64, Basis::Span(window))
        }
        (Metric::Latency(per_mille), Reading::Histogram(histogram)) => {
            let requests = requests(histogram).ok_or(wrong_kind)?;
            if requests == 0 {
                return Err(Measurement::NoData);
            }
            let micros = histogram.quantile_us(*per_mille).ok_or(wrong_kind)?;
            beyond = is_beyond(histogram, *per_mille, requests).then(|| NoBound::ends(histogram));
            (micros as f64 / 1e6, Basis::Requests(requests))
        }
        (
            Metric::CriticalAlerts | Metric::Saturation | Metric::Restarts | Metric::Named(_),
            Reading::Scalar(value),
        ) => (*value, Basis::Scalar),
        _ => return Err(wrong_kind),
    };
    match Finite::new(value) {
        Some(value) => Ok(Sample { value, basis, beyond }),
        None => Err(Measurement::Error(MeasurementError::NotANumber)),
    }
}

/// Are so many requests slower than every bound that the quantile is among them?
fn is_beyond(histogram: &Histogram, per_mille: u32, requests: u64) -> bool {
    let slowest = histogram.counts.last().copied().unwrap_or(0);
    let others = u128::from(requests.saturating_sub(slowest));
    others * 1000 < u128::from(requests) * u128::from(per_mille)
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
