use proptest::prelude::*;

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
        (&["queue"], Metric::Named("queue".into())),
        (&["_q1"], Metric::Named("_q1".into())),
        (&["p42_latency"], Metric::Named("p42_latency".into())),
        (&["latency"], Metric::Named("latency".into())),
        (&["latency_p95_stable"], Metric::Named("latency_p95_stable".into())),
    ] {
        for name in names {
            assert_eq!(parsed(&format!("{name} < 2x stable")).0, metric, "{name}");
        }
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
        ("latency_p95_canary < 1.2x stable", Bound::Stable(1.2)),
        ("latency_p95_canary < 1.2 x stable", Bound::Stable(1.2)),
        ("latency_p95_canary < 1.2xstable", Bound::Stable(1.2)),
        ("error_rate <= 2X baseline", Bound::Baseline(2.0)),
        ("queue < -12.5", Bound::Value(-12.5)),
        ("queue < 1e6", Bound::Value(1e6)),
        ("queue < 5E-3", Bound::Value(0.005)),
        ("queue < .5", Bound::Value(0.5)),
    ] {
        assert_eq!(parsed(text).2, bound, "{text}");
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
        ("p95_latency < 5min", 16, "min is not a unit"),
        ("p95_latency < 5\u{b5}s", 16, "\u{b5}s is not a unit"),
        ("queue < 5%", 10, "% is not a unit of queue: write a plain number"),
        ("queue < 5e", 10, "e is not a unit of queue"),
        ("error_rate < 1.2x", 18, "stable or baseline is expected after x"),
        ("error_rate < 1.2x canary", 19, "stable or baseline is expected after x"),
        ("error_rate < 1.2x stables", 19, "stable or baseline is expected after x"),
        ("error_rate < 0x stable", 14, "a factor above 0 is expected"),
        ("queue < -1x stable", 9, "a factor above 0 is expected"),
        ("error_rate < stable", 14, "a number is expected"),
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

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_check(
        (metric, unit) in prop_oneof![
            Just(("error_rate", "%")), Just(("success_rate_canary", "%")), Just(("p95_latency", "ms")),
            Just(("latency_p99_canary", "s")), Just(("queue", "")), Just(("p50_latency", "x stable")), Just(("error_rate", "x baseline")),
        ],
        comparison in prop_oneof![Just("<"), Just("<="), Just(">"), Just(">=")],
        number in 1_u32..1000,
        space in prop_oneof![Just(""), Just(" "), Just("\t ")],
    ) {
        let number = f64::from(number) / 10.0;
        let check: Check = format!("{space}{metric}{space}{comparison}{space}{number}{space}{unit}{space}").parse().unwrap();
        let again: Check = check.to_string().parse().unwrap();
        prop_assert_eq!(&again, &check);
        prop_assert_eq!(check.comparison.to_string(), comparison);
    }

    #[test]
    fn any_text_is_read_or_refused_at_one_of_its_characters(text in prop_oneof![".{0,40}", "[a-z_0-9.%<>= xe-]{0,30}"]) {
        match text.parse::<Check>() {
            Ok(check) => prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check),
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.at), "{}", error),
        }
    }
}
