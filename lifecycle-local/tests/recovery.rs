//! A supervisor that is killed at any moment is taken over from.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use lifecycle_local::{Local, LocalError, TOKEN_VARIABLE};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::load::Load;
use support::{FIXTURE, Killed, Site, eventually, replica_processes, runs, soon};

/// A supervisor in a process of its own, killed whatever becomes of the test.
struct Supervisor(Killed);

impl Supervisor {
    fn start(dir: &Path, replicas: u32) -> Self {
        let mut command = Command::new(FIXTURE);
        command.args(["supervise", dir.to_str().unwrap(), &replicas.to_string(), "--version", "1.0.0"]);
        Self(Killed(command.stdout(Stdio::piped()).spawn().unwrap()))
    }

    /// Waits until its wish was recorded.
    fn wait_open(&mut self) {
        let mut line = String::new();
        BufReader::new(self.0.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("open "), "{line:?}");
    }

    fn kill(self) {
        drop(self.0);
    }
}

fn supervised() -> lifecycle_core::version::Revision {
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
    Revision::new(RevisionNumber(1), "supervised", parse_version("1.0.0").unwrap())
}

fn ledger(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("processes.json")).unwrap()).unwrap()
}

fn edit_ledger(dir: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = ledger(dir);
    edit(&mut value);
    std::fs::write(dir.join("processes.json"), value.to_string()).unwrap();
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_is_taken_over_from_without_losing_a_request() {
    let site = Site::new();
    let mut supervisor = Supervisor::start(&site.dir(), 3);
    supervisor.wait_open();
    let listen = eventually("serving", async || {
        let record: Value =
            serde_json::from_slice(&std::fs::read(site.dir().join("proxy/process.json")).unwrap()).unwrap();
        let listen = record["listen"].as_str().unwrap().parse().unwrap();
        match support::http::get(listen, "/").await {
            Ok(answer) if answer.status == 200 => Ok(listen),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    eventually("three recorded", async || {
        let ledger = ledger(&site.dir());
        let recorded =
            ledger["replicas"].as_object().unwrap().values().filter(|r| r["process"].is_object()).count();
        if recorded == 3 { Ok(()) } else { Err(recorded) }
    })
    .await;
    let before = replica_processes(&site.dir());
    let load = Load::start(listen, 4, &[("GET", "/"), ("POST", "/echo")]);
    load.more(100).await;
    supervisor.kill();
    load.more(200).await;
    let target = site.open().await;
    let group = target.until(&supervised(), "available", |group| group.available == 3).await;
    assert_eq!((group.created, group.token.0), (3, 1));
    load.more(100).await;
    assert_eq!(replica_processes(&site.dir()), before, "found again, not started again");
    assert_eq!(target.local.listen(), listen);
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0], "of {}", seen.total());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_killed_at_any_moment_leaks_nothing_and_doubles_nothing() {
    let site = Site::new();
    // a first run, so that later ones reach the interesting moments at about the same time
    Supervisor::start(&site.dir(), 4).wait_open();
    let begun = Instant::now();
    Supervisor::start(&site.dir(), 4).wait_open();
    let usual = begun.elapsed();
    for round in 0..24_u32 {
        // nothing runs but the proxy: this one has to start four processes
        for pid in replica_processes(&site.dir()) {
            kill(pid);
        }
        let supervisor = Supervisor::start(&site.dir(), 4);
        tokio::time::sleep(usual * round / 20).await;
        supervisor.kill();
    }
    let target = site.open().await;
    target.until(&supervised(), "available", |group| group.available == 4 && group.terminating == 0).await;
    let replicas = target.local.workload().replicas();
    let mut known: Vec<u32> = replicas.iter().filter_map(|replica| replica.pid).collect();
    known.sort_unstable();
    assert_eq!(known.len(), 4);
    eventually("only those", async || {
        let now = replica_processes(&site.dir());
        if now == known { Ok(()) } else { Err(format!("{now:?}, known {known:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_pid_was_not_recorded_is_found_by_its_token() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let before = replica_processes(&site.dir());
    target.local.close().await;
    // as if the supervisor had been killed between the start and the record
    edit_ledger(&site.dir(), |ledger| {
        for replica in ledger["replicas"].as_object_mut().unwrap().values_mut() {
            replica.as_object_mut().unwrap().remove("process").unwrap();
        }
    });
    let target = site.open().await;
    target.until(&one, "available", |group| group.available == 2).await;
    assert_eq!(replica_processes(&site.dir()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_no_record_knows_is_ended() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    target.local.close().await;
    let token = format!("{}-r999.1", ledger(&site.dir())["name"].as_str().unwrap());
    let mut stray = Command::new("sleep");
    let stray = Killed(stray.arg("600").env(TOKEN_VARIABLE, token).process_group(0).spawn().unwrap());
    let target = site.open().await;
    // Not even a zombie: a program that lives long may open many directories.
    let gone = || !std::path::Path::new("/proc").join(stray.0.id().to_string()).exists();
    eventually("ended", async || if gone() { Ok(()) } else { Err("it is still there") }).await;
    assert_eq!(target.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pid_that_was_used_again_is_not_mistaken() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let old = replica_processes(&site.dir())[0];
    target.local.close().await;
    kill(old);
    // somebody else has the pid now
    let other = Killed(Command::new("sleep").arg("600").process_group(0).spawn().unwrap());
    edit_ledger(&site.dir(), |ledger| {
        for replica in ledger["replicas"].as_object_mut().unwrap().values_mut() {
            replica["process"]["pid"] = json!(other.0.id());
        }
    });
    let target = site.open().await;
    target.until(&one, "replaced", |group| group.available == 1).await;
    target.scale(&one, 0, 2, 0).await;
    target.until(&one, "gone", |group| group.created + group.terminating == 0).await;
    assert!(runs(other.0.id()), "the process of somebody else was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_under_way_is_finished() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let addr = target.local.listen();
    let slow: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { support::http::get(addr, "/slow?1000").await })).collect();
    eventually("under way", async || match target.local.status().await.in_flight.values().sum() {
        2 => Ok(()),
        n => Err::<(), u64>(n),
    })
    .await;
    target.scale(&one, 1, 2, 15_000).await;
    target.local.close().await;
    let target = site.open().await;
    let group = target.group(&one).await;
    assert_eq!((group.created, group.terminating), (1, 1));
    for slow in slow {
        assert_eq!(soon("the slow request", slow).await.unwrap().unwrap().status, 200);
    }
    target.until(&one, "stopped", |group| group.terminating == 0 && group.available == 1).await;
    assert_eq!(replica_processes(&site.dir()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_killed_is_started_again_where_it_was() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let two = target.run(2, 1, 2, &[]).await;
    target.route(&one, &two, 100, 3).await;
    let (listen, pid) = (target.local.listen(), target.local.status().await.proxy_pid.unwrap());
    let file = site.dir().join("proxy/table.json");
    eventually("kept", async || {
        match serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap()["route"]["token"] {
            Value::Number(ref token) if token.as_u64() == Some(3) => Ok(()),
            ref other => Err(other.to_string()),
        }
    })
    .await;
    kill(pid);
    eventually("another proxy", async || match target.local.status().await.proxy_pid {
        Some(now) if now != pid => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let answer = eventually("serving", async || support::http::get(listen, "/").await).await;
    assert_eq!(answer.body, "2.0.0", "by the route it had");
    // and it takes the next one
    target.route(&one, &two, 0, 4).await;
    assert_eq!(target.get("/").await.body, "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_died_with_its_supervisor_serves_again_after_the_next_open() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let (listen, pid) = (target.local.listen(), target.local.status().await.proxy_pid.unwrap());
    target.local.close().await;
    kill(pid);
    let target = site.open().await;
    assert_eq!(target.local.listen(), listen);
    assert_eq!(target.get("/").await.body, "1.0.0", "at once, by the table it had kept");
    assert_eq!(target.group(&one).await.created, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_supervisor_leaves_everything_serving() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 2, 1, &[]).await;
    let (listen, before) = (target.local.listen(), replica_processes(&site.dir()));
    drop(target);
    for _ in 0..20 {
        assert_eq!(support::http::get(listen, "/").await.unwrap().body, "1.0.0");
    }
    let again = eventually("free", async || Local::open(site.config()).await).await;
    assert_eq!(replica_processes(&site.dir()), before);
    again.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_supervisor_is_told_who_has_the_directory() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    match Local::open(site.config()).await {
        Err(error @ LocalError::InUse { .. }) => {
            let text = error.to_string();
            assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(target.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_named_and_nothing_is_touched() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let listen = target.local.listen();
    target.local.close().await;
    let file = site.dir().join("processes.json");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    let error = Local::open(site.config()).await.unwrap_err().to_string();
    assert!(error.contains("processes.json is damaged") && !error.contains('\n'), "{error}");
    assert_eq!(support::http::get(listen, "/").await.unwrap().status, 200);
    std::fs::write(&file, good).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_can_start_a_revision_that_was_registered_long_ago() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    target.run(2, 1, 2, &[]).await;
    target.scale(&one, 0, 3, 0).await;
    target.until(&one, "gone", |group| group.created + group.terminating == 0).await;
    target.local.close().await;
    let target = site.open().await;
    target.scale(&one, 1, 4, 0).await;
    target.until(&one, "back", |group| group.available == 1).await;
}
