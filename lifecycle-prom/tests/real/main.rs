//! The real Prometheus, which scrapes servers of the tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod alertmanager;
mod conformance;
mod counted;
mod grown;
mod increases;
mod measured;
mod native;
mod pods;
mod promtool;
mod replicas;
mod sets;

use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{BackendResult, HealthQuery, HealthSource, Reading};
use lifecycle_prom::{PrometheusConfig, PrometheusSource, Target};
use support::prometheus::Prometheus;
use tokio::time::{Instant, sleep};

/// How long an answer may take to become the expected one.
const PATIENCE: Duration = Duration::from_secs(30);

/// The health of this agent, by a Prometheus of the test.
fn health(prometheus: &Prometheus, target: Target) -> Arc<dyn HealthSource> {
    PrometheusSource::new(PrometheusConfig::new(&prometheus.url()).unwrap()).unwrap().for_target(target)
}

async fn one(health: &Arc<dyn HealthSource>, query: &HealthQuery) -> BackendResult<Reading> {
    health.measure(std::slice::from_ref(query)).await.remove(0)
}

/// Asks until this is the answer.
async fn becomes(health: &Arc<dyn HealthSource>, query: &HealthQuery, expected: &Reading) {
    until(health, query, |seen| seen == expected).await;
}

/// Asks until there is such an answer.
async fn until(
    health: &Arc<dyn HealthSource>,
    query: &HealthQuery,
    wanted: impl Fn(&Reading) -> bool,
) -> Reading {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match one(health, query).await {
            Ok(reading) if wanted(&reading) => return reading,
            seen if Instant::now() > deadline => panic!("{query:?} is {seen:?}"),
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
}
