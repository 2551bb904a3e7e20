//! What is counted by replica: bin by bin by Prometheus' own engine on series that are written down, and by a running one.

use lifecycle_core::backend::{Counted, Counts, HealthQuery, Mark, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_prom::query::{Clock, Questions};
use lifecycle_prom::{Metrics, Target as Agent};

use super::grown::{Case, Expected, KNOWN, UNKNOWN, add};
use super::promtool::{Document, count, parts};
use super::support::prometheus::{Prometheus, Target};
use super::support::revision;
use super::{health, until};

/// A bin from 595 s to 900 s.
fn promql() -> String {
    let bin = Span::Replicas { width: Millis::from_secs(305), bins: 1 };
    let queries = [HealthQuery::over(Signal::Requests, revision("aaa"), bin)];
    let clock = Clock::new(Mark(900_000), Millis::ZERO);
    let questions = Questions::new(Metrics::default(), &Agent::new("default", "edge"), &queries, clock);
    questions.questions()[0].promql()
}

fn of_replica(instance: &str, which: &str) -> String {
    let which = if which.is_empty() { String::new() } else { count(which) };
    format!(r#"{which},lifecycle_replica="{instance}""#)
}

#[test]
fn a_bin_is_known_when_its_replica_was_there_all_the_time() {
    let whole = [
        "there at both ends",
        "no traffic",
        "the first failures are one burst",
        "a scrape that fails in between",
        "a start that is worked out anew at each scrape",
    ];
    let absent =
        ["no series", "a replica that was gone before", "a target that cannot be scraped and never could"];
    let promql = promql();
    let check = |case: &Case, promql: &str, expected: &[(String, f64)]| {
        let mut document = Document::default();
        add(&mut document, "i", case);
        document.expects(900, promql, expected);
        assert_eq!(document.checked(), "", "{}", case.name);
    };
    let mut seen = 0;
    for case in KNOWN.iter().chain(&UNKNOWN) {
        if whole.contains(&case.name) {
            let Expected::Counted(ok, failed) = case.expected else { panic!("{}", case.name) };
            let expected = [
                ok.map(|ok| (of_replica("i", ""), ok)),
                failed.map(|failed| (of_replica("i", "failed"), failed)),
            ];
            check(case, &promql, &expected.into_iter().flatten().collect::<Vec<_>>());
            seen += 1;
        } else if absent.contains(&case.name) {
            check(case, &promql, &[]);
            seen += 1;
        } else {
            let unknown = format!("clamp({}, 1, 1)", parts(&promql, true, &["unknown"]));
            check(case, &unknown, &[(of_replica("i", "unknown"), 1.0)]);
        }
    }
    assert_eq!(seen, whole.len() + absent.len());
}

#[test]
fn a_replica_is_called_by_the_first_label_that_it_has() {
    let mut document = Document::default();
    document.series("i", "http_requests_total", ",code=\"200\",pod=\"p\"", "7+30x60");
    document.series("j", "http_requests_total", ",code=\"200\"", "7+20x60");
    document.expects(900, &promql(), &[(of_replica("p", ""), 630.0), (of_replica("j", ""), 420.0)]);
    assert_eq!(document.checked(), "");
}

#[tokio::test]
async fn replicas_are_counted_bin_by_bin() {
    let [a, b, other] =
        [("edge", "aaa"), ("edge", "aaa"), ("edge", "bbb")].map(|(agent, hash)| Target::start(agent, hash));
    let (a, b, other) = (a.await, b.await, other.await);
    let show = |requests: u64, failed: u64| {
        for (replica, share) in [(&a, 1), (&b, 2), (&other, 100)] {
            let (requests, failed) = (requests * share, failed * share);
            let mut text = format!("http_requests_total{{code=\"200\"}} {}\n", requests - failed);
            text.push_str(&format!("http_requests_total{{code=\"500\"}} {failed}\n"));
            for le in ["0.1", "+Inf"] {
                text.push_str(&format!("http_request_duration_seconds_bucket{{le=\"{le}\"}} {requests}\n"));
            }
            replica.shows(text);
        }
    };
    show(1000, 100);
    let prometheus = Prometheus::start(&[&a, &b, &other]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    let query = |signal| {
        HealthQuery::over(signal, revision("aaa"), Span::Replicas { width: Millis::from_secs(2), bins: 5 })
    };
    a.scraped(14).await;
    show(1010, 101);
    // requests and failed ones of both replicas in all of the bins
    let sums = |reading: &Reading| -> Option<Vec<(u64, u64)>> {
        let Reading::Replicas(replicas) = reading else { return None };
        assert!(replicas.iter().all(|bins| bins.len() == replicas[0].len()), "{replicas:?}");
        let mut sums: Vec<(u64, u64)> = replicas
            .iter()
            .map(|bins| {
                bins.iter().fold((0, 0), |(requests, failed), bin| match bin {
                    Counted::Requests(Counts { requests: more, failed: too, .. }) => {
                        (requests + more, failed + too)
                    }
                    Counted::Durations(histogram) => (requests + histogram.total(), failed),
                    other => panic!("{other:?}"),
                })
            })
            .collect();
        sums.sort_unstable();
        Some(sums)
    };
    let of_both =
        |reading: &Reading, wanted: [(u64, u64); 2]| sums(reading).is_some_and(|sums| sums == wanted);
    let reading = until(&health, &query(Signal::Requests), |seen| of_both(seen, [(10, 1), (20, 2)])).await;
    assert!(matches!(&reading, Reading::Replicas(replicas) if replicas[0].len() == 5), "{reading:?}");
    until(&health, &query(Signal::Latency), |seen| of_both(seen, [(10, 0), (20, 0)])).await;
    // a replica that begins anew spoils the bin, for both
    a.shows("http_requests_total{code=\"200\"} 5\n");
    let four = |seen: &Reading| matches!(seen, Reading::Replicas(replicas) if replicas.len() == 2 && replicas[0].len() == 4);
    until(&health, &query(Signal::Requests), four).await;
}
