//! Pods without processes: one status and one deletion each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::address::reported;
use super::facts::{Facts, State, now};
use super::pod::{delete, patch};
use super::shared::Shared;
use super::status::{Look, status};

/// What was done for each pod, by uid.
#[derive(Debug)]
pub(super) struct Marks {
    shared: Arc<Shared>,
    calls: Arc<Semaphore>,
    by_uid: BTreeMap<String, Mark>,
}

#[derive(Debug)]
struct Mark {
    address: Ipv4Addr,
    deleted: bool,
}

impl Marks {
    pub(super) const fn new(shared: Arc<Shared>, calls: Arc<Semaphore>) -> Self {
        Self { shared, calls, by_uid: BTreeMap::new() }
    }

    /// Marks a pod of this node Ready after this time, or takes it away, each once.
    pub(super) fn see(&mut self, tasks: &mut JoinSet<()>, uid: String, pod: Pod, after: Duration) {
        let (shared, calls) = (Arc::clone(&self.shared), Arc::clone(&self.calls));
        if pod.metadata.deletion_timestamp.is_some() {
            let mark = self.by_uid.get_mut(&uid);
            if mark.is_some_and(|mark| std::mem::replace(&mut mark.deleted, true)) {
                return;
            }
            tasks.spawn(async move {
                let _permit = calls.acquire().await;
                delete(&shared, &pod).await;
            });
            return;
        }
        if self.by_uid.contains_key(&uid) {
            return;
        }
        let Some(address) = shared.addresses.take() else {
            return tracing::error!(uid, "no address is left for a pod");
        };
        self.by_uid.insert(uid, Mark { address, deleted: false });
        tasks.spawn(async move {
            tokio::time::sleep(after).await;
            let _permit = calls.acquire().await;
            mark(&shared, &pod, address).await;
        });
    }

    pub(super) fn remove(&mut self, uid: &str) {
        if let Some(mark) = self.by_uid.remove(uid) {
            self.shared.addresses.give_back(mark.address);
        }
    }

    /// Forgets those that are not among these.
    pub(super) fn retain(&mut self, listed: &BTreeSet<String>) {
        let gone: Vec<String> = self.by_uid.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        gone.iter().for_each(|uid| self.remove(uid));
    }
}

async fn mark(shared: &Shared, pod: &Pod, address: Ipv4Addr) {
    let since = now();
    let ready = Facts { state: State::Running { since }, ready: true, started: true, ..Facts::new() };
    let facts = vec![ready; pod.spec.as_ref().map_or(0, |spec| spec.containers.len())];
    let look = Look {
        pod,
        pod_ip: reported(address),
        host_ip: shared.host_ip(),
        since,
        facts: &facts,
        evicted: None,
    };
    patch(shared, pod, &status(&look, pod.status.as_ref(), since)).await;
}
