//! Replica groups by revision.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{BackendResult, Token};
use crate::time::Millis;
use crate::version::Revision;

/// Replica groups by revision, their sizes and readiness.
///
/// # Contract
/// - [`scale`](Self::scale) records the wished size of one group; creating and stopping replicas
///   may go on after it returned. A dead replica is replaced until the group has its size again.
/// - A wish with a token lower than the recorded one is ignored. A wish with the recorded token is
///   a repetition and changes nothing (but repairs a size that somebody else changed).
/// - Shrinking stops replicas that are not ready first. A replica that is asked to stop leaves the
///   load balancing at once, finishes the requests it has for the wish's `drain`, and is gone after
///   that. It no longer counts as created, ready or available; it counts as `terminating`.
/// - [`observe`](Self::observe) answers with every group that has a recorded wish (be it for 0
///   replicas), a replica, or a terminating replica. It reports a wish's token only once `created` takes that wish into
///   account (on Kubernetes: observedGeneration has caught up).
/// - A group belongs to the target by an identity of the backend (uid, pid and start time), never
///   by its name alone.
///
/// # Errors
/// [`ErrorKind::Conflict`](super::ErrorKind::Conflict) when the object changed since it was last
/// observed; the machine observes again and repeats the wish.
#[async_trait]
pub trait Workload: Send + Sync + Debug {
    /// What this backend can do.
    fn capabilities(&self) -> WorkloadCapabilities {
        WorkloadCapabilities::default()
    }

    /// All groups as they are now.
    async fn observe(&self) -> BackendResult<Vec<GroupStatus>>;

    /// Wishes for one group to have this size.
    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()>;
}

/// What a [`Workload`] can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkloadCapabilities {
    /// Can old and new replicas run at the same time? (A host port or an exclusive volume forbids
    /// it: then only recreate is possible.)
    pub side_by_side: bool,
}

impl Default for WorkloadCapabilities {
    fn default() -> Self {
        Self { side_by_side: true }
    }
}

/// "The group of this revision shall have this many replicas."
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScaleWish {
    /// Which group.
    pub revision: Revision,
    /// Its size.
    pub replicas: u32,
    /// Order of this wish among all writes of the target.
    pub token: Token,
    /// How long a replica that is stopped may finish the requests it has.
    pub drain: Millis,
}

impl ScaleWish {
    /// A wish for this size.
    #[must_use]
    pub fn new(revision: Revision, replicas: u32, token: Token, drain: Millis) -> Self {
        Self { revision, replicas, token, drain }
    }
}

/// One replica group as a backend sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Which revision it runs.
    pub revision: Revision,
    /// Token of the newest wish that `desired` and `created` take into account.
    pub token: Token,
    /// The recorded size.
    pub desired: u32,
    /// Replicas that exist and have not been asked to stop.
    pub created: u32,
    /// Of these, replicas that pass their readiness probe.
    pub ready: u32,
    /// Of these, replicas that the load balancing uses.
    pub available: u32,
    /// Replicas that were asked to stop and are not gone yet.
    pub terminating: u32,
    /// The highest number of failed readiness verdicts of any created replica. A verdict is
    /// `failureThreshold` failed probes in a row after the process has started.
    pub failed_attempts: u32,
    /// Why replicas do not come up, when the backend knows (image cannot be pulled, command not
    /// found); shown to people.
    pub trouble: Option<String>,
}

impl GroupStatus {
    /// An empty group: nothing created, nothing wished.
    #[must_use]
    pub fn empty(revision: Revision) -> Self {
        Self {
            revision,
            token: Token::default(),
            desired: 0,
            created: 0,
            ready: 0,
            available: 0,
            terminating: 0,
            failed_attempts: 0,
            trouble: None,
        }
    }
}
