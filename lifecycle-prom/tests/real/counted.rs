//! How requests of a window are counted, by Prometheus' own engine on series that are written down.

use lifecycle_core::backend::{Mark, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::query::{Clock, Questions};
use lifecycle_prom::{Metrics, Target};

use super::promtool::{Document, count};
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
    /// When its newest live series was scraped, `None` where none is live.
    scraped: Option<f64>,
}

const CASES: [Case; 14] = [
    Case {
        name: "known before",
        up: "1x60",
        ok: "7+30x60",
        failed: "5+1x60",
        expected: (Some(651.0), Some(21.0)),
        scraped: Some(900.0),
    },
    Case {
        name: "no traffic",
        up: "1x60",
        ok: "123456x60",
        failed: "7x60",
        expected: (Some(0.0), Some(0.0)),
        scraped: Some(900.0),
    },
    Case {
        name: "no series of failures",
        up: "1x60",
        ok: "30x60",
        failed: "_x60",
        expected: (Some(0.0), None),
        scraped: Some(900.0),
    },
    Case { name: "no series", up: "1x60", ok: "_x60", failed: "_x60", expected: (None, None), scraped: None },
    Case {
        name: "the first failures are one burst",
        up: "1x60",
        ok: "0+30x60",
        failed: "_x49 80x10",
        expected: (Some(710.0), Some(80.0)),
        scraped: Some(900.0),
    },
    Case {
        name: "a replica that is new, seen from its start",
        up: "_x50 1x9",
        ok: "_x50 0+30x9",
        failed: "_x53 2 2 3 3 3 3 3",
        expected: (Some(273.0), Some(3.0)),
        scraped: Some(885.0),
    },
    Case {
        name: "a replica that was found late, whose past is not known",
        up: "_x50 1x9",
        ok: "_x50 5000+30x9",
        failed: "_x50 4000x9",
        expected: (Some(270.0), Some(0.0)),
        scraped: Some(885.0),
    },
    Case {
        name: "a replica that was scraped once",
        up: "_x59 1",
        ok: "_x59 5000",
        failed: "_x60",
        expected: (Some(0.0), None),
        scraped: Some(885.0),
    },
    Case {
        name: "a failed scrape where the window begins",
        up: "1x38 0 0 1x19",
        ok: "9000+30x38 stale _ 10230+30x19",
        failed: "9000x38 stale _ 9000x19",
        expected: (Some(570.0), Some(0.0)),
        scraped: Some(900.0),
    },
    Case {
        name: "a failed scrape in the window",
        up: "1x49 0 1x9",
        ok: "0+30x49 stale 1530+30x9",
        failed: "5x49 stale 6x9",
        expected: (Some(631.0), Some(1.0)),
        scraped: Some(900.0),
    },
    Case {
        name: "a series that was lost where the window begins, and found again",
        up: "1x60",
        ok: "7+30x37 stale _ _ 1500+30x19",
        failed: "_x60",
        expected: (Some(570.0), None),
        scraped: Some(900.0),
    },
    Case {
        name: "a replica that is gone",
        up: "1x50 stale",
        ok: "0+30x50 stale",
        failed: "1x50 stale",
        expected: (Some(330.0), Some(0.0)),
        scraped: None,
    },
    Case {
        name: "a replica whose scrapes fail",
        up: "1x50 0x9",
        ok: "0+30x50 stale",
        failed: "1x50 stale",
        expected: (Some(330.0), Some(0.0)),
        scraped: None,
    },
    Case {
        name: "a replica that has been gone for longer",
        up: "1x20 stale",
        ok: "0+30x20 stale",
        failed: "1x20 stale",
        expected: (None, None),
        scraped: None,
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
    scraped: Some(900.0),
};

const WINDOW: Millis = Millis::from_secs(305);

/// What promtool says when the expectation is wrong; empty when it is right.
fn checked(case: &Case, round: bool) -> String {
    let queries = [query(Signal::Requests, "aaa", WINDOW)];
    let questions = Questions::new(
        Metrics::default(),
        &Target::new("default", "edge"),
        &queries,
        Clock::new(Mark(900_000), Millis::ZERO),
    );
    let promql = questions.questions()[0].promql();
    let promql = if round { format!("round({promql}, 50)") } else { promql };
    let mut document = Document::default();
    document.series("i", "up", "", case.up);
    document.series("i", "http_requests_total", ",code=\"200\"", case.ok);
    document.series("i", "http_requests_total", ",code=\"500\"", case.failed);
    let (requests, failed) = case.expected;
    let others = requests.map(|requests| (String::new(), requests - failed.unwrap_or(0.0)));
    let failed = failed.map(|failed| (count("failed"), failed));
    let scraped = case.scraped.map(|at| (count("scraped"), at));
    document.expects(900, &promql, &others.into_iter().chain(failed).chain(scraped).collect::<Vec<_>>());
    document.checked()
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
