//! What the rollouts of one program share: a client, what is watched, and who has to look when it changes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt, stream};
use kube::Client;

use crate::client::{Caches, CachesTask, Changed, Scope};
use crate::object::Owner;

/// Namespace and name.
pub type Key = (Arc<str>, Arc<str>);

/// Those of an owner.
pub(crate) fn key(owner: &Owner) -> Key {
    (owner.namespace.as_str().into(), owner.name.as_str().into())
}

/// A cluster, as a program that rolls out on it sees it.
pub struct Cluster {
    client: Client,
    caches: Arc<Caches>,
    /// Who has to look when a Service changed.
    services: Mutex<HashMap<Key, BTreeSet<Arc<str>>>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// What is there, the task that keeps it up to date, and the objects that have to be looked at because
    /// something of theirs changed. One that changes often is named often: look once for many.
    pub fn watch(
        client: &Client,
        scope: &Scope,
    ) -> (Arc<Self>, CachesTask, impl Stream<Item = Key> + Send + use<>) {
        let (caches, task, changes) = Caches::watch_with_changes(client, scope);
        let cluster = Arc::new(Self { client: client.clone(), caches, services: Mutex::default() });
        let known = Arc::clone(&cluster);
        let looks = changes.flat_map(move |change| stream::iter(known.who_looks(change)));
        (cluster, task, looks)
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// What the watches have brought in.
    #[must_use]
    pub const fn caches(&self) -> &Arc<Caches> {
        &self.caches
    }

    /// Nobody of this name looks at anything any more.
    pub fn forget(&self, key: &Key) {
        self.services().retain(|(namespace, _), names| {
            if *namespace == key.0 {
                names.remove(&key.1);
            }
            !names.is_empty()
        });
    }

    /// Notes that this object looks at this Service.
    pub(super) fn follow_service(&self, key: &Key, service: &Arc<str>) {
        let service = (Arc::clone(&key.0), Arc::clone(service));
        self.services().entry(service).or_default().insert(Arc::clone(&key.1));
    }

    fn who_looks(&self, change: Changed) -> Vec<Key> {
        match change {
            Changed::Target(namespace, name) => vec![(namespace, name)],
            Changed::Service(namespace, service) => {
                let services = self.services();
                let names = services.get(&(Arc::clone(&namespace), service));
                names.into_iter().flatten().map(|name| (Arc::clone(&namespace), Arc::clone(name))).collect()
            }
        }
    }

    fn services(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<Arc<str>>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
