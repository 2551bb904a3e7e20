//! The runner with real probes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use lifecycle_http::{ClientConfig, Probe, ProbeClient, Runner, RunnerConfig, Verdict};
use support::LONG;
use support::server::{Reply, Server};
use tokio::time::timeout;

#[tokio::test]
async fn a_verdict_follows_what_the_server_says() {
    let status = Arc::new(AtomicU16::new(200));
    let says = Arc::clone(&status);
    let server = Server::start(move |_| Reply::new(says.load(Ordering::SeqCst), "")).await;
    let client = ProbeClient::new(ClientConfig::default()).unwrap();
    let runner = Runner::new(RunnerConfig::default()).unwrap();
    let probe = Probe::readiness().with_interval(Duration::from_millis(20)).unwrap();
    let prober = Arc::new(client.prober(&server.url()).unwrap());
    let mut agent = runner.watch("agent", probe, prober);
    for (says, expected) in [(200, Verdict::Healthy), (503, Verdict::Unhealthy), (200, Verdict::Healthy)] {
        status.store(says, Ordering::SeqCst);
        let seen = timeout(LONG, agent.changed()).await.unwrap().unwrap();
        assert_eq!(seen.verdict, expected);
        assert!(says == 200 || seen.consecutive_failures() == 2);
    }
}
