//! Critical alerts of a real Alertmanager.

use lifecycle_core::backend::{Reading, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::{Connection, Metrics, PrometheusConfig, PrometheusSource, Target as Agent};
use serde_json::{Value, json};

use super::support::alertmanager::Alertmanager;
use super::support::prometheus::Prometheus;
use super::support::query;
use super::{becomes, one};

/// The labels of an alert that names a revision, or none.
fn labels(name: &str, severity: &str, agent: &str, revision: Option<&str>) -> Value {
    let mut labels = json!({"alertname": name, "severity": severity, "namespace": "default", "agent": agent});
    if let Some(revision) = revision {
        labels["revision"] = revision.into();
    }
    labels
}

#[tokio::test]
async fn alerts_that_somebody_has_silenced_or_that_others_inhibit_do_not_count() {
    let (prometheus, alertmanager) = (Prometheus::start(&[]).await, Alertmanager::start().await);
    let config = |metrics| {
        let connection = Connection::new(&alertmanager.url()).unwrap();
        PrometheusConfig::new(&prometheus.url()).unwrap().alertmanager(connection).metrics(metrics)
    };
    let of = |metrics, agent: &str| {
        PrometheusSource::new(config(metrics)).unwrap().for_target(Agent::new("default", agent))
    };
    let health = of(Metrics::plain(), "edge");
    let alerts = |hash| query(Signal::CriticalAlerts, hash, Millis::from_secs(60));
    becomes(&health, &alerts("aaa"), &Reading::Scalar(0.0)).await;
    alertmanager
        .fire(&[
            labels("Errors", "critical", "edge", Some("aaa")),
            labels("Errors", "critical", "edge", Some("bbb")),
            labels("Slow", "warning", "edge", Some("aaa")),
            labels("Noise", "critical", "edge", Some("aaa")),
            labels("Symptom", "critical", "edge", Some("aaa")),
            labels("All", "critical", "edge", None),
            labels("Errors", "critical", "other", Some("aaa")),
        ])
        .await;
    becomes(&health, &alerts("aaa"), &Reading::Scalar(4.0)).await;
    assert_eq!(one(&health, &alerts("bbb")).await.unwrap(), Reading::Scalar(2.0));
    assert_eq!(one(&health, &alerts("ccc")).await.unwrap(), Reading::Scalar(1.0));
    alertmanager.silence("Noise").await;
    becomes(&health, &alerts("aaa"), &Reading::Scalar(3.0)).await;
    // it is not critical, and inhibits what is
    alertmanager.fire(&[labels("Outage", "info", "none", None)]).await;
    becomes(&health, &alerts("aaa"), &Reading::Scalar(2.0)).await;
    assert_eq!(one(&of(Metrics::plain(), "other"), &alerts("aaa")).await.unwrap(), Reading::Scalar(1.0));

    // matchers hold what they are given, whatever it is
    for value in ["critical\"", "a\"b\\c\nd", "\\", ".*", ""] {
        let metrics = Metrics::plain().critical_alerts("severity", value).unwrap();
        let firing = one(&of(metrics, "edge"), &alerts("aaa")).await.unwrap();
        assert_eq!(firing, Reading::Scalar(0.0), "{value:?}");
    }
    let strange = "a\"b\\c\nd";
    alertmanager.fire(&[labels("Strange", strange, "edge", Some("aaa"))]).await;
    let metrics = Metrics::plain().critical_alerts("severity", strange).unwrap();
    becomes(&of(metrics, "edge"), &alerts("aaa"), &Reading::Scalar(1.0)).await;
}
