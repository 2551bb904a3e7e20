//! The ready-made sets of names, on series of these names.

use std::sync::Arc;

use lifecycle_core::backend::{Counted, Counts, HealthQuery, HealthSource, Increase, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_prom::{Metrics, PrometheusConfig, PrometheusSource, Target as Agent};

use super::support::prometheus::{Prometheus, Target};
use super::support::{query, revision};
use super::{one, until};

/// What a proxy shows of a revision: requests by the label of a code, and durations by their bound in its unit.
struct Set {
    name: &'static str,
    metrics: Metrics,
    requests: &'static str,
    durations: &'static str,
    labels: &'static str,
    /// The label of the code with a failure and without.
    codes: [&'static str; 2],
    /// 100 ms.
    le: &'static str,
}

fn sets() -> [Set; 4] {
    // the scrape of the test does not honour labels, as that of most
    let nginx = Metrics::nginx_ingress().namespace_label(Some("exported_namespace")).unwrap();
    let linkerd = Metrics::linkerd().namespace_label(Some("exported_namespace")).unwrap();
    [
        Set {
            name: "istio",
            metrics: Metrics::istio(),
            requests: "istio_requests_total",
            durations: "istio_request_duration_milliseconds",
            labels: r#"reporter="destination",destination_workload_namespace="default",destination_workload="edge-aaa""#,
            codes: [r#"response_code="503""#, r#"response_code="200""#],
            le: "100",
        },
        Set {
            name: "linkerd",
            metrics: linkerd,
            requests: "response_total",
            durations: "response_latency_ms",
            labels: r#"direction="inbound",namespace="default",deployment="edge-aaa""#,
            codes: [r#"classification="failure""#, r#"classification="success""#],
            le: "100",
        },
        Set {
            name: "nginx",
            metrics: nginx,
            requests: "nginx_ingress_controller_requests",
            durations: "nginx_ingress_controller_request_duration_seconds",
            labels: r#"namespace="default",ingress="edge",service="edge-aaa",canary="""#,
            codes: [r#"status="502""#, r#"status="404""#],
            le: "0.1",
        },
        Set {
            name: "envoy",
            metrics: Metrics::envoy(),
            requests: "envoy_cluster_upstream_rq",
            durations: "envoy_cluster_upstream_rq_time",
            labels: r#"envoy_cluster_name="default/edge-aaa""#,
            codes: [r#"envoy_response_code="500""#, r#"envoy_response_code="200""#],
            le: "100",
        },
    ]
}

/// So many requests of each set, one in ten of which failed and took longer than 100 ms. Other series of the same names are somebody else's.
fn shown(sets: &[Set], requests: u64) -> String {
    let mut text = String::new();
    for Set { requests: name, durations, labels, codes, le, .. } in sets {
        for (code, share) in codes.iter().zip([1, 9]) {
            text.push_str(&format!("{name}{{{labels},{code}}} {}\n", requests / 10 * share));
            let other = labels.replace("destination\"", "source\"").replace("inbound", "outbound");
            let other = other.replace("edge-aaa", if other == *labels { "edge-bbb" } else { "edge-aaa" });
            text.push_str(&format!("{name}{{{other},{code}}} {}\n", 1_000_000 + requests));
        }
        for (le, count) in [(*le, requests / 10 * 9), ("+Inf", requests)] {
            text.push_str(&format!("{durations}_bucket{{{labels},le=\"{le}\"}} {count}\n"));
        }
    }
    text
}

#[tokio::test]
async fn every_set_counts_the_series_of_its_proxy() {
    let sets = sets();
    let proxy = Target::start("proxy", "none").await;
    proxy.shows(shown(&sets, 1000));
    let prometheus = Prometheus::start(&[&proxy]).await;
    proxy.scraped(4).await;
    let window = Millis::from_secs(120);
    let health = |set: &Set| -> Arc<dyn HealthSource> {
        let config = PrometheusConfig::new(&prometheus.url()).unwrap().metrics(set.metrics.clone());
        PrometheusSource::new(config).unwrap().for_target(Agent::new("default", "edge"))
    };
    let since = |mark| HealthQuery::over(Signal::Requests, revision("aaa"), Span::Since(mark));
    let mut begun = Vec::new();
    for set in &sets {
        let health = health(set);
        let begin = one(&health, &since(None)).await.unwrap();
        let Reading::Increase(Increase { until: mark, .. }) = begin else {
            panic!("{}: {begin:?}", set.name)
        };
        begun.push((health, mark));
    }
    proxy.shows(shown(&sets, 1400));
    for (set, (health, mark)) in sets.iter().zip(&begun) {
        let counted = Counted::Requests(Counts::new(40, 400).unwrap());
        let grown =
            |seen: &Reading| matches!(seen, Reading::Increase(seen) if seen.counted == Some(counted.clone()));
        until(health, &since(Some(*mark)), grown).await;
        let counts = Reading::Counts { requests: 400, failed: 40 };
        until(health, &query(Signal::Requests, "aaa", window), |seen| *seen == counts).await;
        let slow = |seen: &Reading| match seen {
            Reading::Histogram(seen) => (&*seen.bounds_us, &*seen.counts) == (&[100_000], &[360, 40]),
            _ => false,
        };
        until(health, &query(Signal::Latency, "aaa", window), slow).await;
        assert_eq!(
            one(health, &query(Signal::Requests, "ccc", window)).await.unwrap(),
            Reading::NoData,
            "{}",
            set.name
        );
        let alerts = one(health, &query(Signal::CriticalAlerts, "aaa", window)).await.unwrap();
        assert_eq!(alerts, Reading::Scalar(0.0), "{}", set.name);
        let by_replica = matches!(set.name, "istio" | "linkerd");
        assert_eq!(health.capabilities().replicas, by_replica, "{}", set.name);
    }
}
