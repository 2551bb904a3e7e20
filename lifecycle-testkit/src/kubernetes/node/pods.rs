//! The pods of a node, by uid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, watch};

/// What a node knows of one of its pods.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    /// For its task: the newest object, `None` once it is gone.
    pub(super) object: watch::Sender<Option<Arc<Pod>>>,
    /// For its task: messages of evictions.
    pub(super) evictions: mpsc::UnboundedSender<String>,
}

/// The pods of a node, by uid. An entry stays until the object is gone, so that a late look at the object does
/// not start the pod again.
#[derive(Debug, Default)]
pub(super) struct Pods {
    by_uid: Mutex<BTreeMap<String, Entry>>,
}

impl Pods {
    /// Hands a newer object to its pod's task. `false`: there is none.
    pub(super) fn update(&self, uid: &str, pod: &Arc<Pod>) -> bool {
        match self.lock().get(uid) {
            Some(entry) => {
                entry.object.send_replace(Some(Arc::clone(pod)));
                true
            }
            None => false,
        }
    }

    pub(super) fn insert(&self, uid: String, entry: Entry) {
        self.lock().insert(uid, entry);
    }

    /// The object is gone: tells its task, and gives the address back that it had.
    pub(super) fn remove(&self, uid: &str) -> Option<Ipv4Addr> {
        let entry = self.lock().remove(uid)?;
        entry.object.send_replace(None);
        Some(entry.address)
    }

    /// Uids that are not among these.
    pub(super) fn others(&self, seen: &BTreeSet<String>) -> Vec<String> {
        self.lock().keys().filter(|uid| !seen.contains(*uid)).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// What this says of the newest pod of this name.
    pub(super) fn with<T>(
        &self,
        namespace: &str,
        name: &str,
        look: impl FnOnce(&str, &Entry) -> T,
    ) -> Option<T> {
        let pods = self.lock();
        let mut named = pods.iter().filter(|(_, entry)| entry.namespace == namespace && entry.name == name);
        named.next_back().map(|(uid, entry)| look(uid, entry))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
