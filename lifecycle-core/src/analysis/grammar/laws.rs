//! What holds for every check, and for every text that may be none.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::check::{Bound, Check, Comparison};
use super::super::metric::{Arm, Metric};

/// A name, its metric, and how numbers may be written for it: unit, and what that multiplies by.
type Named = (&'static str, Metric, &'static [(&'static str, f64)]);

const SHARE: &[(&str, f64)] = &[("%", 0.01), ("", 1.0)];
const TIME: &[(&str, f64)] = &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
const RATE: &[(&str, f64)] = &[("/s", 1.0), ("", 1.0)];
const PLAIN: &[(&str, f64)] = &[("", 1.0)];

fn metrics() -> Vec<Named> {
    vec![
        ("error_rate", Metric::ErrorRate, SHARE),
        ("success_rate", Metric::SuccessRate, SHARE),
        ("saturation", Metric::Saturation, SHARE),
        ("p50_latency", Metric::Latency(500), TIME),
        ("latency_p50", Metric::Latency(500), TIME),
        ("p90_latency", Metric::Latency(900), TIME),
        ("p95_latency", Metric::Latency(950), TIME),
        ("latency_p95", Metric::Latency(950), TIME),
        ("latency_p99", Metric::Latency(990), TIME),
        ("request_rate", Metric::RequestRate, RATE),
        ("restarts", Metric::Restarts, PLAIN),
        ("queue_depth", Metric::Named("queue_depth".into()), PLAIN),
        ("_q1", Metric::Named("_q1".into()), PLAIN),
    ]
}

/// A number that every metric can have in each of its units (at most 1), and its value.
fn numbers() -> impl Strategy<Value = (String, f64)> {
    let form = select(&["0", "1", "0.", ".5", "0.25", "5e-1", "2.5E-2", "0e+3", "100E-2", "0.000"][..]);
    form.prop_map(|text| (text.to_owned(), text.parse().unwrap()))
}

fn comparisons() -> impl Strategy<Value = (&'static str, Comparison)> {
    select(vec![
        ("<", Comparison::Below),
        ("<=", Comparison::AtMost),
        (">", Comparison::Above),
        (">=", Comparison::AtLeast),
    ])
}

/// What stands right, as its parts without spaces, and what it means.
fn bounds(named: Named, arm: Arm) -> impl Strategy<Value = (Vec<String>, Bound)> {
    let (name, metric, units) = named;
    let whole = metric == Metric::Restarts;
    let value = (numbers(), select(units)).prop_map(move |((text, number), (unit, times))| match whole {
        true => (vec![(number * 40.0).to_string(), unit.to_owned()], Bound::Value(number * 40.0)),
        false => (vec![text, unit.to_owned()], Bound::Value(number * times)),
    });
    let mut references = vec![("baseline".to_owned(), false)];
    if arm == Arm::Canary {
        references.push(("stable".to_owned(), true));
        if !matches!(metric, Metric::Named(_)) {
            references.push((format!("{name}_stable"), true));
        }
    }
    let factor = (1_u32..50, select(&["x", "X"][..]));
    let multiple = (select(references), prop::option::of(factor)).prop_map(|((word, stable), factor)| {
        let times = factor.map_or(1.0, |(tenths, _)| f64::from(tenths) / 10.0);
        let bound = if stable { Bound::Stable(times) } else { Bound::Baseline(times) };
        match factor {
            Some((_, x)) => (vec![times.to_string(), x.to_owned(), word], bound),
            None => (vec![word], bound),
        }
    });
    prop_oneof![value, multiple]
}

/// A check in any form, with any spaces, and what it means.
fn checks() -> impl Strategy<Value = (String, (Arm, Metric, Comparison, Bound))> {
    let left = (select(metrics()), select(&["", "_canary", "_stable"][..]));
    let left = left.prop_map(|(named, suffix)| match (&named.1, suffix) {
        (Metric::Named(_), _) => (named.0.to_owned(), Arm::Canary, named),
        (_, "_stable") => (format!("{}_stable", named.0), Arm::Stable, named),
        (_, suffix) => (format!("{}{suffix}", named.0), Arm::Canary, named),
    });
    let spaces = prop::collection::vec(select(&["", " ", "\t", "  \t "][..]), 7);
    left.prop_flat_map(|(name, arm, named)| {
        let metric = named.1.clone();
        (Just((name, arm, metric)), comparisons(), bounds(named, arm))
    })
    .prop_flat_map(move |parts| (Just(parts), spaces.clone()))
    .prop_map(|(((name, arm, metric), (sign, comparison), (right, bound)), spaces)| {
        let tokens = [name, sign.to_owned()].into_iter().chain(right);
        let text: String = spaces
            .iter()
            .zip(tokens.chain(std::iter::repeat_n(String::new(), 7)))
            .map(|(space, token)| format!("{space}{token}"))
            .collect();
        (text, (arm, metric, comparison, bound))
    })
}

/// Bounds are what they should be to the last digits: a unit is a division, not a multiplication.
fn close(one: Bound, other: Bound) -> bool {
    match (one, other) {
        (Bound::Value(one), Bound::Value(other)) => (one - other).abs() <= 1e-12 * one.abs(),
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_form_with_any_spaces_means_what_it_says((text, (arm, metric, comparison, bound)) in checks()) {
        let check: Check = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!((check.arm(), check.metric(), check.comparison()), (arm, &metric, comparison));
        prop_assert!(close(check.bound(), bound), "{:?} is not {:?}", check.bound(), bound);
    }

    #[test]
    fn what_is_printed_is_what_was_written_and_is_read_as_the_same_check((text, _) in checks()) {
        let check: Check = text.parse().unwrap();
        prop_assert_eq!(check.to_string(), text.trim());
        prop_assert_eq!(&check.to_string().parse::<Check>().unwrap(), &check);
        let json = serde_json::to_string(&check).unwrap();
        prop_assert_eq!(serde_json::from_str::<Check>(&json).unwrap(), check);
    }

    #[test]
    fn any_text_is_read_or_refused_at_one_of_its_characters(
        text in prop_oneof![
            any::<String>(),
            ".{0,40}",
            "\\PC{150,250}",
            "[a-z_0-9.%<>= xXe/-]{0,30}",
            "(error_rate|p95_latency|restarts|q)(_stable|_canary)?[<>= ]{1,3}[-.0-9eExX%/ a-z_]{0,20}",
            checks().prop_flat_map(|(text, _)| (Just(text), any::<prop::sample::Index>(), any::<char>()))
                .prop_map(|(text, at, other)| {
                    let mut letters: Vec<char> = text.chars().collect();
                    let at = at.index(letters.len());
                    letters[at] = other;
                    letters.into_iter().collect()
                }),
        ]
    ) {
        match text.parse::<Check>() {
            Ok(check) => {
                prop_assert_eq!(check.to_string(), text.trim());
                prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
            }
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at), "{}", error);
                prop_assert!(!error.to_string().contains('\n') && error.text.chars().count() <= 63, "{}", error);
            }
        }
    }
}
