use super::*;

type Answer = Result<Reading, String>;

fn counts(failed: u64, requests: u64) -> Option<Answer> {
    Some(Ok(Reading::Counts { requests, failed }))
}

/// Every request takes about this long.
fn latency(ms: u64, requests: u64) -> Option<Answer> {
    Some(Ok(Reading::Histogram(Histogram::new(vec![ms * 1000 - 1, ms * 1000].into(), vec![0, requests, 0]))))
}

fn scalar(value: f64) -> Option<Answer> {
    Some(Ok(Reading::Scalar(value)))
}

fn no_data() -> Option<Answer> {
    Some(Ok(Reading::NoData))
}

fn down() -> Option<Answer> {
    Some(Err("down".to_owned()))
}

fn pass(value: f64) -> Measurement {
    Measurement::Pass(Finite::new(value).unwrap())
}

fn fail(value: f64) -> Measurement {
    Measurement::Fail(Finite::new(value).unwrap())
}

fn judged(
    check: &str,
    canary: Option<Answer>,
    stable: Option<Answer>,
    reference: Option<f64>,
) -> Measurement {
    judged_over(AnalysisPlan::default().window, check, canary, stable, reference)
}

/// By answers of this span of time.
fn judged_over(
    window: Millis,
    check: &str,
    canary: Option<Answer>,
    stable: Option<Answer>,
    reference: Option<f64>,
) -> Measurement {
    let check: Check = check.parse().unwrap();
    let reference = reference.and_then(Finite::new);
    judge(&check, &AnalysisPlan::default(), window, canary.as_ref(), stable.as_ref(), reference)
}

const SOURCE_FAILED: Measurement = Measurement::Error(MeasurementError::SourceFailed);
const NOT_A_NUMBER: Measurement = Measurement::Error(MeasurementError::NotANumber);
const WRONG_KIND: Measurement = Measurement::Error(MeasurementError::WrongKind);

#[test]
fn a_threshold_is_compared_the_way_it_is_written() {
    for (check, canary, measurement) in [
        ("error_rate < 1%", counts(9, 1000), pass(0.009)),
        ("error_rate < 1%", counts(10, 1000), fail(0.01)),
        ("error_rate <= 1%", counts(10, 1000), pass(0.01)),
        ("error_rate < 1%", counts(0, 1000), pass(0.0)),
        ("error_rate < 1%", counts(2000, 1000), fail(1.0)),
        ("success_rate > 95%", counts(50, 1000), fail(0.95)),
        ("success_rate >= 95%", counts(50, 1000), pass(0.95)),
        ("success_rate > 95%", counts(2000, 1000), fail(0.0)),
        ("p95_latency < 500ms", latency(499, 500), pass(0.498_999)),
        ("p95_latency < 500ms", latency(600, 500), fail(0.599_999)),
        ("queue < 10", scalar(9.5), pass(9.5)),
        ("queue > -1", scalar(-1.0), fail(-1.0)),
        ("no_critical_alerts", scalar(0.0), pass(0.0)),
        ("no_critical_alerts", scalar(1.0), fail(1.0)),
    ] {
        assert_eq!(judged(check, canary.clone(), None, None), measurement, "{check} {canary:?}");
    }
}

#[test]
fn what_says_nothing_is_a_measurement_of_its_own() {
    let check = "error_rate < 1%";
    for (check, canary, measurement) in [
        (check, counts(499, 499), Measurement::Waiting),
        (check, counts(0, 500), pass(0.0)),
        (check, counts(0, 0), Measurement::NoData),
        (check, no_data(), Measurement::NoData),
        (check, None, Measurement::NoData),
        (check, down(), SOURCE_FAILED),
        (check, scalar(0.0), WRONG_KIND),
        (check, latency(1, 1000), WRONG_KIND),
        ("p95_latency < 1s", latency(1, 499), Measurement::Waiting),
        ("p95_latency < 1s", latency(1, 0), Measurement::NoData),
        ("p95_latency < 1s", counts(0, 1000), WRONG_KIND),
        ("queue < 1", scalar(f64::NAN), NOT_A_NUMBER),
        ("queue < 1", scalar(f64::INFINITY), NOT_A_NUMBER),
        ("queue < 1", scalar(f64::NEG_INFINITY), NOT_A_NUMBER),
        ("queue < 1", no_data(), Measurement::NoData),
        ("queue < 1", counts(0, 1000), WRONG_KIND),
        ("no_critical_alerts", no_data(), Measurement::NoData),
        ("no_critical_alerts", scalar(f64::NAN), NOT_A_NUMBER),
        ("no_critical_alerts", down(), SOURCE_FAILED),
    ] {
        assert_eq!(judged(check, canary.clone(), None, None), measurement, "{check} {canary:?}");
    }
}

#[test]
fn a_histogram_that_makes_no_sense_is_an_error_and_no_panic() {
    for (bounds, counts) in [
        (vec![], vec![1000]),
        (vec![], vec![]),
        (vec![10, 20], vec![1000]),
        (vec![10], vec![1, 2, 3]),
        (vec![20, 10], vec![500, 500, 0]),
        (vec![10, 10], vec![500, 500, 0]),
        (vec![10, 20], vec![u64::MAX, u64::MAX, 1]),
    ] {
        let histogram = Some(Ok(Reading::Histogram(Histogram::new(bounds.into(), counts))));
        assert_eq!(judged("p95_latency < 1s", histogram.clone(), None, None), WRONG_KIND, "{histogram:?}");
    }
}

#[test]
fn a_check_against_stable_takes_stable_and_else_the_reference() {
    let check = "error_rate < 2x stable";
    for (stable, reference, measurement) in [
        (counts(20, 1000), None, pass(0.03)),
        (counts(15, 1000), None, fail(0.03)),
        // What stable says now counts more than what it said before.
        (counts(20, 1000), Some(0.001), pass(0.03)),
        (counts(15, 1000), Some(0.9), fail(0.03)),
        // Too few requests, none, no data: the reference.
        (counts(9, 10), Some(0.001), fail(0.03)),
        (counts(0, 0), Some(0.02), pass(0.03)),
        (no_data(), Some(0.02), pass(0.03)),
        (None, Some(0.02), pass(0.03)),
        (counts(9, 10), None, Measurement::Waiting),
        (counts(0, 0), None, Measurement::NoData),
        (no_data(), None, Measurement::NoData),
        (None, None, Measurement::NoData),
        (down(), Some(0.02), SOURCE_FAILED),
        (scalar(1.0), Some(0.02), WRONG_KIND),
    ] {
        assert_eq!(
            judged(check, counts(30, 1000), stable.clone(), reference),
            measurement,
            "{stable:?} {reference:?}"
        );
    }
    assert_eq!(
        judged(check, counts(30, 400), counts(0, 1000), Some(0.1)),
        Measurement::Waiting,
        "the canary first"
    );
    assert_eq!(judged(check, counts(0, 0), counts(0, 10), None), Measurement::NoData);
}

#[test]
fn a_check_against_the_baseline_takes_nothing_but_the_reference() {
    let check = "p95_latency <= 2x baseline";
    assert_eq!(judged(check, latency(300, 1000), None, Some(0.2)), pass(0.299_999));
    assert_eq!(judged(check, latency(300, 1000), latency(1000, 1000), Some(0.1)), fail(0.299_999));
    assert_eq!(judged(check, latency(300, 1000), latency(1000, 1000), None), Measurement::Waiting);
    assert_eq!(judged(check, latency(300, 1000), down(), Some(0.2)), pass(0.299_999));
}

#[test]
fn a_multiple_of_zero_says_nothing() {
    let perfect = || counts(0, 1000);
    for (check, canary, measurement) in [
        ("error_rate < 1.2x stable", counts(0, 1000), pass(0.0)),
        ("error_rate <= 1.2x stable", counts(0, 1000), pass(0.0)),
        ("error_rate < 1.2x stable", counts(1, 1000), Measurement::Inconclusive),
        ("error_rate > 1.2x stable", counts(1, 1000), pass(0.001)),
    ] {
        assert_eq!(judged(check, canary.clone(), perfect(), None), measurement, "{check} {canary:?}");
    }
}

#[test]
fn a_rate_is_what_came_in_a_second_of_the_window() {
    // 3000 requests in 300 s
    for (check, measurement) in [
        ("request_rate > 10/s", fail(10.0)),
        ("request_rate >= 10/s", pass(10.0)),
        ("request_rate < 10.5", pass(10.0)),
        ("request_rate_canary > 9", pass(10.0)),
    ] {
        assert_eq!(judged(check, counts(7, 3000), None, None), measurement, "{check}");
    }
    let minute = Millis::from_secs(60);
    let plan = AnalysisPlan { window: minute, ..AnalysisPlan::default() };
    let check: Check = "request_rate > 10/s".parse().unwrap();
    assert_eq!(judge(&check, &plan, minute, counts(0, 3000).as_ref(), None, None), pass(50.0));
}

#[test]
fn a_rate_needs_a_whole_window_and_no_number_of_requests() {
    let check = "request_rate > 10/s";
    let whole = AnalysisPlan::default().window;
    for (window, canary, measurement) in [
        (whole, counts(0, 1), fail(1.0 / 300.0)),
        (whole - Millis(1), counts(0, 9000), Measurement::Waiting),
        (Millis::from_secs(10), counts(0, 9000), Measurement::Waiting),
        (Millis::ZERO, counts(0, 9000), Measurement::Waiting),
        // Nobody asks: that is no rate of 0, which could only fail.
        (whole, counts(0, 0), Measurement::NoData),
        (whole, no_data(), Measurement::NoData),
        (whole, down(), SOURCE_FAILED),
        (whole, scalar(10.0), WRONG_KIND),
    ] {
        assert_eq!(
            judged_over(window, check, canary.clone(), None, None),
            measurement,
            "{window} {canary:?}"
        );
    }
    // A rate of errors is one of a few seconds, too.
    let few = judged_over(Millis::from_secs(10), "error_rate < 1%", counts(0, 500), None, None);
    assert_eq!(few, pass(0.0));
}

#[test]
fn a_rate_is_compared_with_stable_s_and_with_the_last_one_it_had() {
    let check = "request_rate >= 0.5x stable";
    for (stable, reference, measurement) in [
        (counts(0, 6000), None, pass(10.0)),
        (counts(0, 6001), None, fail(10.0)),
        (counts(0, 0), Some(20.0), pass(10.0)),
        (counts(0, 0), None, Measurement::NoData),
    ] {
        assert_eq!(judged(check, counts(0, 3000), stable.clone(), reference), measurement, "{stable:?}");
    }
}

#[test]
fn saturation_and_restarts_are_numbers_that_the_source_gives() {
    for (check, canary, measurement) in [
        ("saturation < 80%", scalar(0.79), pass(0.79)),
        ("saturation < 80%", scalar(0.8), fail(0.8)),
        ("saturation < 80%", scalar(1.25), fail(1.25)),
        ("saturation <= 1.2x stable", scalar(0.5), fail(0.5)),
        ("restarts <= 0", scalar(0.0), pass(0.0)),
        ("restarts < 3", scalar(3.0), fail(3.0)),
        ("restarts < 3", scalar(f64::NAN), NOT_A_NUMBER),
        ("restarts < 3", no_data(), Measurement::NoData),
        ("saturation < 80%", counts(0, 1000), WRONG_KIND),
    ] {
        assert_eq!(judged(check, canary.clone(), scalar(0.4), None), measurement, "{check} {canary:?}");
    }
}

#[test]
fn a_reference_needs_as_much_evidence_as_a_judgement() {
    let plan = AnalysisPlan { min_requests: 4, ..AnalysisPlan::default() };
    let value_over = |window, check: &str, reading: Option<Answer>| {
        let check: Check = check.parse().unwrap();
        reference_of(&check, &plan, window, &reading.unwrap().unwrap()).map(Finite::get)
    };
    let value = |check: &str, reading: Option<Answer>| value_over(plan.window, check, reading);
    assert_eq!(value("error_rate < 2x stable", counts(1, 4)), Some(0.25));
    assert_eq!(value("error_rate < 2x stable", counts(1, 3)), None);
    assert_eq!(value("p95_latency < 2x stable", latency(300, 4)), Some(0.299_999));
    assert_eq!(value("p95_latency < 2x stable", latency(300, 3)), None);
    assert_eq!(value("queue < 2x stable", scalar(3.0)), Some(3.0));
    assert_eq!(value("request_rate < 2x stable", counts(0, 3)), Some(0.01));
    assert_eq!(value_over(Millis(299_999), "request_rate < 2x stable", counts(0, 3)), None);
    assert_eq!(value("error_rate < 2x stable", counts(0, 0)), None);
    assert_eq!(value("error_rate < 2x stable", no_data()), None);
    assert_eq!(value("queue < 2x stable", scalar(f64::NAN)), None);
    assert_eq!(value("queue < 2x stable", counts(1, 4)), None);
}

#[test]
fn finite_numbers_are_equal_when_they_are_the_same() {
    assert_eq!(Finite::new(-0.0), Finite::new(0.0));
    assert_ne!(Finite::new(0.1), Finite::new(0.2));
    assert_eq!(Finite::new(f64::NAN), None);
    assert_eq!(Finite::new(f64::INFINITY), None);
}

/// 1000 requests, of which so many are slower than the last bound, 100 ms.
fn beyond(slowest: u64) -> Option<Answer> {
    let counts = vec![500, 500 - slowest, slowest];
    Some(Ok(Reading::Histogram(Histogram::new([10_000, 100_000].as_slice().into(), counts))))
}

#[test]
fn what_is_beyond_the_last_bound_is_compared_with_nothing_above_it() {
    let no_bound = NoBound::Ends { lowest_us: 10_000, highest_us: 100_000 };
    let unknown = Measurement::Error(MeasurementError::NoBound(no_bound));
    let last = 0.1;
    for (check, canary, stable, reference, measurement) in [
        ("p95_latency < 2s", beyond(50), None, None, pass(last)),
        ("p95_latency < 2s", beyond(51), None, None, unknown),
        ("p95_latency < 100ms", beyond(51), None, None, fail(last)),
        ("p95_latency <= 100ms", beyond(51), None, None, fail(last)),
        ("p95_latency <= 100ms", beyond(50), None, None, pass(last)),
        ("p95_latency < 50ms", beyond(51), None, None, fail(last)),
        ("p95_latency > 50ms", beyond(51), None, None, pass(last)),
        ("p95_latency > 2s", beyond(51), None, None, unknown),
        ("p99_latency < 2s", beyond(11), None, None, unknown),
        ("p99_latency < 2s", beyond(10), None, None, pass(last)),
        // 20 ms, and as slow as stable
        ("p95_latency < 2x stable", beyond(51), latency(20, 1000), None, fail(last)),
        ("p95_latency < 6x stable", beyond(51), latency(20, 1000), None, unknown),
        ("p95_latency <= 1x stable", beyond(51), beyond(51), None, unknown),
        ("p95_latency < 2x baseline", beyond(51), None, Some(0.02), fail(last)),
        ("p95_latency < 2x baseline", beyond(51), None, Some(0.1), unknown),
        ("p95_latency < 2x baseline", beyond(51), None, None, Measurement::Waiting),
        ("p95_latency < 1.2x stable", latency(20, 1000), beyond(51), None, pass(0.02)),
    ] {
        let said = judged(check, canary.clone(), stable, reference);
        let close = match (said, measurement) {
            (Measurement::Pass(a), Measurement::Pass(b)) | (Measurement::Fail(a), Measurement::Fail(b)) => {
                (a.get() - b.get()).abs() < 1e-5
            }
            (said, measurement) => said == measurement,
        };
        assert!(close, "{check} {canary:?}: {said:?}");
    }
}
