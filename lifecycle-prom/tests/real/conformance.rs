//! The conformance suite of health sources, on a real Prometheus in real time.

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, HealthSource};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;
use lifecycle_prom::Target as Agent;
use lifecycle_testkit::conformance::{self, Able, Environment, HealthBench, Traffic};
use tokio::sync::Mutex;

use super::health;
use super::support::prometheus::{Prometheus, Target};
use super::support::revision;

struct Bench {
    source: Arc<dyn HealthSource>,
    prometheus: Mutex<Prometheus>,
    serving: Target,
    _silent: Target,
    made: Mutex<Traffic>,
}

impl Bench {
    async fn new() -> Self {
        let (serving, silent) = (Target::start("edge", "aaa").await, Target::start("edge", "bbb").await);
        silent.counts(&[(200, 10)]);
        let prometheus = Prometheus::start(&[&serving, &silent]).await;
        // What a replica does before its first scrape is not counted.
        serving.scraped(1).await;
        let source = health(&prometheus, Agent::new("default", "edge"));
        let (prometheus, made) = (Mutex::new(prometheus), Mutex::default());
        Self { source, prometheus, serving, _silent: silent, made }
    }
}

#[async_trait]
impl Environment for Bench {
    async fn advance(&self, span: Millis) {
        tokio::time::sleep(span.into()).await;
    }
}

#[async_trait]
impl HealthBench for Bench {
    fn source(&self) -> Arc<dyn HealthSource> {
        Arc::clone(&self.source)
    }

    fn revision(&self) -> Revision {
        revision("aaa")
    }

    fn silent_revision(&self) -> Able<Revision> {
        Ok(revision("bbb"))
    }

    async fn traffic(&self) -> Able<Traffic> {
        let mut made = self.made.lock().await;
        *made = Traffic::new(made.requests + 1000, made.failed + 5);
        let Traffic { requests, failed, .. } = *made;
        let mut text = format!("http_requests_total{{code=\"200\"}} {}\n", requests - failed);
        text.push_str(&format!("http_requests_total{{code=\"503\"}} {failed}\n"));
        for (le, share) in [("0.1", 2), ("0.5", 1), ("+Inf", 1)] {
            text.push_str(&format!(
                "http_request_duration_seconds_bucket{{le=\"{le}\"}} {}\n",
                requests / share
            ));
        }
        self.serving.shows(text);
        Ok(*made)
    }

    fn short_window(&self) -> Millis {
        Millis::from_secs(4)
    }

    /// Two scrapes: one may come late.
    fn grain(&self) -> Millis {
        Millis::from_secs(2)
    }

    async fn take_down(&self) -> Able<()> {
        self.prometheus.lock().await.kill().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_a_health_source() {
    let report = conformance::health_source(async || BackendResult::Ok(Bench::new().await)).await;
    let report = report.verify().unwrap();
    println!("{report}");
    assert_eq!(report.not_applicable().count(), 0, "{report}");
}
