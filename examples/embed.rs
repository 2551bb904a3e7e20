//! A program that rolls out with a few library calls and a backend of its own: a pool of workers in
//! this process. Run it with `cargo run -p lifecycle-examples --example embed`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, Backends, GroupStatus, HealthQuery, HealthSource, Reading, ScaleWish, Workload,
    store::MemoryStore,
};
use lifecycle_core::driver::Driver;
use lifecycle_core::report::outcome;
use lifecycle_core::spec::Manifest;
use lifecycle_core::strategy::{self, PlanContext};
use lifecycle_core::time::Timestamp;

/// The workload: so many workers of each version. A worker is ready 50 ms after it was asked for.
#[derive(Debug, Default)]
struct Pool {
    groups: Mutex<BTreeMap<Arc<str>, (GroupStatus, Instant)>>,
}

type Groups = BTreeMap<Arc<str>, (GroupStatus, Instant)>;

impl Pool {
    fn groups(&self) -> std::sync::MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Workload for Pool {
    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        let ready = |(mut status, since): (GroupStatus, Instant)| {
            if since.elapsed() > Duration::from_millis(50) {
                (status.ready, status.available) = (status.created, status.created);
            }
            status
        };
        Ok(self.groups().values().cloned().map(ready).collect())
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        let mut groups = self.groups();
        let hash = Arc::clone(&wish.revision.hash);
        let (status, since) =
            groups.entry(hash).or_insert_with(|| (GroupStatus::empty(wish.revision.clone()), Instant::now()));
        // a late wish is fenced off by its token, a repeated one changes nothing
        if wish.token > status.token {
            if wish.replicas > status.created {
                *since = Instant::now();
            }
            status.token = wish.token;
            (status.desired, status.created) = (wish.replicas, wish.replicas);
            status.ready = status.ready.min(wish.replicas);
            status.available = status.ready;
        }
        Ok(())
    }
}

/// The health source: jobs that workers of a version did, and how many of them failed.
#[derive(Debug)]
struct Jobs;

#[async_trait]
impl HealthSource for Jobs {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let answer = |query: &HealthQuery| {
            let bad = query.revision.version.minor == 2;
            Ok(Reading::Counts { requests: 1000, failed: if bad { 200 } else { 1 } })
        };
        queries.iter().map(answer).collect()
    }
}

fn manifest(version: &str) -> String {
    format!(
        "
apiVersion: enis.andaon.com/v1
kind: AgentDeployment
metadata: {{name: workers}}
spec:
  version: {version}
  strategy: rolling
  replicas: 4
  rolling: {{maxSurge: 1, maxUnavailable: 0, window: 1s}}
  analysis: {{interval: 200ms, window: 1s, minRequests: 100, checks: [\"error_rate < 5%\"]}}
"
    )
}

/// Rolls one version out and says how it ended.
async fn roll_out(backends: &Backends, version: &str) -> Result<String, Box<dyn std::error::Error>> {
    let spec = Manifest::from_yaml(&manifest(version))?.spec;
    let target = strategy::compile(&spec, &PlanContext::of(backends))?;
    let mut driver = Driver::new(target, backends.clone())?;
    let start = Instant::now();
    loop {
        let now = Timestamp::from_millis(u64::try_from(start.elapsed().as_millis())?);
        let tick = driver.tick(now).await?;
        for event in &tick.events {
            println!("{:>6} {:<14} {}", event.at.to_string(), event.kind.name(), event.kind.message());
        }
        match (tick.wake_at, driver.state()) {
            // nothing is left to do
            (None, Some(state)) => return Ok(outcome(state).0.to_owned()),
            // a pool has no watch to tell of ready workers, so look again soon
            (Some(wake), _) => {
                tokio::time::sleep(Duration::from(wake.since(now)).min(Duration::from_millis(50))).await
            }
            (None, None) => return Err("no state".into()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backends =
        Backends::new(Arc::new(Pool::default()), Arc::new(MemoryStore::new())).health(Arc::new(Jobs));
    for (version, expected) in [("1.0.0", "promoted"), ("1.1.0", "promoted"), ("1.2.0", "rolledBack")] {
        let ended = roll_out(&backends, version).await?;
        println!("{version}: {ended}\n");
        assert_eq!(ended, expected);
    }
    Ok(())
}
