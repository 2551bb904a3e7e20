//! The simulated cluster as a bench: virtual time, and wrappers that break it on purpose.

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, HealthQuery, HealthSource, Reading, Route, ScaleWish, Signal, Token, TrafficRouter,
    Workload,
};
use lifecycle_core::plan::Weight;
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, Version};

use super::super::{Able, Environment, HealthBench, RouterBench, Sent, Traffic, Unable, WorkloadBench};
use crate::cluster::{Cluster, ClusterConfig, Fault, Profile, Readiness};

/// Major version of what never gets ready.
const BROKEN: u32 = 9;

pub(super) struct Sim {
    pub(super) cluster: Cluster,
    pub(super) workload: Arc<dyn Workload>,
    pub(super) router: Arc<dyn TrafficRouter>,
    pub(super) health: Arc<dyn HealthSource>,
    /// The revision that is said to have no ready replica.
    pub(super) unready: u32,
}

pub(super) fn revision(number: u32) -> Revision {
    Revision::new(RevisionNumber(number), format!("hash-{number}"), Version::new(number.into(), 0, 0))
}

impl Sim {
    /// An empty cluster.
    pub(super) fn new(config: ClusterConfig) -> Self {
        let cluster = Cluster::new(config, 7);
        cluster.set_profile(&revision(BROKEN).version, Profile::default().ready(Readiness::Never));
        cluster.set_profile(&revision(1).version, Profile::default().error_rate(0.1));
        let (workload, router, health) = (cluster.workload(), cluster.router(), cluster.health());
        Self { cluster, workload, router, health, unready: BROKEN }
    }

    /// With these revisions up, and one that never gets ready.
    pub(super) async fn serving(config: ClusterConfig, revisions: &[u32]) -> BackendResult<Self> {
        let sim = Self::new(config);
        sim.scale(revisions).await?;
        Ok(sim)
    }

    /// Serving, with all requests on revision 1 from the first one on.
    pub(super) async fn measured() -> BackendResult<Self> {
        let sim = Self::new(ClusterConfig::default());
        sim.cluster.set_route(Route::Split { stable: Some(revision(1)), canary: None, weight: Weight::ZERO });
        sim.scale(&[1, 2]).await?;
        Ok(sim)
    }

    async fn scale(&self, revisions: &[u32]) -> BackendResult<()> {
        for &number in revisions {
            self.cluster
                .workload()
                .scale(&ScaleWish::new(revision(number), 2, Token(1), Millis::ZERO))
                .await?;
        }
        self.cluster.advance(Millis::from_secs(30));
        Ok(())
    }

    async fn requests(&self, of: u32) -> u64 {
        let query = HealthQuery::new(Signal::Requests, revision(of), Millis::from_secs(280));
        match self.cluster.health().measure(&[query]).await.pop() {
            Some(Ok(Reading::Counts { requests, .. })) => requests,
            _ => 0,
        }
    }
}

#[async_trait]
impl Environment for Sim {
    async fn advance(&self, span: Millis) {
        self.cluster.advance(span);
    }
}

#[async_trait]
impl WorkloadBench for Sim {
    fn workload(&self) -> Arc<dyn Workload> {
        Arc::clone(&self.workload)
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn never_ready(&self) -> Able<Revision> {
        Ok(revision(BROKEN))
    }

    async fn kill_replica(&self, _revision: &Revision) -> Able<()> {
        self.cluster.begin(Fault::PodKill, Millis::ZERO);
        Ok(())
    }
}

#[async_trait]
impl RouterBench for Sim {
    fn router(&self) -> Arc<dyn TrafficRouter> {
        Arc::clone(&self.router)
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn unready_revision(&self) -> Able<Revision> {
        Ok(revision(self.unready))
    }

    async fn send(&self, requests: u32) -> Able<Sent> {
        let mut before = Vec::new();
        for number in [1, 2, BROKEN] {
            before.push((number, self.requests(number).await));
        }
        let refused = self.cluster.requests().refused;
        // 500 requests a second
        self.cluster.advance(Millis(u64::from(requests) * 2));
        let mut sent = Sent::new().refused(self.cluster.requests().refused - refused);
        for (number, before) in before {
            sent = sent.served(RevisionNumber(number), self.requests(number).await - before);
        }
        Ok(sent)
    }
}

#[async_trait]
impl HealthBench for Sim {
    fn source(&self) -> Arc<dyn HealthSource> {
        Arc::clone(&self.health)
    }

    fn revision(&self) -> Revision {
        revision(1)
    }

    fn silent_revision(&self) -> Able<Revision> {
        Ok(revision(2))
    }

    async fn traffic(&self) -> Able<Traffic> {
        self.cluster.advance(Millis::from_secs(5));
        let requests = self.cluster.requests();
        Ok(Traffic::new(requests.total - requests.refused, requests.failed))
    }

    async fn take_down(&self) -> Able<()> {
        Err(Unable::new("the simulated source has no data when it is down"))
    }
}
