//! Showing what is: to the proxy, and to whoever observes.

use std::path::PathBuf;

use lifecycle_core::version::Revision;

use super::ledger::endpoint_id;
use super::status::{GroupWish, ReplicaState, ReplicaStatus, Snapshot};
use super::supervisor::{Phase, Runtime, Supervisor};
use crate::proxy::{EndpointDocument, EndpointState};

impl Supervisor {
    /// Shows what is: to the proxy, and to whoever observes.
    /// Answers with the generation of the proxy's table that takes it into account.
    pub(super) fn publish(&mut self) -> u64 {
        let mut endpoints = Vec::new();
        let mut replicas = Vec::new();
        for (&id, replica) in &self.ledger.replicas {
            let (Some(runtime), Some(revision)) = (self.runtimes.get(&id), self.revision(&replica.hash))
            else {
                continue;
            };
            let state = state(runtime);
            let endpoint = endpoint_id(id, replica.starts);
            if runtime.listed && replica.process.is_some() {
                let used =
                    if state == ReplicaState::Ready { EndpointState::Ready } else { EndpointState::Leaving };
                endpoints.push(EndpointDocument::new(
                    endpoint.clone(),
                    revision.clone(),
                    replica.addr(),
                    used,
                ));
            }
            replicas.push(ReplicaStatus {
                id,
                revision,
                state,
                pid: replica.process.map(|process| process.pid),
                port: replica.port,
                starts: replica.starts,
                failed_attempts: replica.failed_attempts,
                trouble: runtime.trouble.clone(),
                log: self.log(id, &replica.hash),
                endpoint,
            });
        }
        let generation = self.settings.writer.set_endpoints(endpoints);
        let wishes = self.ledger.groups.values();
        let wishes =
            wishes.map(|g| GroupWish { revision: g.revision.clone(), replicas: g.replicas, token: g.token });
        let trouble = self.retry.as_ref().map(|(_, why)| why.clone());
        let snapshot = Snapshot { wishes: wishes.collect(), replicas, trouble };
        self.snapshot.send_if_modified(|shown| {
            let changed = *shown != snapshot;
            *shown = snapshot;
            changed
        });
        generation
    }

    pub(super) fn revision(&self, hash: &str) -> Option<Revision> {
        self.ledger.groups.get(hash).map(|group| group.revision.clone())
    }

    pub(super) fn log(&self, id: u64, hash: &str) -> PathBuf {
        let version =
            self.ledger.groups.get(hash).map(|group| group.revision.version.to_string()).unwrap_or_default();
        self.settings.logs.join(format!("{version}-{hash}-r{id}.log"))
    }
}

const fn state(runtime: &Runtime) -> ReplicaState {
    match runtime.phase {
        Phase::Waiting(_) => ReplicaState::Waiting,
        Phase::Running if runtime.ready => ReplicaState::Ready,
        Phase::Running => ReplicaState::Starting,
        Phase::Restarting => ReplicaState::Restarting,
        Phase::Stopping => ReplicaState::Stopping,
    }
}
