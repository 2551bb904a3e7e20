//! The rollouts of every object of a resource.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Client;
use kube::runtime::reflector::{Lookup, ObjectRef};
use lifecycle_core::backend::{News, Record};
use serde_json::{Map, Value};

use super::{Cluster, Key, Rollout, key};
use crate::client::{Caches, CachesTask, Scope, Show, WithStatus};
use crate::object::Owner;

/// The rollouts of every object of the resource `K`, each with a lock of its own: one object is looked at by one
/// reconciliation at a time, and many objects at once.
pub struct Rollouts<K> {
    cluster: Arc<Cluster>,
    show: Arc<Show<K>>,
    entries: Entries<Rollout<K>>,
}

impl<K> fmt::Debug for Rollouts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollouts").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl<K: WithStatus> Rollouts<K> {
    /// No rollout yet; the task that watches what belongs to them, which has to run; and the objects that have to be
    /// looked at because of what it saw. `show` makes what people are shown in the status, beside the record.
    pub fn watch(
        client: &Client,
        scope: &Scope,
        show: impl Fn(&K, &Record, News<'_>) -> Map<String, Value> + Send + Sync + 'static,
    ) -> (Self, CachesTask, BoxStream<'static, ObjectRef<K>>) {
        let (cluster, task, looks) = Cluster::watch(client, scope);
        let looks = looks.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
        (Self { cluster, show: Arc::new(show), entries: Entries::default() }, task, looks.boxed())
    }

    /// What the watches have brought in.
    #[must_use]
    pub fn caches(&self) -> Arc<Caches> {
        Arc::clone(self.cluster.caches())
    }

    /// The rollouts of this object, `None` when it has no namespace or is being deleted: what was made belongs to
    /// it, and goes with it.
    pub fn of(&self, object: &Arc<K>) -> Option<Arc<tokio::sync::Mutex<Rollout<K>>>> {
        let owner = Owner::of(&**object)?;
        let key = key(&owner);
        if object.meta().deletion_timestamp.is_some() {
            self.forget_key(&key);
            return None;
        }
        let uid = owner.uid.clone();
        Some(self.entries.get(&key, &uid, || {
            Rollout::new(Arc::clone(&self.cluster), owner, Arc::clone(object), Arc::clone(&self.show))
        }))
    }

    /// This object is gone: whoever looks for it finds out (`ObjectNotFound` of the runtime's controller).
    pub fn forget<T: Lookup>(&self, gone: &ObjectRef<T>) {
        self.forget_key(&(gone.namespace.as_deref().unwrap_or_default().into(), gone.name.as_str().into()));
    }

    fn forget_key(&self, key: &Key) {
        self.entries.remove(key);
        self.cluster.forget(key);
    }
}

/// One of each object.
pub(crate) struct Entries<T>(Mutex<HashMap<Key, Entry<T>>>);

struct Entry<T> {
    uid: String,
    entry: Arc<tokio::sync::Mutex<T>>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Entries<T> {
    /// That of the object with this identity, made where it is the first look at it.
    pub(crate) fn get(&self, key: &Key, uid: &str, make: impl FnOnce() -> T) -> Arc<tokio::sync::Mutex<T>> {
        let mut all = self.all();
        match all.get(key) {
            Some(known) if known.uid == uid => Arc::clone(&known.entry),
            // the first, or another object of the same name
            _ => {
                let entry = Arc::new(tokio::sync::Mutex::new(make()));
                all.insert(key.clone(), Entry { uid: uid.to_owned(), entry: Arc::clone(&entry) });
                entry
            }
        }
    }

    pub(crate) fn remove(&self, key: &Key) {
        self.all().remove(key);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Entry<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_entry_and_another_of_its_name_has_its_own() {
        let (entries, key): (Entries<u32>, Key) = (Entries::default(), ("shop".into(), "a".into()));
        let read = |uid: &str, made: u32| *entries.get(&key, uid, || made).try_lock().unwrap();
        assert_eq!((read("u1", 1), read("u1", 2)), (1, 1));
        assert_eq!((read("u2", 3), read("u2", 4)), (3, 3));
        entries.remove(&key);
        assert_eq!(read("u2", 5), 5);
    }
}
