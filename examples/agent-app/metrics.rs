//! What the application counts of itself: the two metrics that the default queries of a health
//! source expect.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counts of the requests to `/` and `/stream`.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<[(&'static str, String); 1], Counter>,
    durations: Histogram,
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let requests = Family::default();
        // 1 ms to 8 s, each bound twice the one before.
        let durations = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_duration_seconds", "Time to answer", durations.clone());
        Self { registry, requests, durations }
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, code: u16, took: Duration) {
        self.requests.get_or_create(&[("code", code.to_string())]).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// The text that a Prometheus scrapes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_code_and_duration() {
        let metrics = Metrics::new();
        metrics.answered(200, Duration::from_millis(3));
        metrics.answered(500, Duration::from_millis(3));
        metrics.answered(200, Duration::from_millis(3));
        let text = metrics.text();
        assert!(text.contains(r#"http_requests_total{code="200"} 2"#), "{text}");
        assert!(text.contains("http_request_duration_seconds_count 3"), "{text}");
    }
}
