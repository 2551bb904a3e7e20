//! What the tests share: a state directory that is cleaned up whatever happens, and HTTP.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod http;
pub(crate) mod load;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifecycle_core::backend::store::MemoryStore;
use lifecycle_core::backend::{Backends, GroupStatus, Route, RouteWish, ScaleWish, Token};
use lifecycle_core::plan::Weight;
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
use lifecycle_local::{
    Backoff, Local, LocalConfig, Probe, Probes, ProcessTemplate, ProxyCommand, kill_everything,
};

/// The program of `fixture/`.
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_local-fixture");

/// A state directory. Whatever was started for it is killed when it is dropped: declare it before
/// what works on it.
pub(crate) struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn config(&self) -> LocalConfig {
        let proxy = ProxyCommand::new(FIXTURE, ["proxy"]);
        let (every, timeout) = (Duration::from_millis(50), Duration::from_millis(1000));
        let probes =
            Probes::new(Probe::new("/ready", every, timeout, 2), Probe::new("/health", every, timeout, 3));
        LocalConfig::new(self.dir(), "127.0.0.1:0".parse().unwrap(), proxy)
            .probes(probes)
            .grace(Duration::from_secs(5))
            .backoff(Backoff::new(Duration::from_millis(20), Duration::from_millis(500)))
    }

    pub(crate) async fn open(&self) -> Target {
        self.open_with(self.config()).await
    }

    pub(crate) async fn open_with(&self, config: LocalConfig) -> Target {
        let local = Local::open(config).await.unwrap();
        let backends = local.backends(Arc::new(MemoryStore::new()));
        Target { local, backends }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A supervisor that is being dropped may still start something: until nothing is left twice.
        let mut empty = 0;
        while empty < 2 {
            match kill_everything(&self.dir()) {
                Ok(0) | Err(_) => empty += 1,
                Ok(_) => empty = 0,
            }
        }
    }
}

/// An opened site.
pub(crate) struct Target {
    pub(crate) local: Local,
    pub(crate) backends: Backends,
}

impl Target {
    /// Registers the application with these options as version `n`.0.0.
    pub(crate) async fn register(&self, n: u32, options: &[&str]) -> Revision {
        let version = format!("{n}.0.0");
        let command = [FIXTURE, "app", "--version", &version].into_iter().chain(options.iter().copied());
        self.register_command(n, ProcessTemplate::new(command)).await
    }

    pub(crate) async fn register_command(&self, n: u32, template: ProcessTemplate) -> Revision {
        let revision = revision(n);
        self.local.register(&revision.hash, &revision.version, template).await.unwrap();
        revision
    }

    pub(crate) async fn scale(&self, revision: &Revision, replicas: u32, token: u64, drain: u64) {
        let wish = ScaleWish::new(revision.clone(), replicas, Token(token), Millis(drain));
        self.backends.workload.scale(&wish).await.unwrap();
    }

    pub(crate) async fn route(&self, stable: &Revision, canary: &Revision, weight: u32, token: u64) {
        let weight = Weight::new(weight).unwrap();
        let route = Route::Split { stable: Some(stable.clone()), canary: Some(canary.clone()), weight };
        self.backends.router.as_ref().unwrap().set(&RouteWish::new(route, Token(token))).await.unwrap();
    }

    pub(crate) async fn group(&self, revision: &Revision) -> GroupStatus {
        let groups = self.backends.workload.observe().await.unwrap();
        let group = groups.into_iter().find(|group| group.revision == *revision);
        group.unwrap_or_else(|| GroupStatus::empty(revision.clone()))
    }

    /// Waits until the group is like this.
    pub(crate) async fn until(
        &self,
        revision: &Revision,
        what: &str,
        like: impl Fn(&GroupStatus) -> bool,
    ) -> GroupStatus {
        eventually(what, async || {
            let group = self.group(revision).await;
            if like(&group) { Ok(group) } else { Err(format!("{group:?}")) }
        })
        .await
    }

    /// Registers, scales and waits until all are available.
    pub(crate) async fn run(&self, n: u32, replicas: u32, token: u64, options: &[&str]) -> Revision {
        let revision = self.register(n, options).await;
        self.scale(&revision, replicas, token, 5000).await;
        self.until(&revision, "available", |group| group.available == replicas).await;
        revision
    }

    pub(crate) async fn get(&self, path: &str) -> http::Answer {
        http::get(self.local.listen(), path).await.unwrap()
    }

    /// Counts of one revision, once these many requests were counted.
    pub(crate) async fn counted(&self, revision: &Revision, requests: u64) -> lifecycle_local::proxy::Totals {
        eventually("counted", async || {
            let stats = self.local.status().await.stats.ok_or("no stats")?;
            let totals = stats.revisions.get(&revision.hash).map(|it| it.totals.clone()).unwrap_or_default();
            if totals.requests >= requests {
                Ok(totals)
            } else {
                Err(format!("{} requests", totals.requests))
            }
        })
        .await
    }
}

pub(crate) fn revision(n: u32) -> Revision {
    Revision::new(RevisionNumber(n), format!("hash{n}"), parse_version(&format!("{n}.0.0")).unwrap())
}

/// Waits for a condition with a deadline; `Err` says what is there instead.
pub(crate) async fn eventually<T, E: std::fmt::Display>(
    what: &str,
    condition: impl AsyncFn() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(instead) if Instant::now() > deadline => panic!("not {what}: {instead}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} took too long"),
    }
}

/// A process that is killed whatever becomes of the test.
pub(crate) struct Killed(pub(crate) std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // one that has ended already is only asked how
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does a process with this pid run (and is no zombie)? It does while any of its threads does.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    fields.first().is_some_and(|state| !matches!(*state, "Z" | "X") || fields[17] != "1")
}

/// Pids of the processes that were started for this directory, the proxy left out.
pub(crate) fn replica_processes(dir: &Path) -> Vec<u32> {
    let ledger: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("processes.json")).unwrap()).unwrap();
    let wanted = format!("{}={}-r", lifecycle_local::TOKEN_VARIABLE, ledger["name"].as_str().unwrap());
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|pair| pair.starts_with(wanted.as_bytes())) && runs(*pid)
    };
    let mut pids: Vec<u32> = pids.filter(ours).collect();
    pids.sort_unstable();
    pids
}
