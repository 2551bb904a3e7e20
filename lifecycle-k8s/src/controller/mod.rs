//! The controller of `AgentDeployment`s: watches wake it, and one tick of the driver is one look at one of them.

mod command;
mod damage;
mod finalizer;
mod news;
mod options;
mod problem;
mod reconcile;
mod shown;
mod target;

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use kube::Client;
use kube::runtime::controller as runtime;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Config, Controller as Runner, PredicateConfig, WatchStreamExt, predicates, watcher};

pub use options::{ControllerOptions, NoObserver, Observer, Plain, Reconciled, Surroundings};
pub use problem::Problem;

use crate::client::{Caches, Changed, Pauses};
use crate::crd::AgentDeployment;
use crate::names;
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
    changes: BoxStream<'static, Changed>,
    feeds: crate::client::CachesTask,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("context", &self.context).finish_non_exhaustive()
    }
}

/// What every reconciliation shares.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) caches: Arc<Caches>,
    pub(crate) options: ControllerOptions,
    pub(crate) recorder: Recorder,
    targets: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Target>>>>,
    /// Who has to look when a Service changed.
    services: Mutex<HashMap<Key, BTreeSet<Arc<str>>>>,
}

/// Namespace and name.
pub(crate) type Key = (Arc<str>, Arc<str>);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller that has looked at nothing yet.
    #[must_use]
    pub fn new(client: Client, options: ControllerOptions) -> Self {
        let (caches, feeds, changes) = Caches::watch_with_changes(&client, &options.scope);
        let reporter =
            Reporter { controller: names::CONTROLLER.to_owned(), instance: options.instance.clone() };
        let recorder = Recorder::new(client.clone(), reporter);
        let context = Context {
            client,
            caches,
            options,
            recorder,
            targets: Mutex::default(),
            services: Mutex::default(),
        };
        Self { context: Arc::new(context), changes: changes.boxed(), feeds }
    }

    /// What it has seen: for readiness probes.
    #[must_use]
    pub fn caches(&self) -> Arc<Caches> {
        Arc::clone(&self.context.caches)
    }

    /// Works until `shutdown` resolves, then finishes the reconciliations that have begun.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + Sync + 'static) {
        let Self { context, changes, feeds } = self;
        let feeds = tokio::spawn(feeds.run());
        let api = context.options.scope.api::<AgentDeployment>(&context.client);
        let (reader, writer) = reflector::store();
        let objects = watcher(api, watcher::Config::default())
            .backoff(Pauses::new())
            .modify(|object| object.metadata.managed_fields = None)
            .reflect(writer)
            .touched_objects()
            .predicate_filter(wakes, PredicateConfig::default());
        let config = Config::default().concurrency(context.options.concurrency);
        let shutdown = shutdown.boxed().shared();
        let unready = unready(shutdown.clone(), reader.clone());
        let runner = Runner::for_stream(objects, reader)
            .with_config(config)
            .reconcile_on(woken(Arc::clone(&context), changes))
            .graceful_shutdown_on(shutdown)
            .run(reconcile::reconcile, reconcile::failed, Arc::clone(&context));
        let working = runner.for_each(|result| async move {
            match result {
                Ok(_) => {}
                // another one asked for an object that has gone since
                Err(runtime::Error::ObjectNotFound(_)) => {}
                Err(error) => tracing::warn!(%error, "AgentDeployments cannot be watched"),
            }
        });
        futures::future::select(pin!(working), pin!(unready)).await;
        feeds.abort();
    }
}

/// A shutdown before the first list was read: nothing was begun that could be finished, and the runner would wait
/// for a list that nobody reads any more.
async fn unready(shutdown: impl Future<Output = ()>, objects: reflector::Store<AgentDeployment>) {
    shutdown.await;
    if objects.wait_until_ready().now_or_never().is_some() {
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

/// Objects that have to look because something of theirs changed.
fn woken(
    context: Arc<Context>,
    changes: BoxStream<'static, Changed>,
) -> impl futures::Stream<Item = ObjectRef<AgentDeployment>> {
    changes.flat_map(move |change| {
        let who = context.who_looks(change).into_iter();
        stream::iter(who.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)))
    })
}

impl Context {
    fn who_looks(&self, change: Changed) -> Vec<Key> {
        match change {
            Changed::Target(namespace, name) => vec![(namespace, name)],
            Changed::Service(namespace, service) => {
                let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
                let names = services.get(&(Arc::clone(&namespace), service));
                names.into_iter().flatten().map(|name| (Arc::clone(&namespace), Arc::clone(name))).collect()
            }
        }
    }

    /// Notes that this target looks at this Service.
    pub(crate) fn follow_service(&self, target: &Key, service: &Arc<str>) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services
            .entry((Arc::clone(&target.0), Arc::clone(service)))
            .or_default()
            .insert(Arc::clone(&target.1));
    }

    pub(crate) fn target(&self, key: &Key, make: impl FnOnce() -> Target) -> Arc<tokio::sync::Mutex<Target>> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(targets.entry(key.clone()).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(make()))))
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|(namespace, _), names| {
            if *namespace == key.0 {
                names.remove(&key.1);
            }
            !names.is_empty()
        });
        self.options.observer.forgotten(&key.0, &key.1);
    }
}
