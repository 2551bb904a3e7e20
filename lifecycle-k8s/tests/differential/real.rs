//! The real cluster.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use lifecycle_core::backend::{BackendResult, ErrorKind, TrafficRouter as _, Workload as _};
use lifecycle_testkit::kubernetes::node::ProbeKind;

use crate::model::{Answer, Seen, answer};
use crate::operation::Operation;
use crate::world::{Target, World, revision, seen, until};

/// How long nothing must change until it counts as settled: five rounds of two probes.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take until it shows what is expected.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what the watches brought in.
const LOOK: Duration = Duration::from_millis(20);

/// A target of its own.
pub(crate) struct Real<'a> {
    world: &'a World,
    target: Target,
}

impl<'a> Real<'a> {
    pub(crate) async fn new(world: &'a World) -> Self {
        Self { world, target: world.target().await }
    }

    pub(crate) async fn apply(&mut self, operation: &Operation) -> Answer {
        if let Operation::Restart = operation {
            self.target.restart();
            return Ok(());
        }
        let target = &self.target;
        match operation {
            Operation::Restart => Ok(()),
            Operation::Scale(wish, _) => answered(async || target.workload.scale(wish).await).await,
            Operation::Route(wish, _) => answered(async || target.router.set(wish).await).await,
            Operation::Kill(number) => {
                let pod = self.replica(*number)?;
                // one that has just died starts again first
                until("a process to kill", async || self.world.node.kill(target.namespace(), &pod)).await;
                // it was this process that was broken; the next one is as good as a new replica
                self.world.node.heal_probes(target.namespace(), &pod);
                Ok(())
            }
            Operation::Break(number) => {
                let pod = self.replica(*number)?;
                self.world.node.fail_probes(target.namespace(), &pod, ProbeKind::Readiness);
                Ok(())
            }
            Operation::Delete(number) => {
                let pod = self.replica(*number)?;
                target.writer.api::<Pod>().delete(&pod, &DeleteParams::default()).await.unwrap();
                seen("the deletion in the cache", || {
                    let pods = target.pods(&revision(*number));
                    let is_there = pods.iter().any(|other| other.name == pod && other.is_created());
                    if is_there { Err(pods) } else { Ok(()) }
                })
                .await;
                Ok(())
            }
            Operation::Resize(number, replicas) => {
                target.change_size(&revision(*number), *replicas).await;
                Ok(())
            }
        }
    }

    /// A replica that was not asked to stop; a ready one where there is one.
    fn replica(&self, number: u32) -> Result<String, ErrorKind> {
        let pods = self.target.pods(&revision(number)).into_iter().filter(|pod| pod.is_created());
        pods.max_by_key(|pod| pod.ready).map(|pod| pod.name.clone()).ok_or(ErrorKind::NotFound)
    }

    async fn seen(&self) -> Seen {
        let groups = until("a look at the groups", async || self.target.workload.observe().await).await;
        Seen::of(groups, until("a look at the route", async || self.target.router.observe().await).await)
    }

    /// What it shows when it has shown what is expected for a while, or after all patience what it shows then.
    pub(crate) async fn settled(&self, expected: &Seen) -> Seen {
        let (begun, mut as_expected_since) = (Instant::now(), None);
        loop {
            let seen = self.seen().await;
            if seen == *expected {
                let since: Instant = *as_expected_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= QUIET {
                    return seen;
                }
            } else {
                as_expected_since = None;
                if begun.elapsed() >= PATIENCE {
                    return seen;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The answer to a wish; it is said again while somebody else is writing.
async fn answered(call: impl AsyncFn() -> BackendResult<()>) -> Answer {
    until("an answer to a wish", async || match call().await {
        Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Transient) => Err(error),
        other => Ok(answer(other)),
    })
    .await
}
