//! What is measured of replicas that are scraped.

use std::fmt::Write as _;

use lifecycle_core::backend::{ErrorKind, Reading, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::Target as Agent;

use super::support::prometheus::{Prometheus, Target};
use super::support::query;
use super::{becomes, health, one, until};

const WINDOW: Millis = Millis::from_secs(60);

const fn counts(requests: u64, failed: u64) -> Reading {
    Reading::Counts { requests, failed }
}

/// A query that divides the rates of the 5xx series by all of them series by series says 100 %.
#[tokio::test]
async fn an_error_rate_of_half_a_percent_is_half_a_percent() {
    let replica = Target::start("edge", "aaa").await;
    let prometheus = Prometheus::start(&[&replica]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    let requests = query(Signal::Requests, "aaa", WINDOW);
    replica.scraped(2).await;
    assert_eq!(one(&health, &requests).await.unwrap(), Reading::NoData);
    // each of the two is new, and every request of it counts
    replica.counts(&[(200, 9_940), (404, 10), (500, 20), (503, 30)]);
    becomes(&health, &requests, &counts(10_000, 50)).await;
    replica.counts(&[(200, 19_880), (404, 20), (500, 40), (503, 60)]);
    becomes(&health, &requests, &counts(20_000, 100)).await;
}

#[tokio::test]
async fn without_a_series_of_failures_there_are_none_and_without_traffic_no_requests() {
    let [busy, idle, empty] = ["busy", "idle", "empty"].map(|agent| Target::start(agent, "aaa"));
    let (busy, idle, empty) = (busy.await, idle.await, empty.await);
    busy.counts(&[(200, 500)]);
    // it has served before anybody looked: those are no requests of the window
    idle.counts(&[(200, 123_456), (500, 789)]);
    let prometheus = Prometheus::start(&[&busy, &idle, &empty]).await;
    let requests = query(Signal::Requests, "aaa", WINDOW);
    let of = |agent: &str| health(&prometheus, Agent::new("default", agent));
    for replica in [&busy, &idle, &empty] {
        replica.scraped(2).await;
    }
    busy.counts(&[(200, 800)]);
    becomes(&of("busy"), &requests, &counts(300, 0)).await;
    assert_eq!(one(&of("idle"), &requests).await.unwrap(), counts(0, 0));
    for (agent, revision) in
        [("empty", "aaa"), ("busy", "bbb"), ("nobody", "aaa"), ("busy\"} or up{a=\"", "aaa")]
    {
        for signal in [Signal::Requests, Signal::Latency] {
            let answer = one(&of(agent), &query(signal, revision, WINDOW)).await.unwrap();
            assert_eq!(answer, Reading::NoData, "{agent} {revision}");
        }
    }
    let elsewhere = health(&prometheus, Agent::new("kube-system", "busy"));
    assert_eq!(one(&elsewhere, &requests).await.unwrap(), Reading::NoData);
}

/// A scrape that fails ends all series of its target. When the window begins there, what the replica has
/// counted in its life is not what it has counted in the window.
#[tokio::test]
async fn a_failed_scrape_brings_back_no_old_requests() {
    let replica = Target::start("edge", "aaa").await;
    replica.counts(&[(200, 1_000_000), (500, 900_000)]);
    let prometheus = Prometheus::start(&[&replica]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    replica.scraped(3).await;
    replica.breaks(true);
    replica.scraped(2).await;
    replica.breaks(false);
    replica.scraped(1).await;
    replica.counts(&[(200, 1_000_100), (500, 900_000)]);
    replica.scraped(2).await;
    // windows that begin before, in and after the gap
    for ms in (500..8_000).step_by(250) {
        match one(&health, &query(Signal::Requests, "aaa", Millis(ms))).await.unwrap() {
            Reading::NoData => {}
            Reading::Counts { requests, failed } => {
                assert!(requests <= 100 && failed == 0, "{requests} {failed}")
            }
            other => panic!("{other:?}"),
        }
    }
    becomes(&health, &query(Signal::Requests, "aaa", WINDOW), &counts(100, 0)).await;
}

/// What a replica has counted in the window outlives its series.
#[tokio::test]
async fn nothing_is_known_of_an_arm_that_is_not_scraped_any_more() {
    let [canary, stable] = ["aaa", "bbb"].map(|hash| Target::start("edge", hash));
    let (canary, stable) = (canary.await, stable.await);
    let prometheus = Prometheus::start(&[&canary, &stable]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    let shows = |count: u32| {
        let bucket = |le: &str| format!("http_request_duration_seconds_bucket{{le=\"{le}\"}} {count}\n");
        let text = format!("http_requests_total{{code=\"200\"}} {count}\n{}{}", bucket("1"), bucket("+Inf"));
        canary.shows(text.clone());
        stable.shows(text);
    };
    shows(0);
    canary.scraped(3).await;
    stable.scraped(3).await;
    shows(500);
    let of = |signal: &Signal, hash| query(signal.clone(), hash, WINDOW);
    let counted = |seen: &Reading| match seen {
        Reading::Counts { requests, failed } => (*requests, *failed) == (500, 0),
        Reading::Histogram(histogram) => histogram.total() == 500,
        _ => false,
    };
    let signals = [Signal::Requests, Signal::Latency];
    for (signal, hash) in signals.iter().flat_map(|signal| ["aaa", "bbb"].map(|hash| (signal, hash))) {
        until(&health, &of(signal, hash), counted).await;
    }
    canary.breaks(true);
    for signal in &signals {
        becomes(&health, &of(signal, "aaa"), &Reading::NoData).await;
        assert!(counted(&one(&health, &of(signal, "bbb")).await.unwrap()), "{signal}");
    }
    canary.breaks(false);
    for signal in &signals {
        until(&health, &of(signal, "aaa"), counted).await;
    }
}

/// 1,000 requests of 1 ms to 1 s, evenly: p95 is 950 ms, p50 500 ms.
#[tokio::test]
async fn quantiles_are_close_to_the_truth() {
    let replica = Target::start("edge", "aaa").await;
    let shows = |rounds: u32| {
        let mut text = String::new();
        for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"] {
            let below = le.parse::<f64>().unwrap().min(1.0) * 1000.0;
            let count = f64::from(rounds) * below;
            writeln!(text, "http_request_duration_seconds_bucket{{le=\"{le}\"}} {count}").unwrap();
        }
        replica.shows(text);
    };
    shows(7);
    let prometheus = Prometheus::start(&[&replica]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    let latency = query(Signal::Latency, "aaa", WINDOW);
    replica.scraped(2).await;
    shows(8);
    let whole = |seen: &Reading| matches!(seen, Reading::Histogram(histogram) if histogram.total() == 1000);
    let Reading::Histogram(histogram) = until(&health, &latency, whole).await else { return };
    for (per_mille, us) in [(500, 500_000), (900, 900_000), (950, 950_000), (990, 990_000)] {
        let seen = histogram.quantile_us(per_mille).unwrap();
        assert!(seen.abs_diff(us) < us / 100, "p{per_mille}: {seen} us of {us} us");
    }
}

#[tokio::test]
async fn critical_alerts_are_counted_for_their_revision_and_for_all() {
    let [a, b, other] =
        [("edge", "aaa"), ("edge", "bbb"), ("other", "aaa")].map(|(agent, hash)| Target::start(agent, hash));
    let (a, b, other) = (a.await, b.await, other.await);
    let prometheus = Prometheus::start(&[&a, &b, &other]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    let alerts = |hash| query(Signal::CriticalAlerts, hash, WINDOW);
    assert_eq!(one(&health, &alerts("aaa")).await.unwrap(), Reading::Scalar(0.0));
    a.shows("trouble 1\n");
    becomes(&health, &alerts("aaa"), &Reading::Scalar(1.0)).await;
    assert_eq!(one(&health, &alerts("bbb")).await.unwrap(), Reading::Scalar(0.0));
    // a warning of b; and with a's that makes one of the whole agent
    b.shows("trouble 2\n");
    becomes(&health, &alerts("bbb"), &Reading::Scalar(1.0)).await;
    assert_eq!(one(&health, &alerts("aaa")).await.unwrap(), Reading::Scalar(2.0));
    other.shows("trouble 1\n");
    other.scraped(3).await;
    assert_eq!(one(&health, &alerts("aaa")).await.unwrap(), Reading::Scalar(2.0));
    a.shows("trouble 0\n");
    becomes(&health, &alerts("aaa"), &Reading::Scalar(0.0)).await;
}

#[tokio::test]
async fn queries_of_a_manifest_are_answered_or_say_what_is_wrong_with_them() {
    let [a, b] = ["aaa", "bbb"].map(|hash| Target::start("edge", hash));
    let (a, b) = (a.await, b.await);
    a.shows("depth{queue=\"x\"} 3\ndepth{queue=\"y\"} 4\n");
    b.shows("depth{queue=\"x\"} 50\n");
    let prometheus = Prometheus::start(&[&a, &b]).await;
    let queries = [
        ("depth", r#"sum(depth{namespace="{{namespace}}",agent='{{agent}}',revision=~`{{revision}}`})"#),
        ("peak", r#"max(max_over_time(depth{revision="{{revision}}"}[{{window}}]))"#),
        ("pi", "3.25"),
        ("nothing", r#"depth{revision="none"}"#),
        ("nan", "0 / 0"),
        ("each", r#"depth{revision="{{revision}}"}"#),
        ("text", "\"text\""),
        ("range", "depth[1m]"),
        ("broken", "sum(depth"),
        ("many", "depth * on (agent) depth"),
    ];
    let queries = queries.map(|(name, text)| (name.into(), text.into()));
    let health = health(&prometheus, Agent::new("default", "edge").with_queries(&queries).unwrap());
    let named = |name: &str, hash| query(Signal::Named(name.into()), hash, WINDOW);
    becomes(&health, &named("depth", "aaa"), &Reading::Scalar(7.0)).await;
    becomes(&health, &named("depth", "bbb"), &Reading::Scalar(50.0)).await;
    for (name, expected) in
        [("peak", Reading::Scalar(4.0)), ("pi", Reading::Scalar(3.25)), ("nothing", Reading::NoData)]
    {
        assert_eq!(one(&health, &named(name, "aaa")).await.unwrap(), expected, "{name}");
    }
    let nan = one(&health, &named("nan", "aaa")).await.unwrap();
    assert!(matches!(nan, Reading::Scalar(value) if value.is_nan()), "{nan:?}");
    for (name, said) in [
        ("each", "2 series where one is expected"),
        ("text", "the query gives a string where one number is expected"),
        ("range", "the query gives a range of values where one number is expected"),
        ("broken", "bad_data: "),
        ("many", "execution: "),
    ] {
        let error = one(&health, &named(name, "aaa")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{name}: {error}");
        assert!(error.message.contains(said), "{name}: {error}");
    }
}

/// Prometheus' own parser reads names as they were meant, whatever is in them.
#[tokio::test]
async fn no_name_is_code() {
    let replica = Target::start("edge", "aaa").await;
    replica.counts(&[(200, 500)]);
    let prometheus = Prometheus::start(&[&replica]).await;
    let plain = health(&prometheus, Agent::new("default", "edge"));
    replica.scraped(2).await;
    becomes(&plain, &query(Signal::Requests, "aaa", WINDOW), &counts(0, 0)).await;
    let hostile = [
        "edge\"} or http_requests_total{agent=\"edge",
        "edge\\",
        "'edge'",
        "`edge`",
        ".*",
        "edge|nobody",
        "ed\nge",
        "edge\0",
        "edge\u{85}\u{2028}\u{10ffff}",
        "{{agent}}",
        "[a-z]+$",
        "(?i)EDGE",
        "\\x65dge",
        "",
    ];
    for name in hostile {
        let by_agent = health(&prometheus, Agent::new("default", name));
        let by_namespace = health(&prometheus, Agent::new(name, "edge"));
        for signal in [Signal::Requests, Signal::Latency, Signal::CriticalAlerts] {
            // alone, and as one of several, which makes a regular expression of them
            let both = ["aaa", "bbb"].map(|hash| query(signal.clone(), hash, WINDOW));
            let of_name = [name, "bbb"].map(|hash| query(signal.clone(), hash, WINDOW));
            for (health, queries) in [(&by_agent, &both), (&by_namespace, &both), (&plain, &of_name)] {
                for answer in health.measure(queries).await {
                    let nothing =
                        if signal == Signal::CriticalAlerts { Reading::Scalar(0.0) } else { Reading::NoData };
                    assert_eq!(answer.unwrap(), nothing, "{name:?}");
                }
            }
        }
    }
}
