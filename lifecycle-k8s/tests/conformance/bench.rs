//! What the suites need around the backends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, RolloutStore, TrafficRouter, Workload};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;
use lifecycle_k8s::client::StatusStore;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::conformance::{
    Able, Environment, RouterBench, Sent, StoreBench, Unable, WorkloadBench,
};
use lifecycle_testkit::kubernetes::load::{Load, LoadOptions, LoadReport, Who};
use lifecycle_testkit::kubernetes::node::ProbeKind;

use crate::world::{NEVER, Target, World, revision, until};

/// Requests a second.
const RATE: f64 = 500.0;
/// How long requests may take to be sent.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// A target, and the world that it is in.
pub(crate) struct Bench<'a> {
    world: &'a World,
    target: Target,
}

impl<'a> Bench<'a> {
    /// No group, no route.
    pub(crate) async fn empty(world: &'a World) -> Self {
        Self { world, target: world.target().await }
    }

    /// Revisions 1 and 2 serve, and one has a replica that never gets ready.
    pub(crate) async fn serving(world: &'a World) -> Self {
        let bench = Self::empty(world).await;
        let sizes = [(1, 2), (2, 2), (NEVER, 1)];
        for (token, (number, replicas)) in (1..).zip(sizes) {
            bench.target.scale(number, replicas, token).await;
        }
        for (number, replicas) in sizes {
            let ready = if number == NEVER { 0 } else { replicas };
            until("a serving group", async || {
                let groups = bench.target.workload.observe().await.unwrap();
                let is = groups.iter().any(|group| {
                    let judged = ready > 0 || group.failed_attempts > 0;
                    group.revision == revision(number) && group.created == replicas && group.available == ready && judged
                });
                if is { Ok(()) } else { Err(groups) }
            })
            .await;
        }
        bench
    }

    fn ready_pods(&self, of: &Revision) -> Vec<String> {
        self.target.pods(of).into_iter().filter(|pod| pod.is_ready()).map(|pod| pod.name).collect()
    }
}

#[async_trait]
impl Environment for Bench<'_> {
    async fn advance(&self, span: Millis) {
        tokio::time::sleep(span.into()).await;
    }

    fn pace(&self) -> Millis {
        Millis(20)
    }

    /// Five rounds of two probes, which are 100 ms apart.
    fn quiet(&self) -> Millis {
        Millis(1000)
    }
}

#[async_trait]
impl WorkloadBench for Bench<'_> {
    fn workload(&self) -> Arc<dyn Workload> {
        let workload = Arc::clone(&self.target.workload);
        workload
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn never_ready(&self) -> Able<Revision> {
        Ok(revision(NEVER))
    }

    async fn kill_replica(&self, of: &Revision) -> Able<()> {
        let victim = self.ready_pods(of).pop().ok_or_else(|| Unable::new("no replica is ready"))?;
        let killed = self.world.node.kill(self.target.namespace(), &victim);
        killed.map_err(|error| Unable::new(error.to_string()))
    }

    async fn make_unready(&self, of: &Revision, replicas: u32) -> Able<()> {
        let ready = self.ready_pods(of);
        let replicas = usize::try_from(replicas).unwrap();
        if ready.len() < replicas {
            return Err(Unable::new(format!("only {} replicas are ready", ready.len())));
        }
        for pod in &ready[..replicas] {
            self.world.node.fail_probes(self.target.namespace(), pod, ProbeKind::Readiness);
        }
        Ok(())
    }

    async fn change_size(&self, of: &Revision, replicas: u32) -> Able<()> {
        self.target.change_size(of, replicas).await;
        Ok(())
    }
}

#[async_trait]
impl RouterBench for Bench<'_> {
    fn router(&self) -> Arc<dyn TrafficRouter> {
        let router = Arc::clone(&self.target.router);
        router
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn unready_revision(&self) -> Able<Revision> {
        Ok(revision(NEVER))
    }

    /// By the EndpointSlices as they are now. A request that no pod answered counts as refused.
    async fn send(&self, requests: u32) -> Able<Sent> {
        let (namespace, service) = (self.target.namespace(), self.target.router.service());
        let load = Load::start(self.world.client.clone(), namespace, service, LoadOptions::new(RATE)).await;
        let load = load.map_err(|error| Unable::new(error.to_string()))?;
        let enough = |report: &LoadReport| report.tally(Who::All).sent() + report.refused >= requests.into();
        load.until(SENT_WITHIN, enough).await.map_err(|error| Unable::new(error.to_string()))?;
        let report = load.stop().await;
        let mut sent = Sent::new().refused(report.refused + report.lost());
        for number in [1, 2, NEVER] {
            let revision = revision(number);
            sent = sent.served(revision.number, report.tally(Who::Revision(&revision.hash)).answers());
        }
        Ok(sent)
    }
}

/// An AgentDeployment whose status keeps a record.
pub(crate) struct Place(Target);

impl Place {
    pub(crate) async fn new(world: &World) -> Self {
        Self(world.target().await)
    }
}

#[async_trait]
impl StoreBench for Place {
    async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>> {
        let owner = &self.0.owner;
        let store = StatusStore::<AgentDeployment>::new(self.0.writer.clone(), &*owner.name, &*owner.uid);
        Ok(Arc::new(store))
    }
}
