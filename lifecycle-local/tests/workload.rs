//! Replicas: started, ready, restarted, stopped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::time::{Duration, Instant};

use lifecycle_core::backend::{ErrorKind, GroupStatus, Reading, ScaleWish, Token};
use lifecycle_core::time::Millis;
use lifecycle_local::{Local, LocalError, ProcessTemplate, ReplicaState};
use support::{Site, eventually, replica_processes, revision, runs, soon};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_start_get_ready_and_serve() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let group = target.group(&one).await;
    assert_eq!(
        (group.desired, group.created, group.ready, group.available, group.token),
        (2, 2, 2, 2, Token(1))
    );
    assert_eq!((group.terminating, group.failed_attempts, group.trouble), (0, 0, None));
    let answer = target.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "1.0.0"));
    for variable in ["PORT", "HOST"] {
        assert!(!target.get(&format!("/env?{variable}")).await.body.is_empty());
    }
    let status = target.local.status().await;
    assert!(status.proxy_pid.is_some_and(runs));
    assert!(
        status
            .replicas
            .iter()
            .all(|replica| replica.state == ReplicaState::Ready && replica.pid.is_some_and(runs))
    );
    soon("shutdown", target.local.shutdown_everything()).await.unwrap();
    assert!(!status.proxy_pid.is_some_and(runs));
    assert_eq!(replica_processes(&site.dir()), [0_u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_with_a_lower_token_is_ignored_and_a_repetition_changes_nothing() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 5, &[]).await;
    let before = replica_processes(&site.dir());
    target.scale(&one, 9, 4, 0).await;
    target.scale(&one, 2, 5, 0).await;
    let group = target.group(&one).await;
    assert_eq!((group.desired, group.created, group.token), (2, 2, Token(5)));
    assert_eq!(replica_processes(&site.dir()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_without_a_template_is_refused() {
    let site = Site::new();
    let target = site.open().await;
    let wish = ScaleWish::new(revision(7), 1, Token(1), Millis::ZERO);
    let error = target.backends.workload.scale(&wish).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.to_string().contains("no template is registered for 7.0.0"), "{error}");
    assert_eq!(target.group(&revision(7)).await.desired, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shrinking_stops_those_that_are_not_ready_first() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 3, 1, &[]).await;
    // whichever takes this request
    let sick: u32 = {
        target.get("/unready").await;
        let group = target.until(&one, "one unready", |group| group.ready == 2).await;
        assert_eq!(group.created, 3);
        let unready = |r: &lifecycle_local::ReplicaStatus| r.state != ReplicaState::Ready;
        target.local.status().await.replicas.into_iter().find(unready).unwrap().pid.unwrap()
    };
    target.scale(&one, 2, 2, 0).await;
    let group = target.group(&one).await;
    assert_eq!((group.created, group.ready), (2, 2));
    target.until(&one, "stopped", |group| group.terminating == 0).await;
    assert!(!runs(sick));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_is_replaced() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let before = replica_processes(&site.dir());
    assert_eq!(target.get("/die").await.status, 502);
    target.until(&one, "replaced", |group| group.available == 2).await;
    let after = eventually("two", async || {
        let now = replica_processes(&site.dir());
        if now.len() == 2 && now != before { Ok(now) } else { Err(format!("{now:?}")) }
    })
    .await;
    assert_eq!(after.iter().filter(|pid| before.contains(pid)).count(), 1);
    assert_eq!(target.group(&one).await.failed_attempts, 0, "it was ready before it died");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_found_or_ends_at_once_is_said_and_counted() {
    let site = Site::new();
    let target = site.open().await;
    let missing = target.register_command(1, ProcessTemplate::new(["no-such-agent"])).await;
    let leaving = target.register(2, &["--exit", "7"]).await;
    target.scale(&missing, 1, 1, 0).await;
    target.scale(&leaving, 1, 2, 0).await;
    let group = target.until(&missing, "tried", |group| group.failed_attempts >= 3).await;
    assert_eq!(
        (group.created, group.ready, group.trouble.as_deref()),
        (1, 0, Some("command not found: no-such-agent"))
    );
    let said = |group: &GroupStatus| {
        group.trouble.as_ref().is_some_and(|why| why.starts_with("exited with status 7 after "))
    };
    target.until(&leaving, "tried", |group| group.failed_attempts >= 3 && said(group)).await;
    let log = target.local.status().await.replicas.into_iter().find(|r| r.revision == leaving).unwrap().log;
    assert!(std::fs::read_to_string(log).unwrap().contains("leaving at once"));
    target.scale(&missing, 0, 3, 0).await;
    target.until(&missing, "gone", |group| group.created + group.terminating == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_never_ready_collects_failed_attempts_and_gets_nothing() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let never = target.register(2, &["--ready-after", "never"]).await;
    target.scale(&never, 1, 2, 0).await;
    let group = target.until(&never, "judged", |group| group.failed_attempts >= 2).await;
    assert_eq!((group.created, group.ready, group.available), (1, 0, 0));
    let log = target.local.status().await.replicas.into_iter().find(|r| r.revision == never).unwrap().log;
    assert_eq!(group.trouble, Some(format!("not ready: GET /ready: status 503; log: {}", log.display())));
    for _ in 0..20 {
        assert_eq!(target.get("/").await.body, "1.0.0");
    }
    assert_eq!(target.group(&one).await.available, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_fails_its_liveness_probe_is_started_again() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let before = replica_processes(&site.dir());
    target.get("/sicken").await;
    eventually("another process", async || {
        let now = replica_processes(&site.dir());
        if now.len() == 1 && now != before { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    let group = target.until(&one, "available", |group| group.available == 1).await;
    assert_eq!((group.created, group.terminating), (1, 0));
    assert_eq!(target.local.workload().replicas()[0].starts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_survives_the_stop_of_its_replica() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let pid = replica_processes(&site.dir())[0];
    let addr = target.local.listen();
    let slow = tokio::spawn(async move { support::http::get(addr, "/slow?700").await });
    eventually("under way", async || {
        let under_way: u64 = target.local.status().await.in_flight.values().sum();
        if under_way == 1 { Ok(()) } else { Err(under_way) }
    })
    .await;
    target.scale(&one, 0, 2, 10_000).await;
    let group = target.group(&one).await;
    assert_eq!((group.created, group.ready, group.available, group.terminating), (0, 0, 0, 1));
    eventually("out of the load balancing", async || match target.get("/").await.status {
        503 => Ok(()),
        other => Err(other),
    })
    .await;
    assert!(runs(pid));
    let answer = soon("the slow request", slow).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "slow"));
    let ended = Instant::now();
    target.until(&one, "gone", |group| group.terminating == 0).await;
    assert!(ended.elapsed() < Duration::from_secs(5), "nothing is waited for once its requests are done");
    assert!(!runs(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_drain_a_request_under_way_is_cut_off() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let addr = target.local.listen();
    let slow = tokio::spawn(async move { support::http::get(addr, "/slow?15000").await });
    eventually("under way", async || {
        let under_way: u64 = target.local.status().await.in_flight.values().sum();
        if under_way == 1 { Ok(()) } else { Err(under_way) }
    })
    .await;
    target.scale(&one, 0, 2, 0).await;
    assert_eq!(soon("the slow request", slow).await.unwrap().unwrap().status, 502);
    assert_eq!(target.counted(&one, 1).await.failed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    let site = Site::new();
    let target = site.open_with(site.config().grace(Duration::from_millis(300))).await;
    let one = target.run(1, 1, 1, &["--ignore-term", "yes"]).await;
    let begun = Instant::now();
    target.scale(&one, 0, 2, 0).await;
    target.until(&one, "gone", |group| group.terminating == 0).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(replica_processes(&site.dir()), [0_u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_started_ends_with_it() {
    let site = Site::new();
    let target = site.open().await;
    let script = format!("sleep 600 & setsid sleep 600 & exec {} app --version 1.0.0", support::FIXTURE);
    let one = target.register_command(1, ProcessTemplate::new(["sh", "-c", &script])).await;
    target.scale(&one, 1, 1, 0).await;
    target.until(&one, "available", |group| group.available == 1).await;
    assert_eq!(replica_processes(&site.dir()).len(), 3);
    target.scale(&one, 0, 2, 0).await;
    target.until(&one, "gone", |group| group.terminating == 0).await;
    assert_eq!(replica_processes(&site.dir()), [0_u32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_that_names_the_file_and_changes_nothing() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let next = site.dir().join("processes.next");
    // every write of the ledger goes there first, and this device is always full
    let full = || std::os::unix::fs::symlink("/dev/full", &next);
    eventually("in the way", async || full()).await;
    let wish = ScaleWish::new(one.clone(), 3, Token(2), Millis::ZERO);
    let error = target.backends.workload.scale(&wish).await.unwrap_err();
    assert!(
        error.to_string().contains("processes.json") && error.to_string().contains("No space left"),
        "{error}"
    );
    let group = target.group(&one).await;
    assert_eq!((group.desired, group.created, group.token), (1, 1, Token(1)));
    assert_eq!(target.get("/").await.status, 200);
    // a failed write removes what was in its way
    eventually("room again", async || target.backends.workload.scale(&wish).await).await;
    target.until(&one, "grown", |group| group.available == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_in_one_line() {
    let site = Site::new();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = site.config();
    config.listen = held.local_addr().unwrap();
    match Local::open(config).await {
        Err(LocalError::Proxy(why)) => {
            assert!(why.contains(&format!("cannot listen on {}", held.local_addr().unwrap())), "{why}");
            assert!(why.contains("in use") && !why.contains('\n'), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_the_proxy_counted() {
    use lifecycle_core::backend::{HealthQuery, Signal};
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &["--errors", "20"]).await;
    for _ in 0..100 {
        target.get("/").await;
    }
    let cut = support::http::get(target.local.listen(), "/cut").await.unwrap_err();
    assert!(cut.starts_with("body: "), "its body breaks off: {cut}");
    let totals = target.counted(&one, 101).await;
    assert_eq!((totals.requests, totals.failed), (101, 21));
    let query = |signal, of, ms| HealthQuery::new(signal, of, Millis(ms));
    let queries = [
        query(Signal::Requests, one.clone(), 60_000),
        query(Signal::Latency, one, 60_000),
        query(Signal::Requests, revision(9), 60_000),
        query(Signal::CriticalAlerts, revision(9), 60_000),
    ];
    let answers = target.backends.health.as_ref().unwrap().measure(&queries).await;
    let answers: Vec<Reading> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[0], Reading::Counts { requests: 101, failed: 21 });
    assert!(
        matches!(&answers[1], Reading::Histogram(histogram) if histogram.total() == 101),
        "{:?}",
        answers[1]
    );
    assert_eq!((&answers[2], &answers[3]), (&Reading::NoData, &Reading::Scalar(0.0)));
}
