//! Probes that are made to fail or to wait.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProbeKind {
    /// Does it get requests?
    Readiness,
    /// Does it live?
    Liveness,
    /// Has it started?
    Startup,
}

/// What is done to the probes of a node.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// By namespace, pod and kind.
    failing: Mutex<BTreeSet<(String, String, ProbeKind)>>,
    held: watch::Sender<bool>,
}

impl Faults {
    pub(super) fn fail(&self, namespace: &str, pod: &str, kind: ProbeKind) {
        self.lock().insert((namespace.to_owned(), pod.to_owned(), kind));
    }

    pub(super) fn heal(&self, namespace: &str, pod: &str) {
        self.lock().retain(|(of, name, _)| of != namespace || name != pod);
    }

    /// Does this probe fail, whatever the container answers?
    pub(super) fn fails(&self, namespace: &str, pod: &str, kind: ProbeKind) -> bool {
        let failing = self.lock();
        !failing.is_empty() && failing.contains(&(namespace.to_owned(), pod.to_owned(), kind))
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Waits while readiness is to stay as it is.
    pub(super) async fn released(&self) {
        // the sender is in `self`
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(String, String, ProbeKind)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
