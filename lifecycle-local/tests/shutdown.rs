//! A state directory from outside: looking at it, stopping what runs, forgetting it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use lifecycle_local::{Local, SeenReplica, forget, look, shut_down};
use support::{Site, eventually, replica_processes, runs, soon};

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_stopped_without_a_supervisor() {
    let site = Site::new();
    let target = site.open_with(site.config().grace(Duration::from_secs(1))).await;
    let one = target.run(1, 2, 1, &["--ignore-term", "yes"]).await;
    let proxy = target.local.status().await.proxy_pid.unwrap();
    target.local.close().await;
    soon("shutdown", shut_down(&site.config().grace(Duration::from_millis(200)))).await.unwrap();
    assert_eq!(replica_processes(&site.dir()), [0_u32; 0]);
    assert!(!runs(proxy));
    // the sizes are kept
    let target = site.open().await;
    target.until(&one, "up again", |group| group.available == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_sees_who_supervises_what_runs_and_what_has_died() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 2, 1, &[]).await;
    let listen = target.local.listen();
    let seen = look(&site.dir()).await.unwrap();
    assert_eq!(seen.supervisor, Some(std::process::id().to_string()));
    assert_eq!((seen.listen, seen.answers, seen.is_stopped()), (Some(listen), true, false));
    assert_eq!(seen.replicas.iter().filter(|replica| replica.runs && replica.ready).count(), 2, "{seen:?}");

    target.local.close().await;
    let (victim, proxy) = (replica_processes(&site.dir())[0], seen.proxy_pid.unwrap());
    for pid in [victim, proxy] {
        std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    }
    eventually("dead", async || if runs(victim) || runs(proxy) { Err("alive") } else { Ok(()) }).await;
    let seen = look(&site.dir()).await.unwrap();
    assert_eq!((&seen.supervisor, seen.answers, seen.proxy_pid), (&None, false, None), "{seen:?}");
    let alive: Vec<&SeenReplica> = seen.replicas.iter().filter(|replica| replica.runs).collect();
    assert!(matches!(alive[..], [SeenReplica { ready: true, .. }]) && seen.replicas.len() == 2, "{seen:?}");
    assert!(!seen.is_stopped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_keeps_nothing_running() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    target.local.close().await;
    // a directory in the way of the temporary file stands for any failed write, root or not
    let in_the_way = site.dir().join("processes.next");
    std::fs::create_dir(&in_the_way).unwrap();
    let stopped = soon("shutdown", shut_down(&site.config())).await.unwrap();
    assert!(stopped.unrecorded.is_some_and(|error| error.to_string().contains("processes.json")));
    assert_eq!(replica_processes(&site.dir()), [0_u32; 0]);
    assert!(look(&site.dir()).await.unwrap().is_stopped());
    // the next supervisor finds out by itself
    std::fs::remove_dir(in_the_way).unwrap();
    let target = site.open().await;
    target.until(&one, "up again", |group| group.available == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_could_not_be_opened_is_not_there_afterwards() {
    let site = Site::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = site.config();
    config.listen = taken.local_addr().unwrap();
    let error = Local::open(config).await.unwrap_err().to_string();
    assert!(error.contains("in use") && !error.contains("error: "), "{error}");
    assert!(!site.dir().exists());
    // one that was there stays, with what it recorded
    site.open().await.local.shutdown_everything().await.unwrap();
    let mut config = site.config();
    config.listen = taken.local_addr().unwrap();
    assert!(Local::open(config).await.is_err());
    assert!(site.dir().join("processes.json").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_this_backends_own_is_forgotten() {
    let site = Site::new();
    site.open().await.local.shutdown_everything().await.unwrap();
    std::fs::write(site.dir().join("mine"), "").unwrap();
    forget(&site.dir()).unwrap();
    let left: Vec<_> =
        std::fs::read_dir(site.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
    std::fs::remove_file(site.dir().join("mine")).unwrap();
    forget(&site.dir()).unwrap();
    assert!(!site.dir().exists());
}
