//! A measurement as a sentence, with the numbers that it was based on.

use super::check::{Bound, Check};
use super::judge::{Basis, Measurement, MeasurementError, Sample, compare, sample};
use super::metric::{Arm, Metric};
use crate::backend::Reading;
use crate::stats::Finite;
use crate::time::Millis;

/// What a measurement says, for people: `error_rate 3.1% is not < 1% (812 of 26190 requests)`.
///
/// Takes what [`judge`](super::judge) took, and what it said. Where a relative check could have been
/// compared with either stable's answer or the reference, the sentence names the one that gives this
/// measurement.
///
/// # Example
/// ```
/// # use lifecycle_core::analysis::{AnalysisPlan, Check, explain, judge};
/// # use lifecycle_core::backend::Reading;
/// let check: Check = "error_rate < 1%".parse().unwrap();
/// let canary = Ok(Reading::Counts { requests: 26_190, failed: 812 });
/// let plan = AnalysisPlan::default();
/// let measurement = judge(&check, &plan, plan.window, Some(&canary), None, None);
/// assert_eq!(
///     explain(&check, measurement, plan.window, None, Some(&canary), None),
///     "error_rate 3.1% is not < 1% (812 of 26190 requests)"
/// );
/// ```
#[must_use]
pub fn explain(
    check: &Check,
    measurement: Measurement,
    window: Millis,
    reference: Option<Finite>,
    measured: Option<&Result<Reading, String>>,
    stable: Option<&Result<Reading, String>>,
) -> String {
    let name = check.metric_text();
    match measurement {
        Measurement::Pass(value) if check.metric == Metric::CriticalAlerts => {
            format!("{} critical alerts fire", number(value.get()))
        }
        Measurement::Fail(value) if check.metric == Metric::CriticalAlerts => {
            format!("{} critical alerts fire, and none may", number(value.get()))
        }
        Measurement::Pass(value) | Measurement::Fail(value) => {
            let verb = if matches!(measurement, Measurement::Pass(_)) { "is" } else { "is not" };
            let against = against(check, measurement, window, reference, stable);
            let bound = bound(check, against);
            format!(
                "{name} {} {verb} {} {bound}{}",
                shown(&check.metric, value),
                check.comparison,
                evidence(&check.metric, measured)
            )
        }
        Measurement::Waiting => format!("{name} waits for {}", awaited(check, window, measured)),
        Measurement::NoData => format!("there is no data for {name}"),
        Measurement::Inconclusive => match (sample(&check.metric, window, measured), check.bound) {
            (Ok(Sample { value, .. }), Bound::Stable(_) | Bound::Baseline(_)) => {
                format!("{name} {} cannot be compared with a multiple of 0", shown(&check.metric, value))
            }
            _ => format!("{name} cannot be compared"),
        },
        Measurement::Error(error) => match (error, failed(measured).or_else(|| failed(stable))) {
            (MeasurementError::SourceFailed, Some(why)) => format!("{name} was not measured: {why}"),
            (MeasurementError::SourceFailed, None) => format!("{name} was not measured: the source failed"),
            (MeasurementError::NotANumber, _) => format!("{name} is not a number"),
            (MeasurementError::WrongKind, _) => format!("the source's answer for {name} makes no sense"),
            (MeasurementError::CounterReset, _) => {
                format!("a counter of {name} was reset: what came since the look before cannot be said")
            }
            (MeasurementError::DifferentTimes, _) => {
                format!("{name} of canary and stable was counted over different times")
            }
            (MeasurementError::ClockWentBack, _) => format!("the clock of the source of {name} went back"),
            (MeasurementError::NoBound(no_bound), _) => no_bound.say(check),
        },
    }
}

/// What a measurement that waits is waiting for.
fn awaited(check: &Check, window: Millis, measured: Option<&Result<Reading, String>>) -> String {
    match (&check.metric, check.bound, sample(&check.metric, window, measured)) {
        (Metric::RequestRate, Bound::Value(_) | Bound::Stable(_), _) => "a whole window".to_owned(),
        (Metric::RequestRate, Bound::Baseline(_), _) => "a whole window, or for a baseline".to_owned(),
        (_, Bound::Value(_), Ok(Sample { basis: Basis::Requests(requests), .. })) => {
            format!("more requests than {requests}")
        }
        (_, Bound::Value(_), _) => "more requests".to_owned(),
        (_, Bound::Stable(_), _) => "more requests of the canary or of stable".to_owned(),
        (_, Bound::Baseline(_), _) => {
            let arm = if check.arm == Arm::Stable { "stable" } else { "the canary" };
            format!("more requests of {arm}, or for a baseline")
        }
    }
}

/// What a relative bound was a multiple of.
fn against(
    check: &Check,
    measurement: Measurement,
    window: Millis,
    reference: Option<Finite>,
    stable: Option<&Result<Reading, String>>,
) -> Option<Finite> {
    let (Measurement::Pass(value) | Measurement::Fail(value)) = measurement else { return None };
    let stable = match check.bound {
        Bound::Stable(_) => sample(&check.metric, window, stable).ok().map(|sample| sample.value),
        Bound::Value(_) | Bound::Baseline(_) => None,
    };
    let gives_it = |against: &Finite| compare(check, value, Some(*against)) == measurement;
    [stable, reference].into_iter().flatten().find(gives_it)
}

fn bound(check: &Check, against: Option<Finite>) -> String {
    let metric = &check.metric;
    let (factor, arm) = match check.bound {
        Bound::Value(value) => {
            return Finite::new(value).map_or_else(String::new, |value| shown(metric, value));
        }
        Bound::Stable(factor) => (factor, "stable"),
        Bound::Baseline(factor) => (factor, "baseline"),
    };
    match against {
        Some(against) => format!("{}x {arm}'s {}", number(factor), shown(metric, against)),
        None => format!("{}x {arm}", number(factor)),
    }
}

/// How much the value was made of.
fn evidence(metric: &Metric, measured: Option<&Result<Reading, String>>) -> String {
    match (metric, measured) {
        (Metric::RequestRate, Some(Ok(Reading::Counts { requests, .. }))) => {
            format!(" ({requests} requests)")
        }
        (_, Some(Ok(Reading::Counts { requests, failed }))) => format!(" ({failed} of {requests} requests)"),
        (_, Some(Ok(Reading::Histogram(histogram)))) => {
            let requests = histogram.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
            format!(" ({requests} requests)")
        }
        _ => String::new(),
    }
}

fn failed(answer: Option<&Result<Reading, String>>) -> Option<&str> {
    answer.and_then(|answer| answer.as_ref().err()).map(String::as_str)
}

/// A value in the unit in which people write it.
fn shown(metric: &Metric, value: Finite) -> String {
    let value = value.get();
    match metric {
        Metric::ErrorRate | Metric::SuccessRate | Metric::Saturation => percent(value),
        Metric::RequestRate => format!("{}/s", number(value)),
        Metric::Latency(_) => seconds(value),
        Metric::Restarts | Metric::CriticalAlerts | Metric::Named(_) => number(value),
    }
}

/// A share, 0 to 1.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", number(share * 100.0))
}

/// A span of seconds in the unit in which people write it.
pub(super) fn seconds(value: f64) -> String {
    match value.abs() {
        long if long >= 1.0 => format!("{}s", number(value)),
        short if short >= 0.001 || short == 0.0 => format!("{}ms", number(value * 1e3)),
        _ => format!("{}us", number(value * 1e6)),
    }
}

/// Four significant digits, without zeros at the end.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 1e12 || value.abs() < 1e-6 {
        return format!("{value}");
    }
    let whole_digits = value.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from(4 - whole_digits).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::judge;
    use super::super::plan::AnalysisPlan;
    use super::*;
    use crate::backend::Histogram;

    fn said(
        check: &str,
        canary: Result<Reading, String>,
        stable: Option<Reading>,
        reference: Option<f64>,
    ) -> String {
        let check: Check = check.parse().unwrap();
        let (stable, reference) = (stable.map(Ok), reference.and_then(Finite::new));
        let plan = AnalysisPlan::default();
        let measurement = judge(&check, &plan, plan.window, Some(&canary), stable.as_ref(), reference);
        explain(&check, measurement, plan.window, reference, Some(&canary), stable.as_ref())
    }

    fn counts(failed: u64, requests: u64) -> Reading {
        Reading::Counts { requests, failed }
    }

    fn latency(ms: u64) -> Reading {
        Reading::Histogram(Histogram::new(vec![ms * 1000 - 1, ms * 1000].into(), vec![0, 1000, 0]))
    }

    #[test]
    fn a_sentence_has_the_value_the_bound_and_the_evidence() {
        let cases = [
            (
                said("error_rate < 1%", Ok(counts(812, 26_190)), None, None),
                "error_rate 3.1% is not < 1% (812 of 26190 requests)",
            ),
            (
                said("error_rate<1%", Ok(counts(1, 10_000)), None, None),
                "error_rate 0.01% is < 1% (1 of 10000 requests)",
            ),
            (
                said("success_rate > 95%", Ok(counts(1, 1000)), None, None),
                "success_rate 99.9% is > 95% (1 of 1000 requests)",
            ),
            (
                said("p95_latency < 500ms", Ok(latency(1250)), None, None),
                "p95_latency 1.25s is not < 500ms (1000 requests)",
            ),
            (
                said("latency_p95_canary < 1.2x stable", Ok(latency(300)), Some(latency(200)), None),
                "latency_p95_canary 300ms is not < 1.2x stable's 200ms (1000 requests)",
            ),
            (
                said("p95_latency <= 2x baseline", Ok(latency(300)), None, Some(0.2)),
                "p95_latency 300ms is <= 2x baseline's 200ms (1000 requests)",
            ),
            (
                said("no_critical_alerts", Ok(Reading::Scalar(2.0)), None, None),
                "2 critical alerts fire, and none may",
            ),
            (said("no_critical_alerts", Ok(Reading::Scalar(0.0)), None, None), "0 critical alerts fire"),
            (said("queue < 10", Ok(Reading::Scalar(12.5)), None, None), "queue 12.5 is not < 10"),
            (said("queue < 10", Ok(Reading::Scalar(f64::NAN)), None, None), "queue is not a number"),
            (
                said("request_rate > 10/s", Ok(counts(3, 2950)), None, None),
                "request_rate 9.833/s is not > 10/s (2950 requests)",
            ),
            (
                said("request_rate > 0.5x stable", Ok(counts(3, 2950)), Some(counts(0, 300)), None),
                "request_rate 9.833/s is > 0.5x stable's 1/s (2950 requests)",
            ),
            (
                said("saturation < 80%", Ok(Reading::Scalar(0.8125)), None, None),
                "saturation 81.25% is not < 80%",
            ),
            (said("restarts < 3", Ok(Reading::Scalar(2.0)), None, None), "restarts 2 is < 3"),
            (
                said("error_rate < 1%", Ok(counts(0, 20)), None, None),
                "error_rate waits for more requests than 20",
            ),
            (said("error_rate < 1%", Ok(Reading::NoData), None, None), "there is no data for error_rate"),
            (said("error_rate < 1%", Err("503".to_owned()), None, None), "error_rate was not measured: 503"),
            (
                said("error_rate < 2x stable", Ok(counts(5, 1000)), Some(counts(0, 1000)), None),
                "error_rate 0.5% cannot be compared with a multiple of 0",
            ),
        ];
        for (sentence, wanted) in cases {
            assert_eq!(sentence, wanted);
        }
    }

    #[test]
    fn what_waits_says_for_what() {
        let baseline = "waits for a whole window, or for a baseline";
        for (check, sentence) in [
            ("request_rate > 10/s", "request_rate waits for a whole window".to_owned()),
            ("request_rate > 2x stable", "request_rate waits for a whole window".to_owned()),
            ("request_rate > 2x baseline", format!("request_rate {baseline}")),
            ("error_rate < 1%", "error_rate waits for more requests than 9".to_owned()),
            (
                "error_rate < 2x stable",
                "error_rate waits for more requests of the canary or of stable".to_owned(),
            ),
        ] {
            let check: Check = check.parse().unwrap();
            let canary = Ok(counts(0, 9));
            let second = Millis::from_secs(1);
            let measurement = judge(&check, &AnalysisPlan::default(), second, Some(&canary), None, None);
            assert_eq!(measurement, Measurement::Waiting, "{check}");
            assert_eq!(explain(&check, measurement, second, None, Some(&canary), None), sentence);
        }
    }

    #[test]
    fn the_sentence_names_the_arm_that_was_compared() {
        // Stable has too few requests, and what it says now would have passed.
        let sentence = said("error_rate < 2x stable", Ok(counts(30, 1000)), Some(counts(9, 10)), Some(0.01));
        assert_eq!(sentence, "error_rate 3% is not < 2x stable's 1% (30 of 1000 requests)");
    }

    #[test]
    fn numbers_have_four_digits_at_most() {
        for (value, text) in [
            (0.0, "0"),
            (3.100_4, "3.1"),
            (99.9, "99.9"),
            (123_456.0, "123456"),
            (0.012_341, "0.01234"),
            (-2.5, "-2.5"),
            (1e300, "1000000000000"),
        ] {
            assert!(number(value).starts_with(text), "{value}: {}", number(value));
        }
    }
}
