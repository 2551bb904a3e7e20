//! How requests are counted, by Prometheus' own engine on series that are written down: `promtool test
//! rules` needs no time to pass.

use std::fmt::Write as _;
use std::process::Command;

use lifecycle_core::backend::Signal;
use lifecycle_core::time::Millis;
use lifecycle_prom::query::Questions;
use lifecycle_prom::{Metrics, Target};

use super::support::prometheus::program;
use super::support::query;

/// Series of one replica, as promtool writes them: `1+2x3` is 1 3 5 7, `_` no sample, `stale` the end of a
/// series. A value every 15 s for 15 min, and a window that begins between two of them: it holds the last 21, and the
/// one before is what it begins with.
struct Case {
    name: &'static str,
    up: &'static str,
    ok: &'static str,
    failed: &'static str,
    /// Requests and failed ones, `None` for no such series.
    expected: (Option<f64>, Option<f64>),
}

const CASES: [Case; 12] = [
    Case {
        name: "known before",
        up: "1x60",
        ok: "7+30x60",
        failed: "5+1x60",
        expected: (Some(651.0), Some(21.0)),
    },
    Case {
        name: "no traffic",
        up: "1x60",
        ok: "123456x60",
        failed: "7x60",
        expected: (Some(0.0), Some(0.0)),
    },
    Case {
        name: "no series of failures",
        up: "1x60",
        ok: "30x60",
        failed: "_x60",
        expected: (Some(0.0), None),
    },
    Case { name: "no series", up: "1x60", ok: "_x60", failed: "_x60", expected: (None, None) },
    Case {
        name: "the first failures are one burst",
        up: "1x60",
        ok: "0+30x60",
        failed: "_x49 80x10",
        expected: (Some(710.0), Some(80.0)),
    },
    Case {
        name: "a replica that is new, seen from its start",
        up: "_x50 1x9",
        ok: "_x50 0+30x9",
        failed: "_x53 2 2 3 3 3 3 3",
        expected: (Some(273.0), Some(3.0)),
    },
    Case {
        name: "a replica that was found late, whose past is not known",
        up: "_x50 1x9",
        ok: "_x50 5000+30x9",
        failed: "_x50 4000x9",
        expected: (Some(270.0), Some(0.0)),
    },
    Case {
        name: "a replica that was scraped once",
        up: "_x59 1",
        ok: "_x59 5000",
        failed: "_x60",
        expected: (Some(0.0), None),
    },
    Case {
        name: "a failed scrape where the window begins",
        up: "1x38 0 0 1x19",
        ok: "9000+30x38 stale _ 10230+30x19",
        failed: "9000x38 stale _ 9000x19",
        expected: (Some(570.0), Some(0.0)),
    },
    Case {
        name: "a failed scrape in the window",
        up: "1x49 0 1x9",
        ok: "0+30x49 stale 1530+30x9",
        failed: "5x49 stale 6x9",
        expected: (Some(631.0), Some(1.0)),
    },
    Case {
        name: "a replica that is gone",
        up: "1x50 stale",
        ok: "0+30x50 stale",
        failed: "1x50 stale",
        expected: (Some(330.0), Some(0.0)),
    },
    Case {
        name: "a replica that has been gone for longer",
        up: "1x20 stale",
        ok: "0+30x20 stale",
        failed: "1x20 stale",
        expected: (None, None),
    },
];

/// Where a counter was reset Prometheus extrapolates: the scrapes in the window have seen 300 requests before and
/// 300 after it.
const RESET: Case = Case {
    name: "a process that was started anew",
    up: "1x60",
    ok: "900+30x50 30+30x9",
    failed: "_x60",
    expected: (Some(600.0), None),
};

const WINDOW: Millis = Millis::from_secs(305);

/// The document that promtool checks.
fn document(case: &Case, promql: &str, expected: &[(&str, f64)]) -> String {
    let labels = r#"namespace="default",agent="edge",revision="aaa",job="j",instance="i""#;
    let mut text = format!(
        "evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {{series: 'up{{{labels}}}', values: '{}'}}
      - {{series: 'http_requests_total{{{labels},code=\"200\"}}', values: '{}'}}
      - {{series: 'http_requests_total{{{labels},code=\"500\"}}', values: '{}'}}
    promql_expr_test:
      - eval_time: 15m
        expr: '{promql}'
        exp_samples:
",
        case.up, case.ok, case.failed
    );
    for (count, value) in expected {
        let labels = format!(r#"{{revision="aaa",lifecycle_count="{count}"}}"#);
        writeln!(text, "          - {{labels: '{labels}', value: {value}}}").unwrap();
    }
    text
}

/// What promtool says when the expectation is wrong; empty when it is right.
fn checked(case: &Case, round: bool) -> String {
    let queries = [query(Signal::Requests, "aaa", WINDOW)];
    let questions = Questions::new(&Metrics::default(), &Target::new("default", "edge"), &queries);
    let promql = match round {
        true => format!("round({}, 50)", questions.promql()[0]),
        false => questions.promql()[0].clone(),
    };
    let expected: Vec<(&str, f64)> = [("requests", case.expected.0), ("failed", case.expected.1)]
        .into_iter()
        .filter_map(|(count, value)| Some((count, value?)))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document(case, &promql, &expected)).unwrap();
    let output = Command::new(program("promtool")).args(["test", "rules"]).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let (_, said) = said.split_once("FAILED").unwrap_or(("", ""));
    assert_eq!(output.status.success(), said.is_empty(), "{}: {said}", case.name);
    said.to_owned()
}

#[test]
fn every_request_that_scrapes_have_seen_counts_once() {
    for case in &CASES {
        assert_eq!(checked(case, false), "", "{}", case.name);
    }
}

#[test]
fn requests_around_a_restart_are_estimated() {
    assert_eq!(checked(&RESET, true), "", "{}", RESET.name);
}
