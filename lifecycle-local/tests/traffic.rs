//! Under constant load not one request is lost, whatever moves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::time::{Duration, Instant};

use support::load::Load;
use support::{Site, eventually, http, runs};

/// Reads, writes, and requests that take a while.
const MIXED: &[(&str, &str)] =
    &[("GET", "/"), ("POST", "/echo"), ("GET", "/slow?20"), ("GET", "/"), ("HEAD", "/")];

#[tokio::test(flavor = "multi_thread")]
async fn growing_switching_and_shrinking_lose_no_request() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let two = target.register(2, &[]).await;
    target.route(&one, &two, 0, 2).await;
    let load = Load::start(target.local.listen(), 8, MIXED);
    load.more(200).await;
    target.scale(&one, 4, 3, 5000).await;
    target.until(&one, "grown", |group| group.available == 4).await;
    target.scale(&two, 3, 4, 5000).await;
    target.until(&two, "ready", |group| group.available == 3).await;
    for (token, weight) in [(5, 10), (6, 50), (7, 100), (8, 0), (9, 100)] {
        target.route(&one, &two, weight, token).await;
        load.more(200).await;
    }
    target.scale(&one, 0, 10, 5000).await;
    target.until(&one, "gone", |group| group.created + group.terminating == 0).await;
    target.scale(&two, 1, 11, 5000).await;
    target.until(&two, "shrunk", |group| group.terminating == 0).await;
    load.more(200).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0], "of {}", seen.total());
    assert!(seen.bodies["1.0.0"] > 0 && seen.bodies["2.0.0"] > 0, "{:?}", seen.bodies);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_router_rolling_replicas_over_loses_no_request() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 3, 1, &[]).await;
    let two = target.register(2, &["--ready-after", "50"]).await;
    let load = Load::start(target.local.listen(), 6, MIXED);
    for step in 1..=3_u32 {
        target.scale(&two, step, u64::from(step) * 2, 2000).await;
        target.until(&two, "one more", |group| group.available == step).await;
        target.scale(&one, 3 - step, u64::from(step) * 2 + 1, 2000).await;
        load.more(100).await;
    }
    target.until(&one, "gone", |group| group.created + group.terminating == 0).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0], "of {}", seen.total());
    assert_eq!(target.get("/").await.body, "2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_is_a_share_of_the_requests() {
    let site = Site::new();
    let target = site.open().await;
    let (one, two) = (target.run(1, 1, 1, &[]).await, target.run(2, 2, 2, &[]).await);
    target.route(&one, &two, 10, 3).await;
    let load = Load::start(target.local.listen(), 4, &[("GET", "/")]);
    load.more(4000).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0]);
    let (canary, all) = (seen.bodies["2.0.0"] as f64, seen.total() as f64);
    // six standard deviations: fails by chance once in half a billion runs
    let slack = 6.0 * (all * 0.1 * 0.9).sqrt();
    assert!((canary - all * 0.1).abs() < slack, "{canary} of {all}");
    let counted = target.counted(&two, seen.bodies["2.0.0"]).await;
    assert_eq!(counted.requests, seen.bodies["2.0.0"], "the proxy counts exactly");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_takes_effect_before_it_is_acknowledged() {
    let site = Site::new();
    let target = site.open().await;
    let (one, two) = (target.run(1, 1, 1, &[]).await, target.run(2, 1, 2, &[]).await);
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        target.route(&one, &two, 100, 10 + round * 2).await;
        assert_eq!(target.get("/").await.body, "2.0.0");
        let begun = Instant::now();
        target.route(&one, &two, 0, 11 + round * 2).await;
        slowest = slowest.max(begun.elapsed());
        for _ in 0..5 {
            assert_eq!(target.get("/").await.body, "1.0.0");
        }
    }
    println!("slowest of 20: {slowest:?}");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_a_lower_token_is_ignored() {
    let site = Site::new();
    let target = site.open().await;
    let (one, two) = (target.run(1, 1, 1, &[]).await, target.run(2, 1, 2, &[]).await);
    let router = target.backends.router.clone().unwrap();
    assert_eq!(router.observe().await.unwrap(), None);
    target.route(&one, &two, 100, 9).await;
    target.route(&one, &two, 0, 8).await;
    let status = router.observe().await.unwrap().unwrap();
    assert_eq!(status.token.0, 9);
    assert_eq!(target.get("/").await.body, "2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_close_idle_connections_fail_no_request() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 3, 1, &["--idle-close", "2"]).await;
    // pauses about as long as a connection may be idle, so that many are closed in the same moment
    const PATHS: &[(&str, &str)] =
        &[("GET", "/slow?1"), ("GET", "/slow?2"), ("POST", "/echo"), ("GET", "/slow?3"), ("HEAD", "/")];
    let load = Load::start(target.local.listen(), 3, PATHS);
    load.more(3000).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0], "of {}", seen.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_replicas_are_killed() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 3, 1, &[]).await;
    for _ in 0..5 {
        let victim = support::replica_processes(&site.dir())[0];
        let pid = rustix::process::Pid::from_raw(i32::try_from(victim).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        // nothing is under way at the victim, and what it listened on is closed: all of these can go
        // to another replica
        eventually("dead", async || if runs(victim) { Err("alive") } else { Ok(()) }).await;
        for _ in 0..10 {
            assert_eq!(http::get(target.local.listen(), "/").await.map(|answer| answer.status), Ok(200));
        }
        target.until(&one, "replaced", |group| group.available == 3).await;
    }
}
