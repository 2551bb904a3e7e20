//! What the suites need around the backends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use lifecycle_core::backend::{BackendResult, RolloutStore, TrafficRouter, Workload};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber};
use lifecycle_k8s::client::StatusStore;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::conformance::{
    Able, Environment, RouterBench, Sent, StoreBench, Unable, WorkloadBench,
};
use lifecycle_testkit::kubernetes::node::{ProbeKind, dial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{NEVER, Target, World, revision, until};

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
                    group.revision == revision(number)
                        && group.created == replicas
                        && group.available == ready
                        && judged
                });
                if is { Ok(()) } else { Err(groups) }
            })
            .await;
        }
        bench
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    fn ready_pods(&self, of: &Revision) -> Vec<String> {
        self.target.pods(of).into_iter().filter(|pod| pod.is_ready()).map(|pod| pod.name.clone()).collect()
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
        self.target.workload.clone()
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
        self.target.router.clone()
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    fn unready_revision(&self) -> Able<Revision> {
        Ok(revision(NEVER))
    }

    /// In turn to the endpoints that are ready now, as the API server knows them: nothing that the router has seen is
    /// asked, and no time is left in which a route that is reported too early takes effect after all.
    async fn send(&self, requests: u32) -> Able<Sent> {
        let slices = self.target.writer.api::<EndpointSlice>();
        let of_service = format!("kubernetes.io/service-name={}", self.target.router.service());
        let slices = slices.list(&ListParams::default().labels(&of_service)).await;
        let slices = slices.map_err(|error| Unable::new(error.to_string()))?;
        let ready: Vec<SocketAddr> = slices.items.iter().flat_map(ready_endpoints).collect();
        let mut sent = Sent::new();
        for n in 0..usize::try_from(requests).unwrap() {
            let answer = match ready.get(n.checked_rem(ready.len()).unwrap_or(0)) {
                Some(&address) => get(address).await,
                None => Err(io::Error::other("no endpoint is ready")),
            };
            sent = match answer.ok().as_deref().and_then(served_by) {
                Some(number) => sent.served(number, 1),
                None => sent.refused(1),
            };
        }
        Ok(sent)
    }
}

fn ready_endpoints(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let port = slice.ports.iter().flatten().find_map(|port| port.port).unwrap();
    let endpoints = slice.endpoints.iter().flatten();
    let ready = endpoints.filter(|it| it.conditions.as_ref().and_then(|is| is.ready).unwrap_or(true));
    let dialled =
        |address: &String| SocketAddr::from((dial(address.parse().unwrap()), u16::try_from(port).unwrap()));
    ready.map(|endpoint| dialled(&endpoint.addresses[0])).collect()
}

/// Head and body of the answer to a request.
async fn get(address: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The application says its version, which is that of its revision; `None` for an answer other than 200.
fn served_by(answer: &str) -> Option<RevisionNumber> {
    let (status, headers) = answer.split_once("\r\n")?;
    let version = headers.lines().find_map(|line| line.strip_prefix("x-app-version: "))?;
    let number = version.strip_suffix(".0.0")?.parse().ok()?;
    status.starts_with("HTTP/1.1 200").then_some(RevisionNumber(number))
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
