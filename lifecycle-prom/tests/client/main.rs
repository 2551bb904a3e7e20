//! The client against servers that do what servers do on a bad day.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod alertmanager;
mod answers;
mod credentials;
mod failover;
mod joined;
mod states;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{BackendError, BackendResult, HealthSource, Reading, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::{Connection, PrometheusConfig, PrometheusSource, Target};
use support::query;
use support::server::Server;

const WINDOW: Millis = Millis::from_secs(60);
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(300);

fn success(result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
}

fn config(server: &Server) -> PrometheusConfig {
    PrometheusConfig::new(&server.url()).unwrap()
}

fn over(connection: Connection) -> PrometheusConfig {
    PrometheusConfig::over(connection)
}

fn health(config: PrometheusConfig) -> Arc<dyn HealthSource> {
    let queries = [("depth", "sum(depth)"), ("age", "max(age)")];
    let queries = queries.map(|(name, text)| (name.into(), text.into()));
    let target = Target::new("default", "edge").with_queries(&queries).unwrap();
    PrometheusSource::new(config).unwrap().for_target(target)
}

fn named(name: &str) -> Signal {
    Signal::Named(name.into())
}

/// The error of one question.
async fn error(config: PrometheusConfig) -> BackendError {
    let mut answers = health(config).measure(&[query(Signal::Requests, "aaa", WINDOW)]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0).unwrap_err()
}

/// The answer to one question of this source.
async fn one_of(source: &PrometheusSource) -> BackendResult<Reading> {
    let health = source.for_target(Target::new("default", "edge"));
    health.measure(&[query(Signal::Requests, "aaa", WINDOW)]).await.remove(0)
}
