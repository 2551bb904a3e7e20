//! What others see of the supervisor's work.

use std::path::PathBuf;

use lifecycle_core::backend::{GroupStatus, Token};
use lifecycle_core::version::Revision;

use crate::proxy::{Effective, EndpointState};

/// One replica, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Its number; never used again.
    pub id: u64,
    /// What it runs.
    pub revision: Revision,
    /// How it is.
    pub state: ReplicaState,
    /// Its process, when there is one.
    pub pid: Option<u32>,
    /// Where it listens on loopback.
    pub port: u16,
    /// How often its process was started.
    pub starts: u32,
    /// Failed readiness verdicts.
    pub failed_attempts: u32,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// What it writes.
    pub log: PathBuf,
    /// What the proxy calls it.
    pub(crate) endpoint: String,
}

/// How a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaState {
    /// Its process runs and is not ready.
    Starting,
    /// Its readiness probe passes.
    Ready,
    /// Its process ended; it is started again after a wait.
    Waiting,
    /// It failed its liveness probe and is being started again.
    Restarting,
    /// It was asked to stop.
    Stopping,
}

/// The newest wish for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupWish {
    pub(crate) revision: Revision,
    pub(crate) replicas: u32,
    pub(crate) token: Token,
}

/// Everything at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) wishes: Vec<GroupWish>,
    pub(crate) replicas: Vec<ReplicaStatus>,
    /// What keeps all groups from growing: a full disk.
    pub(crate) trouble: Option<String>,
}

impl Snapshot {
    /// The groups, given the table in effect.
    pub(crate) fn groups(&self, effective: Option<&Effective>) -> Vec<GroupStatus> {
        let mut groups: Vec<GroupStatus> = self
            .wishes
            .iter()
            .map(|wish| {
                let mut group = GroupStatus::empty(wish.revision.clone());
                group.desired = wish.replicas;
                group.token = wish.token;
                group
            })
            .collect();
        for replica in &self.replicas {
            let known = groups.iter().position(|group| group.revision.hash == replica.revision.hash);
            let i = known.unwrap_or_else(|| {
                groups.push(GroupStatus::empty(replica.revision.clone()));
                groups.len() - 1
            });
            count(&mut groups[i], replica, effective);
        }
        for group in &mut groups {
            if group.created < group.desired && group.trouble.is_none() {
                group.trouble.clone_from(&self.trouble);
            }
        }
        groups
    }
}

fn count(group: &mut GroupStatus, replica: &ReplicaStatus, effective: Option<&Effective>) {
    if replica.state == ReplicaState::Stopping {
        group.terminating += 1;
        return;
    }
    group.created += 1;
    group.failed_attempts = group.failed_attempts.max(replica.failed_attempts);
    if replica.state == ReplicaState::Ready {
        group.ready += 1;
        let routed = effective.is_some_and(|effective| {
            effective
                .table
                .endpoints
                .iter()
                .any(|e| e.id == replica.endpoint && e.state == EndpointState::Ready)
        });
        group.available += u32::from(routed);
    } else if replica.trouble.is_some() {
        group.trouble.clone_from(&replica.trouble);
    }
}
