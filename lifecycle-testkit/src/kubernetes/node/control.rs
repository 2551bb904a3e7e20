//! What can be asked of a node, and made to happen to its pods.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::error::NodeError;
use super::faults::ProbeKind;
use super::shared::{Power, Shared};
use super::{Node, pods};

/// How a node is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The machine is off: its processes are gone, and are started again when it is back.
    PowerOff,
    /// The network is gone: processes run on and are probed and restarted; nobody is told, and nothing that
    /// the API server says is heard.
    CutOff,
}

impl Node {
    /// Kills the processes of a pod with SIGKILL, as the system does when memory is short. They are started
    /// again as the pod's restart policy says.
    ///
    /// # Errors
    /// When there is no such pod, or nothing of it runs.
    pub fn kill(&self, namespace: &str, pod: &str) -> Result<(), NodeError> {
        let running = self.running(namespace, pod)?;
        running.iter().for_each(|process| process.kill());
        Ok(())
    }

    /// The process ids of a pod, by container in the order of its spec. Empty while nothing of it runs.
    ///
    /// # Errors
    /// When there is no such pod.
    pub fn pids(&self, namespace: &str, pod: &str) -> Result<Vec<u32>, NodeError> {
        match self.running(namespace, pod) {
            Ok(running) => Ok(running.iter().map(|process| process.pid()).collect()),
            Err(NodeError::NotRunning { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Where a pod listens: `127.a.b.c`.
    ///
    /// # Errors
    /// When there is no such pod.
    pub fn address(&self, namespace: &str, pod: &str) -> Result<Ipv4Addr, NodeError> {
        self.pod(namespace, pod, |_, entry| entry.address)
    }

    /// What a container has written so far, over all its starts.
    ///
    /// # Errors
    /// When it was never started.
    pub fn log(&self, namespace: &str, pod: &str, container: &str) -> Result<String, NodeError> {
        let path = self.shared.log(namespace, pod, container);
        let text = std::fs::read(&path).map_err(|source| NodeError::Log { path, source })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Evicts a pod as a node does that is short of something: its processes are killed, its phase is Failed,
    /// its reason `Evicted`. The object stays until somebody deletes it.
    ///
    /// # Errors
    /// When there is no such pod.
    pub fn evict(&self, namespace: &str, pod: &str, message: &str) -> Result<(), NodeError> {
        // a pod whose task has ended is about to go anyway
        self.pod(namespace, pod, |_, entry| drop(entry.evictions.send(message.to_owned())))
    }

    /// Loses the node: it does not renew its Lease, and says and hears nothing. Its pods are evicted after the
    /// time that they tolerate, unless all nodes of the cluster are lost. (Of nodes without a
    /// `topology.kubernetes.io/zone`, or with the same one, more than two and 55 % that are lost stop evictions too.)
    pub fn lose(&self, loss: Loss) {
        match loss {
            Loss::PowerOff => self.shared.switch_off(),
            Loss::CutOff => drop(self.shared.power.send_replace(Power::CutOff)),
        }
    }

    /// Ends [`Node::lose`].
    pub fn come_back(&self) {
        self.shared.power.send_replace(Power::On);
    }

    /// Makes a probe of a pod fail, whatever its containers answer, until [`Node::heal_probes`].
    pub fn fail_probes(&self, namespace: &str, pod: &str, kind: ProbeKind) {
        self.shared.faults.fail(namespace, pod, kind);
    }

    /// Ends [`Node::fail_probes`].
    pub fn heal_probes(&self, namespace: &str, pod: &str) {
        self.shared.faults.heal(namespace, pod);
    }

    /// Readiness stays as it is, for all pods: new ones do not get ready, others keep what they had. Until
    /// [`Node::release_readiness`].
    pub fn hold_readiness(&self) {
        self.shared.faults.hold(true);
    }

    /// Ends [`Node::hold_readiness`].
    pub fn release_readiness(&self) {
        self.shared.faults.hold(false);
    }

    /// Pulls of an image (`agent-app:1.5.0`), of a repository with all its tags (`agent-app`), or of
    /// everything (`""`) fail with this message, until [`Node::heal_pulls`]. An image that is on the node
    /// already is not pulled, unless the container's policy is `Always`.
    pub fn fail_pulls(&self, image: &str, message: &str) {
        self.shared.pulls.fail(image, message);
    }

    /// All pulls work again.
    pub fn heal_pulls(&self) {
        self.shared.pulls.heal();
    }

    fn running(
        &self,
        namespace: &str,
        pod: &str,
    ) -> Result<Vec<lifecycle_local::supervise::ProcessId>, NodeError> {
        let prefix = self.pod(namespace, pod, |uid, _| format!("{}.", self.shared.token_of(uid)))?;
        let running: Vec<_> = self.shared.running(&prefix).into_iter().map(|(_, process)| process).collect();
        if running.is_empty() {
            return Err(NodeError::NotRunning { namespace: namespace.to_owned(), pod: pod.to_owned() });
        }
        Ok(running)
    }

    fn pod<T>(
        &self,
        namespace: &str,
        pod: &str,
        look: impl FnOnce(&str, &pods::Entry) -> T,
    ) -> Result<T, NodeError> {
        self.shared.pods.with(namespace, pod, look).ok_or_else(|| NodeError::NoPod {
            node: self.shared.options.name.clone(),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
        })
    }
}

impl Shared {
    /// Begins the token of every process of a pod.
    pub(super) fn token_of(&self, uid: &str) -> String {
        format!("{}-{uid}", self.token)
    }

    /// Where a container's output goes.
    pub(super) fn log(&self, namespace: &str, pod: &str, container: &str) -> PathBuf {
        self.dir.join(format!("{namespace}_{pod}_{container}.log"))
    }
}
