//! The controller of `AgentDeployment`s: watches wake it, and one tick of the driver is one look at one of them.

mod command;
mod damage;
mod differs;
mod events;
mod finalizer;
mod logged;
mod news;
mod options;
mod problem;
mod reconcile;
mod shown;
mod target;
#[cfg(test)]
mod tests;
mod unmeasured;

use std::pin::pin;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use kube::Client;
use kube::runtime::controller as runtime;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Config, Controller as Runner, PredicateConfig, WatchStreamExt, predicates, watcher};
use tokio::sync::watch;

pub use options::{ControllerOptions, NoObserver, Observer, Plain, Reconciled, Surroundings};
pub use problem::Problem;

use crate::client::{Caches, watch as watch_objects};
use crate::crd::AgentDeployment;
use crate::embed::{Cluster, Entries, Key};
use crate::names;
use events::Events;
use target::Target;

/// Rolls out every `AgentDeployment` in its scope.
///
/// Nothing is polled: a reconciliation begins when something that belongs to it changed, or when the machine
/// asked to be woken. At most `concurrency` run at once, never two of one object.
///
/// # Example
/// ```no_run
/// use lifecycle_k8s::controller::{Controller, ControllerOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = kube::Client::try_default().await?;
/// let controller = Controller::new(client, ControllerOptions::new());
/// controller.run(async { drop(tokio::signal::ctrl_c().await) }).await;
/// # Ok(())
/// # }
/// ```
pub struct Controller {
    context: Arc<Context>,
    looks: BoxStream<'static, Key>,
    feeds: crate::client::CachesTask,
    /// Was every object listed? (The store can say so too, but wakes only one of those who wait for it.)
    listed: watch::Sender<bool>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("context", &self.context).finish_non_exhaustive()
    }
}

/// What every reconciliation shares.
pub(crate) struct Context {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: ControllerOptions,
    pub(crate) events: Events,
    pub(crate) targets: Entries<Target>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller that has looked at nothing yet.
    #[must_use]
    pub fn new(client: Client, options: ControllerOptions) -> Self {
        let (cluster, feeds, looks) = Cluster::watch(&client, &options.scope);
        let events = Events::new(client, options.instance.clone());
        let context = Context { cluster, options, events, targets: Entries::default() };
        Self { context: Arc::new(context), looks: looks.boxed(), feeds, listed: watch::Sender::new(false) }
    }

    /// What it has seen of what belongs to the objects.
    #[must_use]
    pub fn caches(&self) -> Arc<Caches> {
        Arc::clone(self.context.cluster.caches())
    }

    /// Resolves once everything that it watches has been listed: for readiness probes. It has to [run](Self::run).
    pub fn synced(&self) -> impl Future<Output = ()> + Send + use<> {
        let (caches, mut listed) = (self.caches(), self.listed.subscribe());
        async move {
            caches.wait_until_synced().await;
            // a controller that is dropped lists nothing any more
            if listed.wait_for(|listed| *listed).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Works until `shutdown` resolves, then finishes the reconciliations that have begun.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + Sync + 'static) {
        let Self { context, looks, feeds, listed } = self;
        let feeds = tokio::spawn(feeds.run());
        let (reader, writer) = reflector::store();
        let told = listed.clone();
        let objects =
            watch_objects(context.options.scope.api(context.cluster.client()), watcher::Config::default())
                .inspect_ok(move |event| {
                    if matches!(event, watcher::Event::InitDone) {
                        told.send_replace(true);
                    }
                })
                .reflect(writer)
                .touched_objects()
                .predicate_filter(wakes, PredicateConfig::default());
        let config = Config::default().concurrency(context.options.concurrency);
        let shutdown = shutdown.boxed().shared();
        let unready = unready(shutdown.clone(), listed.subscribe());
        let looks = looks.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
        let runner = Runner::for_stream(objects, reader)
            .with_config(config)
            .reconcile_on(looks)
            .graceful_shutdown_on(shutdown)
            .run(reconcile::reconcile, reconcile::failed, Arc::clone(&context));
        let working = runner.for_each(|result| {
            match result {
                Ok(_) => {}
                // what belongs to it has changed since: it is gone without having been cleaned up
                Err(runtime::Error::ObjectNotFound(gone)) => {
                    let namespace = gone.namespace.as_deref().unwrap_or_default();
                    context.forget(&(namespace.into(), gone.name.as_str().into()));
                }
                Err(error) => {
                    tracing::warn!(%error, "AgentDeployments cannot be watched: `lifecycle crd` defines them, and \
                        `lifecycle rbac` has the rules to read them");
                }
            }
            std::future::ready(())
        });
        futures::future::select(pin!(working), pin!(unready)).await;
        feeds.abort();
    }
}

/// A shutdown before the first list was read: nothing was begun that could be finished, and the runner would wait
/// for a list that nobody reads any more.
async fn unready(shutdown: impl Future<Output = ()>, listed: watch::Receiver<bool>) {
    shutdown.await;
    if *listed.borrow() {
        std::future::pending::<()>().await;
    }
}

/// What of an object itself asks for a look: another spec, a command, a deletion. Not our own status.
fn wakes(object: &AgentDeployment) -> Option<u64> {
    predicates::generation(object).map(|generation| {
        let meta = &object.metadata;
        let mut hash = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(
            &(
                generation,
                &meta.uid,
                meta.annotations.as_ref().and_then(|all| all.get(names::COMMAND)),
                &meta.finalizers,
            ),
            &mut hash,
        );
        std::hash::Hash::hash(&meta.deletion_timestamp.is_some(), &mut hash);
        std::hash::Hasher::finish(&hash)
    })
}

impl Context {
    pub(crate) fn forget(&self, key: &Key) {
        self.targets.remove(key);
        self.cluster.forget(key);
        self.options.observer.forgotten(&key.0, &key.1);
    }
}
