//! A real Prometheus beside the control plane: does it find pods and know whose they are?

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::{Load, LoadOptions};
use lifecycle_testkit::kubernetes::prometheus::{Prometheus, PrometheusError, PrometheusOptions};
use serde_json::json;

use super::pods::TestPod;
use super::{SOON, cluster};

#[tokio::test]
async fn pods_are_scraped_on_loopback_and_told_apart_by_revision() {
    let (_control_plane, client) = cluster().await;
    let options = PrometheusOptions::new().namespace("default").scrape_interval(Duration::from_millis(500));
    let mut prometheus = Prometheus::start(client.clone(), options).await.unwrap();
    assert_eq!(prometheus.query("up").await.unwrap(), json!([]));
    assert_eq!(prometheus.number("up").await.unwrap(), None);

    let pod = TestPod::start(&client, "web-1", "1.4.0", "abc").await;
    pod.ready(true).await;
    let load = Load::start(client, "default", "web", LoadOptions::new(50.0)).await.unwrap();
    let rate = r#"sum(rate(http_requests_total{agent="web", revision="abc"}[2s]))"#;
    let rate = prometheus.until(rate, SOON, |rate| rate > 40.0).await.unwrap();
    assert!(rate < 60.0, "{rate}");
    let up = prometheus.query("up").await.unwrap();
    let labels = &up[0]["metric"];
    assert_eq!(labels["pod"], "web-1", "{up}");
    assert_eq!(labels["namespace"], "default", "{up}");
    assert!(labels["instance"].as_str().unwrap().starts_with("127."), "{up}");

    let error = prometheus.query("sum(").await.unwrap_err();
    assert!(
        matches!(&error, PrometheusError::Query { problem, .. } if problem.contains("parse error")),
        "{error}"
    );

    prometheus.stop();
    let error = prometheus.query("up").await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    prometheus.start_again().await.unwrap();
    prometheus.until("up", SOON, |up| up == 1.0).await.unwrap();
    drop(load);
}
