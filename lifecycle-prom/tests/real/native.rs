//! Native histograms, of replicas that write them as exporters do.

use std::sync::Arc;

use lifecycle_core::backend::{
    Counted, ErrorKind, HealthQuery, HealthSource, Histogram, Increase, Mark, Reading, Signal, Span,
};
use lifecycle_core::time::Millis;
use lifecycle_prom::{DurationUnit, Metrics, PrometheusConfig, PrometheusSource, Target as Agent};

use super::support::prometheus::{Prometheus, Target};
use super::support::protobuf::histogram;
use super::support::{query, revision};
use super::{one, until};

const NAME: &str = "http_request_duration_seconds";

fn health(prometheus: &Prometheus) -> Arc<dyn HealthSource> {
    let metrics = Metrics::default().native_durations(NAME, DurationUnit::Seconds).unwrap();
    let config = PrometheusConfig::new(&prometheus.url()).unwrap().metrics(metrics);
    PrometheusSource::new(config).unwrap().for_target(Agent::new("default", "edge"))
}

fn since(hash: &str, mark: Mark) -> HealthQuery {
    HealthQuery::over(Signal::Latency, revision(hash), Span::Since(Some(mark)))
}

/// Looks until something was counted.
async fn counted(health: &Arc<dyn HealthSource>, hash: &str, mark: &mut Mark) -> Histogram {
    loop {
        let some = |seen: &Reading| match seen {
            Reading::Increase(Increase { until, .. }) => until > mark,
            _ => false,
        };
        let Reading::Increase(increase) = until(health, &since(hash, *mark), some).await else { continue };
        *mark = increase.until;
        match increase.counted {
            Some(Counted::Durations(histogram)) if histogram.total() > 0 => return histogram,
            Some(Counted::Durations(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn begin(health: &Arc<dyn HealthSource>, hash: &str) -> Mark {
    let begin = HealthQuery::over(Signal::Latency, revision(hash), Span::Since(None));
    match one(health, &begin).await.unwrap() {
        Reading::Increase(Increase { until, counted: None, .. }) => until,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn native_histograms_are_counted_from_both_of_their_ends() {
    let (a, b) = (Target::start("edge", "aaa").await, Target::start("edge", "aaa").await);
    // of schema 3: bucket 8 ends at 2 s, 16 at 4 s
    a.shows_protobuf(histogram(NAME, 3, &[(8, 100), (16, 50)]));
    b.shows_protobuf(histogram(NAME, 3, &[(8, 10)]));
    let prometheus = Prometheus::start(&[&a, &b]).await;
    let health = health(&prometheus);
    a.scraped(4).await;
    b.scraped(4).await;
    let mut mark = begin(&health, "aaa").await;
    a.shows_protobuf(histogram(NAME, 3, &[(8, 190), (16, 60)]));
    let grown = counted(&health, "aaa", &mut mark).await;
    assert_eq!(grown.total(), 100);
    assert_eq!((grown.quantile_us(900), grown.quantile_us(1000)), (Some(2_000_000), Some(4_000_000)));

    // a finer one, and one that has become coarser: both are taken to the coarsest
    b.shows_protobuf(histogram(NAME, 2, &[(4, 17)]));
    let grown = counted(&health, "aaa", &mut mark).await;
    assert_eq!((grown.total(), grown.quantile_us(1000)), (7, Some(2_000_000)));
    let coarse = grown.bounds_us.len();
    b.shows_protobuf(histogram(NAME, 2, &[(4, 18)]));
    assert_eq!(counted(&health, "aaa", &mut mark).await.bounds_us.len(), coarse);

    // a process that began anew
    a.shows_protobuf(histogram(NAME, 3, &[(8, 3)]));
    let lost = |seen: &Reading| matches!(seen, Reading::Increase(Increase { counted: None, .. }));
    until(&health, &since("aaa", mark), lost).await;
}

#[tokio::test]
async fn a_window_of_native_histograms_is_estimated() {
    let replica = Target::start("edge", "aaa").await;
    replica.shows_protobuf(histogram(NAME, 3, &[(8, 1)]));
    let prometheus = Prometheus::start(&[&replica]).await;
    let health = health(&prometheus);
    replica.scraped(3).await;
    replica.shows_protobuf(histogram(NAME, 3, &[(8, 10_001)]));
    let latency = query(Signal::Latency, "aaa", Millis::from_secs(60));
    let near = |seen: &Reading| matches!(seen, Reading::Histogram(seen) if seen.total() >= 10_000);
    let Reading::Histogram(seen) = until(&health, &latency, near).await else { return };
    assert!((10_000..15_000).contains(&seen.total()), "{seen:?}");
    assert_eq!(seen.quantile_us(1000), Some(2_000_000));
    let nothing = one(&health, &query(Signal::Latency, "bbb", Millis::from_secs(60))).await.unwrap();
    assert_eq!(nothing, Reading::NoData);
    replica.breaks(true);
    until(&health, &latency, |seen| *seen == Reading::NoData).await;
    replica.breaks(false);
    until(&health, &latency, near).await;

    // where a number is expected it is none
    let target = Agent::new("default", "edge").with_queries(&[("native".into(), NAME.into())]).unwrap();
    let config = PrometheusConfig::new(&prometheus.url()).unwrap();
    let named = PrometheusSource::new(config).unwrap().for_target(target);
    let native = query(Signal::Named("native".into()), "aaa", Millis(1));
    let error = one(&named, &native).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("a native histogram where a number is expected"), "{error}");
}
