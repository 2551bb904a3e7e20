use super::super::check::Check;
use super::*;

fn parsed(text: &str) -> (Metric, Comparison, Bound) {
    let check: Check = text.parse().unwrap_or_else(|error| panic!("{error}"));
    (check.metric, check.comparison, check.bound)
}

#[test]
fn every_metric_has_its_names() {
    for (names, metric) in [
        (&["error_rate", "error_rate_canary"][..], Metric::ErrorRate),
        (&["success_rate", "success_rate_canary"], Metric::SuccessRate),
        (&["p50_latency", "latency_p50", "p50_latency_canary"], Metric::Latency(500)),
        (&["p90_latency", "latency_p90", "latency_p90_canary"], Metric::Latency(900)),
        (&["p95_latency", "latency_p95", "latency_p95_canary"], Metric::Latency(950)),
        (&["p99_latency", "latency_p99", "latency_p99_canary"], Metric::Latency(990)),
        (&["request_rate", "request_rate_canary"], Metric::RequestRate),
        (&["saturation", "saturation_canary"], Metric::Saturation),
        (&["restarts", "restarts_canary"], Metric::Restarts),
        (&["queue"], Metric::Named("queue".into())),
        (&["_q1"], Metric::Named("_q1".into())),
        (&["p42_latency"], Metric::Named("p42_latency".into())),
        (&["latency"], Metric::Named("latency".into())),
        (&["queue_stable"], Metric::Named("queue_stable".into())),
        (&["latency_p95_stable_canary"], Metric::Named("latency_p95_stable_canary".into())),
        (&["no_critical_alerts_stable"], Metric::Named("no_critical_alerts_stable".into())),
    ] {
        for name in names {
            let check: Check = format!("{name} < 2x stable").parse().unwrap();
            assert_eq!((check.metric(), check.arm()), (&metric, Arm::Canary), "{name}");
        }
    }
    for (name, metric) in [
        ("error_rate_stable", Metric::ErrorRate),
        ("success_rate_stable", Metric::SuccessRate),
        ("p95_latency_stable", Metric::Latency(950)),
        ("latency_p99_stable", Metric::Latency(990)),
        ("request_rate_stable", Metric::RequestRate),
        ("saturation_stable", Metric::Saturation),
        ("restarts_stable", Metric::Restarts),
    ] {
        let check: Check = format!("{name} < 2x baseline").parse().unwrap();
        assert_eq!((check.metric(), check.arm()), (&metric, Arm::Stable), "{name}");
    }
    assert_eq!(parsed("no_critical_alerts"), (Metric::CriticalAlerts, Comparison::AtMost, Bound::Value(0.0)));
}

#[test]
fn bounds_are_in_the_metric_s_unit() {
    for (text, bound) in [
        ("error_rate < 1%", Bound::Value(0.01)),
        ("error_rate < 0.01", Bound::Value(0.01)),
        ("error_rate < 0", Bound::Value(0.0)),
        ("success_rate > 95 %", Bound::Value(0.95)),
        ("success_rate >= 1", Bound::Value(1.0)),
        ("success_rate >= 100%", Bound::Value(1.0)),
        ("p95_latency < 500ms", Bound::Value(0.5)),
        ("p95_latency < 2s", Bound::Value(2.0)),
        ("p95_latency < 1.5 s", Bound::Value(1.5)),
        ("p95_latency < 250us", Bound::Value(0.000_25)),
        ("p95_latency < 1m", Bound::Value(60.0)),
        ("request_rate > 10/s", Bound::Value(10.0)),
        ("request_rate > 10 /s", Bound::Value(10.0)),
        ("request_rate > 0.5", Bound::Value(0.5)),
        ("saturation < 80%", Bound::Value(0.8)),
        ("saturation <= 1", Bound::Value(1.0)),
        ("restarts <= 0", Bound::Value(0.0)),
        ("restarts < 1e2", Bound::Value(100.0)),
        ("latency_p95_canary < 1.2x stable", Bound::Stable(1.2)),
        ("latency_p95_canary < 1.2 x stable", Bound::Stable(1.2)),
        ("latency_p95_canary < 1.2xstable", Bound::Stable(1.2)),
        ("error_rate <= 2X baseline", Bound::Baseline(2.0)),
        ("error_rate <= stable", Bound::Stable(1.0)),
        ("error_rate<=baseline", Bound::Baseline(1.0)),
        ("queue < stable", Bound::Stable(1.0)),
        ("error_rate_canary < 1.2x error_rate_stable", Bound::Stable(1.2)),
        ("error_rate <= error_rate_stable", Bound::Stable(1.0)),
        ("latency_p95_canary < 1.2xp95_latency_stable", Bound::Stable(1.2)),
        ("error_rate_stable < 5%", Bound::Value(0.05)),
        ("restarts_stable < 3", Bound::Value(3.0)),
        ("p95_latency_stable <= 1.5x baseline", Bound::Baseline(1.5)),
        ("p95_latency_stable <= baseline", Bound::Baseline(1.0)),
        ("queue < -12.5", Bound::Value(-12.5)),
        ("queue < 1e6", Bound::Value(1e6)),
        ("queue < 5E-3", Bound::Value(0.005)),
        ("queue < .5", Bound::Value(0.5)),
    ] {
        assert_eq!(parsed(text).2, bound, "{text}");
    }
}

#[test]
fn a_letter_in_another_case_is_another_word() {
    for text in ["Error_rate < 1%", "error_rate < 2x Stable", "error_rate < 2x BASELINE", "p95_latency < 5MS"]
    {
        let read = text.parse::<Check>().map(|check| check.metric().clone());
        assert!(!matches!(read, Ok(Metric::ErrorRate | Metric::Latency(_))), "{text}: {read:?}");
    }
}

#[test]
fn spaces_are_optional_and_do_not_survive_at_the_ends() {
    for text in ["error_rate<=1%", "  error_rate <= 1%\t", "error_rate<= 1 %", "error_rate\t<=1%"] {
        assert_eq!(parsed(text), (Metric::ErrorRate, Comparison::AtMost, Bound::Value(0.01)), "{text}");
    }
    assert_eq!("  error_rate<1% ".parse::<Check>().unwrap().to_string(), "error_rate<1%");
    assert_eq!(parsed(" no_critical_alerts ").0, Metric::CriticalAlerts);
}

#[test]
fn an_error_points_at_the_character() {
    for (text, at, problem) in [
        ("", 1, "a metric is expected, one of error_rate, success_rate"),
        ("   ", 4, "a metric is expected"),
        ("< 1%", 1, "a metric is expected"),
        ("1rate < 1", 1, "a metric is expected"),
        ("\u{e9}rate < 1", 1, "a metric is expected"),
        ("err\u{e9} < 1", 4, "one of < <= > >= is expected after err"),
        ("error_rate", 11, "one of < <= > >= is expected"),
        ("error_rate = 1%", 12, "one of < <= > >= is expected"),
        ("error_rate == 1%", 12, "one of < <= > >= is expected"),
        ("error-rate < 1%", 6, "one of < <= > >= is expected"),
        ("error_rate <", 13, "a number is expected: write 5%"),
        ("error_rate << 1%", 13, "a number is expected"),
        ("error_rate < NaN", 14, "a number is expected"),
        ("error_rate < inf", 14, "a number is expected"),
        ("queue < nan", 9, "a number is expected: write a plain number"),
        ("queue < .", 9, "a number is expected"),
        ("queue < +1", 9, "a number is expected"),
        ("error_rate < \u{664}%", 14, "a number is expected"),
        ("error_rate < -1%", 14, "error_rate is never negative"),
        ("p95_latency < -5ms", 15, "p95_latency is never negative"),
        ("queue < 1e400", 9, "the number is too large"),
        ("queue < -1e400", 9, "the number is too large"),
        ("error_rate < 1e400%", 14, "the number is too large"),
        ("p95_latency < 1e308m", 15, "the number is too large"),
        ("error_rate < 5ms", 15, "ms is not a unit of error_rate: write 5%, 0.05"),
        ("error_rate < 5 minutes", 16, "minutes is not a unit of error_rate"),
        ("error_rate < 101%", 14, "more than 100%"),
        ("error_rate < 5", 14, "more than 100%: write a percentage like 5%"),
        ("p95_latency < 5%", 16, "% is not a unit of p95_latency: write 500ms, 2s"),
        ("p95_latency < 500", 18, "a unit is expected here: write 500ms"),
        ("p95_latency < 500/s", 18, "/s is not a unit of p95_latency: write 500ms"),
        ("request_rate < 10/min", 18, "/min is not a unit of request_rate: write 10/s, 10, 1.2x stable"),
        ("request_rate < 10/", 18, "/ is not a unit of request_rate"),
        ("request_rate < 10 rps", 19, "rps is not a unit of request_rate"),
        ("request_rate < 10%", 18, "% is not a unit of request_rate"),
        ("request_rate < 10/s/s", 20, "the check should end here"),
        ("request_rate < -10/s", 16, "request_rate is never negative"),
        ("saturation < 80", 14, "more than 100%"),
        ("saturation < 101%", 14, "more than 100%"),
        ("saturation < 5ms", 15, "ms is not a unit of saturation: write 80%, 0.8, 1.2x stable"),
        ("restarts < 1.5", 12, "restarts are counted: write a whole number like 0 or 3"),
        ("restarts < 5%", 13, "% is not a unit of restarts: write a whole number like 3, 1.2x stable"),
        ("restarts < -1", 12, "restarts is never negative"),
        ("restarts <", 11, "a number is expected: write a whole number like 3"),
        ("p95_latency < 5min", 16, "min is not a unit"),
        ("p95_latency < 5\u{b5}s", 16, "\u{b5}s is not a unit"),
        ("queue < 5%", 10, "% is not a unit of queue: write a plain number"),
        ("queue < 5e", 10, "e is not a unit of queue"),
        ("error_rate < 1.2x", 18, "stable, baseline or error_rate_stable is expected after x"),
        ("latency_p95_canary < 1.2x", 26, "stable, baseline or latency_p95_stable is expected after x"),
        ("queue < 1.2x", 13, "stable or baseline is expected after x"),
        ("error_rate_stable < 1.2x", 25, "baseline is expected after x"),
        ("error_rate < 1.2x canary", 19, "stable, baseline or error_rate_stable is expected after x"),
        ("error_rate < 1.2x stables", 19, "error_rate_stable is expected after x"),
        ("error_rate < 1.2x stabl\u{e9}", 19, "error_rate_stable is expected after x"),
        ("error_rate < 1.2x 5", 19, "error_rate_stable is expected after x"),
        ("error_rate < 0x stable", 14, "a factor above 0 is expected"),
        ("queue < -1x stable", 9, "a factor above 0 is expected"),
        ("error_rate < -stable", 14, "a number is expected"),
        ("error_rate < stables", 14, "a number is expected: write 5%, 0.05, 1.2x stable or 2x baseline"),
        ("error_rate < queue", 14, "a number is expected"),
        ("queue < queue", 9, "a number is expected: write a plain number, 1.2x stable"),
        ("queue < 2x queue_stable", 12, "stable or baseline is expected after x"),
        ("error_rate < 1 stable", 16, "stable is not a unit of error_rate"),
        ("error_rate < 1.2 stable", 18, "stable is not a unit of error_rate"),
        ("error_rate < stable stable", 21, "the check should end here"),
        (
            "error_rate < 1.2x success_rate_stable",
            19,
            "success_rate_stable is another metric than error_rate: write 5%, 0.05, 1.2x stable",
        ),
        ("p95_latency < p99_latency_stable", 15, "p99_latency_stable is another metric than p95_latency"),
        ("queue < 2x error_rate_stable", 12, "error_rate_stable is another metric than queue"),
        ("error_rate < 2x p95_latency", 17, "p95_latency is another metric than error_rate"),
        (
            "error_rate < 1.2x error_rate_canary",
            19,
            "error_rate_canary is the canary's, and nothing is compared with the canary: write 5%",
        ),
        ("error_rate_stable < error_rate", 21, "error_rate is the canary's"),
        (
            "error_rate_stable < 1.2x stable",
            26,
            "stable is what error_rate_stable measures itself: write 5%, 0.05 or 2x baseline",
        ),
        ("error_rate_stable <= error_rate_stable", 22, "error_rate_stable is what is measured itself: write"),
        (
            "error_rate_stable < 5ms",
            22,
            "ms is not a unit of error_rate_stable: write 5%, 0.05 or 2x baseline",
        ),
        ("error_rate < 1% and more", 17, "the check should end here"),
        ("error_rate < 1%;", 16, "the check should end here"),
        ("queue < 1.2.3", 12, "the check should end here"),
        ("error_rate < 1%\nerror_rate < 2%", 16, "the check should end here"),
        ("no_critical_alerts < 1", 20, "no_critical_alerts stands alone"),
    ] {
        let error = text.parse::<Check>().unwrap_err();
        assert_eq!(error.at, at, "{error}");
        assert!(error.problem.contains(problem), "{error}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}

#[test]
fn a_long_text_is_refused_and_repeated_in_part() {
    for text in
        ["x".repeat(10_240), "\u{1f980}".repeat(10_240), format!("error_rate < 1{}%", "0".repeat(10_240))]
    {
        let error = text.parse::<Check>().unwrap_err();
        assert_eq!((error.at, &*error.problem), (201, "a check has at most 200 characters"));
        assert!(error.to_string().len() < 600, "{error}");
    }
}

#[test]
fn a_check_survives_being_written_and_read() {
    let check: Check = "error_rate<1%".parse().unwrap();
    let json = serde_json::to_string(&check).unwrap();
    assert_eq!(json, "\"error_rate<1%\"");
    assert_eq!(serde_json::from_str::<Check>(&json).unwrap(), check);
    assert!(serde_json::from_str::<Check>("\"error_rate < 5ms\"").is_err());
}
