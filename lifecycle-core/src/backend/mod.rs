//! What a backend must provide. Each trait has a written contract and a conformance suite in
//! `lifecycle-testkit`; all are dyn-compatible and held as `Arc<dyn _>`.
//!
//! Common to all of them:
//! - **A write is a wish with a [`Token`], and is acknowledged by observation, not by its return
//!   value.** Repeating a wish is harmless. A backend remembers the highest token it has recorded
//!   for an object and ignores a wish with a lower one: that fences off a late writer.
//! - **Cancel safety**: dropping the future of a call leaves the write done or not done, never half.
//! - **Deadline**: a call that cannot be answered returns [`ErrorKind::Transient`] within a few
//!   seconds; it never waits for the world to change.
//! - [`BackendError::kind`] is what callers branch on.

mod effects;
mod error;
mod health;
mod router;
pub mod store;
mod versions;
mod workload;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::stats::Counts;
pub use effects::{Alert, AlertKind, EffectKey, Hook, HookCall, HookOutcome, HookPoint, Notifier, Severity};
pub use error::{BackendError, BackendResult, ErrorKind};
pub use health::{
    Counted, HealthCapabilities, HealthQuery, HealthSource, Histogram, Increase, Mark, Reading, Signal, Span,
};
pub use router::{Route, RouteStatus, RouteWish, RouterCapabilities, Splitting, TrafficRouter};
pub use store::{News, Record, RolloutStore, StoreVersion, Stored};
pub use versions::{Release, VersionRegistry};
pub use workload::{GroupStatus, ScaleWish, Workload, WorkloadCapabilities};

/// Orders the writes of one rollout target. Grows with every new wish; a repeated wish keeps its
/// token. An observation carries the token of the newest wish that took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The backends of one rollout target. Only a workload and a store are needed; a plan that needs
/// what is missing is refused before anything moves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Backends {
    /// Replica groups.
    pub workload: Arc<dyn Workload>,
    /// Where the rollout's state is kept.
    pub store: Arc<dyn RolloutStore>,
    /// The split of traffic; without one the share of replicas is the share of traffic.
    pub router: Option<Arc<dyn TrafficRouter>>,
    /// Measurements for analysis.
    pub health: Option<Arc<dyn HealthSource>>,
    /// Runs hooks.
    pub hooks: Option<Arc<dyn Hook>>,
    /// Receives alerts.
    pub notifier: Option<Arc<dyn Notifier>>,
}

impl Backends {
    /// The two that every rollout needs.
    #[must_use]
    pub fn new(workload: Arc<dyn Workload>, store: Arc<dyn RolloutStore>) -> Self {
        Self { workload, store, router: None, health: None, hooks: None, notifier: None }
    }

    /// With a traffic router.
    #[must_use]
    pub fn router(mut self, router: Arc<dyn TrafficRouter>) -> Self {
        self.router = Some(router);
        self
    }

    /// With a source of measurements.
    #[must_use]
    pub fn health(mut self, health: Arc<dyn HealthSource>) -> Self {
        self.health = Some(health);
        self
    }

    /// With a runner of hooks.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn Hook>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// With a receiver of alerts.
    #[must_use]
    pub fn notifier(mut self, notifier: Arc<dyn Notifier>) -> Self {
        self.notifier = Some(notifier);
        self
    }
}
