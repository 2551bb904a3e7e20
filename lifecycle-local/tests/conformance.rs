//! The conformance suites, against real processes and the real proxy in real time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, HealthSource, Route, RouteWish, Token, TrafficRouter, Workload,
};
use lifecycle_core::plan::Weight;
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber};
use lifecycle_local::{ReplicaState, ReplicaStatus};
use lifecycle_testkit::conformance::{
    self, Able, Environment, HealthBench, Report, RouterBench, Sent, Traffic, Unable, WorkloadBench,
};
use rustix::process::{Pid, Signal, kill_process};
use support::http::{Answer, Connection, get, request};
use support::{Site, Target, eventually, revision, soon};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Number of the revision that never gets ready.
const NEVER: u32 = 9;
/// Connections that are kept from one batch of requests to the next.
const CLIENTS: usize = 4;

/// A state directory of its own, opened. The processes are killed when it is dropped, whatever
/// became of the case.
struct Bench {
    clients: Mutex<Vec<Connection>>,
    made: Mutex<Traffic>,
    target: Target,
    _site: Site,
}

impl Bench {
    /// Revisions 1 and 2 are known, and one that never gets ready; nothing runs but the proxy. The
    /// suites run side by side and have ports of their own: one that is free may be taken by another
    /// before the replica listens on it.
    async fn empty(ports: RangeInclusive<u16>, options_of_1: &[&str]) -> Self {
        let site = Site::new();
        let target = site.open_with(site.config().ports(ports)).await;
        target.register(1, options_of_1).await;
        target.register(2, &[]).await;
        target.register(NEVER, &["--ready-after", "never"]).await;
        Self { clients: Mutex::default(), made: Mutex::default(), target, _site: site }
    }

    /// Revisions 1 and 2 serve.
    async fn serving(ports: RangeInclusive<u16>, options_of_1: &[&str], replicas: u32) -> Self {
        let bench = Self::empty(ports, options_of_1).await;
        for n in [1, 2] {
            bench.target.scale(&revision(n), replicas, u64::from(n), 0).await;
        }
        for n in [1, 2] {
            bench.target.until(&revision(n), "available", |group| group.available == replicas).await;
        }
        bench
    }

    fn ready_replicas(&self, of: &Revision) -> Vec<ReplicaStatus> {
        let all = self.target.local.workload().replicas().into_iter();
        all.filter(|replica| replica.revision == *of && replica.state == ReplicaState::Ready).collect()
    }

    /// Makes requests of these paths in turn, shared among the kept connections. What came back.
    async fn requests(&self, paths: &'static [&'static str], number: usize) -> Vec<Result<Answer, String>> {
        let addr = self.target.local.listen();
        let mut clients = self.clients.lock().await;
        let mut batches = JoinSet::new();
        for first in 0..CLIENTS {
            let mut kept = clients.pop();
            batches.spawn(async move {
                let mut answers = Vec::new();
                for n in (first..number).step_by(CLIENTS) {
                    let answer = client(&mut kept, addr, paths[n % paths.len()]);
                    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
                    answers.push(answer.unwrap_or_else(|_| Err("no answer in 10 s".to_owned())));
                }
                (kept, answers)
            });
        }
        let mut all = Vec::new();
        for (kept, answers) in batches.join_all().await {
            clients.extend(kept);
            all.extend(answers);
        }
        all
    }
}

/// One request on a connection that is kept unless it fails.
async fn client(
    kept: &mut Option<Connection>,
    addr: std::net::SocketAddr,
    path: &str,
) -> Result<Answer, String> {
    let mut open = match kept.take() {
        Some(open) => open,
        None => Connection::open(addr).await?,
    };
    let answer = open.call(request("GET", path, "")).await?;
    *kept = Some(open);
    Ok(answer)
}

fn signal(pid: u32, signal: Signal) -> Able<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| Unable::new("it has no pid"))?;
    kill_process(pid, signal).map_err(|error| Unable::new(error.to_string()))
}

/// Is every thread of this process stopped?
fn hangs(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap()).all(|stat| {
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('T'));
        state.unwrap_or(false)
    })
}

#[async_trait]
impl Environment for Bench {
    async fn advance(&self, span: Millis) {
        tokio::time::sleep(span.into()).await;
    }

    fn pace(&self) -> Millis {
        Millis(20)
    }

    /// Ten rounds of two probes, which are 50 ms apart.
    fn quiet(&self) -> Millis {
        Millis(1000)
    }
}

#[async_trait]
impl WorkloadBench for Bench {
    fn workload(&self) -> Arc<dyn Workload> {
        Arc::clone(&self.target.backends.workload)
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn never_ready(&self) -> Able<Revision> {
        Ok(revision(NEVER))
    }

    async fn kill_replica(&self, of: &Revision) -> Able<()> {
        let victim = self.ready_replicas(of).into_iter().find_map(|replica| replica.pid);
        signal(victim.ok_or_else(|| Unable::new("no replica runs"))?, Signal::KILL)
    }

    async fn make_unready(&self, of: &Revision, replicas: u32) -> Able<()> {
        let replicas = usize::try_from(replicas).unwrap();
        let ready = self.ready_replicas(of);
        if ready.len() < replicas {
            return Err(Unable::new(format!("only {} replicas are ready", ready.len())));
        }
        // the oldest ones: by age alone the others would be stopped
        for replica in &ready[..replicas] {
            get(([127, 0, 0, 1], replica.port).into(), "/unready").await.map_err(Unable::new)?;
        }
        Ok(())
    }

    async fn change_size(&self, _of: &Revision, _replicas: u32) -> Able<()> {
        Err(Unable::new("the recorded size is in the supervisor's own memory, and its file has a lock"))
    }
}

#[async_trait]
impl RouterBench for Bench {
    fn router(&self) -> Arc<dyn TrafficRouter> {
        self.target.backends.router.clone().unwrap()
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn unready_revision(&self) -> Able<Revision> {
        Ok(revision(NEVER))
    }

    async fn send(&self, requests: u32) -> Able<Sent> {
        let mut sent = Sent::new();
        for answer in self.requests(&["/"], usize::try_from(requests).unwrap()).await {
            let by = answer.ok().filter(|answer| answer.status == 200);
            let by = by.and_then(|answer| answer.body.strip_suffix(".0.0")?.parse().ok());
            sent = match by {
                Some(number) => sent.served(RevisionNumber(number), 1),
                None => sent.refused(1),
            };
        }
        Ok(sent)
    }
}

#[async_trait]
impl HealthBench for Bench {
    fn source(&self) -> Arc<dyn HealthSource> {
        self.target.backends.health.clone().unwrap()
    }

    fn revision(&self) -> Revision {
        revision(1)
    }

    fn silent_revision(&self) -> Able<Revision> {
        Ok(revision(2))
    }

    /// What the clients saw: answers with 5xx and answers that broke off have failed, 404 has not.
    async fn traffic(&self) -> Able<Traffic> {
        const PATHS: &[&str] = &["/", "/", "/status?404", "/", "/cut", "/slow?5", "/status?503"];
        let answers = self.requests(PATHS, 100).await;
        let mut made = self.made.lock().await;
        for answer in answers {
            let failed = match answer {
                Ok(answer) => answer.status >= 500,
                Err(broken_off) if broken_off.starts_with("body: ") => true,
                Err(unknown) => return Err(Unable::new(format!("a request got no answer: {unknown}"))),
            };
            *made = Traffic::new(made.requests + 1, made.failed + u64::from(failed));
        }
        Ok(*made)
    }

    fn short_window(&self) -> Millis {
        Millis(2000)
    }

    /// The proxy keeps ten samples a second; the rest is for a busy machine.
    fn grain(&self) -> Millis {
        Millis(1000)
    }

    /// A proxy that hangs, and a list of alerts that cannot be read.
    async fn take_down(&self) -> Able<()> {
        let pid = self.target.local.status().await.proxy_pid;
        std::fs::create_dir(self.target.local.dir().join("alerts.json"))
            .map_err(|error| Unable::new(error.to_string()))?;
        let pid = pid.ok_or_else(|| Unable::new("no proxy runs"))?;
        signal(pid, Signal::STOP)?;
        // a thread on another processor goes on until it sees the signal
        soon("a stopped proxy", async {
            while !hangs(pid) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        Ok(())
    }
}

/// Every case passed but for these, which are not applicable.
#[track_caller]
fn conforms(report: Report, not_applicable: &[&str]) {
    let report = report.verify().unwrap();
    println!("{report}");
    let names: Vec<&str> = report.not_applicable().map(|case| case.name).collect();
    assert_eq!(names, not_applicable, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_processes_are_a_workload() {
    let bench = async || BackendResult::Ok(Bench::empty(20_000..=22_999, &[]).await);
    let report = conformance::workload(bench).await;
    conforms(report, &["a_repeated_wish_repairs_a_size_that_somebody_else_changed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_a_traffic_router() {
    let bench = async || {
        let bench = Bench::serving(23_000..=25_999, &[], 2).await;
        bench.target.scale(&revision(NEVER), 1, 3, 0).await;
        bench.target.until(&revision(NEVER), "judged", |group| group.failed_attempts > 0).await;
        BackendResult::Ok(bench)
    };
    let report = conformance::router(bench).await;
    conforms(report, &["a_weight_that_it_cannot_split_is_refused_and_changes_nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_of_the_proxy_are_a_health_source() {
    let bench = async || {
        let bench = Bench::serving(26_000..=28_999, &["--errors", "20"], 1).await;
        let all = Route::Split { stable: Some(revision(1)), canary: None, weight: Weight::ZERO };
        let wish = RouteWish::new(all, Token(3));
        let router = bench.router();
        eventually("routed", async || router.set(&wish).await).await;
        BackendResult::Ok(bench)
    };
    let report = conformance::health_source(bench).await;
    conforms(report, &[]);
}
