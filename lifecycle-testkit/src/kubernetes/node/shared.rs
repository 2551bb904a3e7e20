//! What all tasks of a node have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use lifecycle_local::supervise::{Launch, LaunchError, ProcessId};
use tokio::sync::watch;

use super::address::{Addresses, reported};
use super::faults::Faults;
use super::image::Pulls;
use super::options::NodeOptions;
use super::pods::Pods;

/// What keeps a node from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    On,
    /// Its processes run; it and the API server do not hear from each other.
    CutOff,
    /// Nothing runs.
    Off,
}

/// What all tasks of a node have in common.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) options: NodeOptions,
    /// Begins the token of every process.
    pub(super) token: String,
    /// Logs and kubeconfigs.
    pub(super) dir: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) pulls: Pulls,
    pub(super) faults: Faults,
    pub(super) power: watch::Sender<Power>,
    pub(super) pods: Pods,
    /// Processes by the token of their start. `None` once the node has ended: nothing is started any more.
    processes: Mutex<Option<BTreeMap<String, ProcessId>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        client: Client,
        options: NodeOptions,
        token: String,
        dir: PathBuf,
        addresses: Addresses,
    ) -> Self {
        Self {
            client,
            options,
            token,
            dir,
            addresses,
            pulls: Pulls::default(),
            faults: Faults::default(),
            power: watch::Sender::new(Power::On),
            pods: Pods::default(),
            processes: Mutex::new(Some(BTreeMap::new())),
        }
    }

    pub(super) fn api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The node's address as Kubernetes knows it.
    pub(super) const fn host_ip(&self) -> Ipv4Addr {
        reported(self.addresses.node())
    }

    /// Waits until the node hears from the API server.
    pub(super) async fn connected(&self) {
        // the sender is in `self`
        let _ = self.power.subscribe().wait_for(|power| *power == Power::On).await;
    }

    /// Waits until the node has power.
    pub(super) async fn powered(&self) {
        let _ = self.power.subscribe().wait_for(|power| *power != Power::Off).await;
    }

    /// Starts a process, unless the node has ended or has no power: `None`.
    pub(super) fn launch(&self, token: &str, launch: &Launch) -> Option<Result<ProcessId, LaunchError>> {
        let mut processes = self.lock();
        let processes = processes.as_mut().filter(|_| *self.power.borrow() != Power::Off)?;
        let launched = launch.start();
        if let Ok(process) = launched {
            processes.insert(token.to_owned(), process);
        }
        Some(launched)
    }

    /// The process of a start is gone.
    pub(super) fn forget(&self, token: &str) {
        if let Some(processes) = self.lock().as_mut() {
            processes.remove(token);
        }
    }

    /// Processes of the tokens that begin so.
    pub(super) fn running(&self, prefix: &str) -> Vec<(String, ProcessId)> {
        let processes = self.lock();
        let all = processes.iter().flatten().filter(|(token, _)| token.starts_with(prefix));
        all.map(|(token, process)| (token.clone(), *process)).collect()
    }

    /// Power off: nothing runs, and nothing is started until it is back.
    pub(super) fn switch_off(&self) {
        // under the lock, so that nothing is started after this look
        let processes = self.lock();
        self.power.send_replace(Power::Off);
        processes.iter().flatten().for_each(|(_, process)| process.kill());
    }

    /// From now on nothing is started.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, ProcessId>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
