//! The safety and liveness properties of a rollout, each a named function, checked at the boundary
//! between the driver and its backends: on what the driver was shown, what it saved, what it asked
//! for, and what then happened in the world.

mod liveness;
mod monitor;
pub(crate) mod safety;
pub(crate) mod view;

#[cfg(feature = "model")]
pub(crate) use view::share as share_of;

pub use monitor::{Monitor, Sometimes};

use lifecycle_core::backend::{
    Alert, BackendResult, GroupStatus, HealthQuery, HookCall, Reading, Record, Route, RouteStatus, RouteWish,
    ScaleWish,
};
use lifecycle_core::driver::Target;
use lifecycle_core::machine::Command;
use lifecycle_core::time::Timestamp;
use lifecycle_core::version::Revision;

/// One thing that happened at the boundary, or in the world behind it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Fact<'a> {
    /// The driver was given this spec (at its start, and at every newer one).
    Target(&'a Target),
    /// The driver was given this command.
    Command(&'a Command),
    /// The workload answered the driver.
    Observed(&'a [GroupStatus]),
    /// The router answered the driver.
    RouteObserved(Option<&'a RouteStatus>),
    /// The driver saved this (and the store accepted it).
    Saved(&'a Record),
    /// The driver asked for this size.
    Scale(&'a ScaleWish),
    /// The driver asked for this route.
    Route(&'a RouteWish),
    /// A health source answered the driver.
    Measured {
        /// What was asked.
        queries: &'a [HealthQuery],
        /// The answers, one per query.
        readings: &'a [BackendResult<Reading>],
    },
    /// The driver asked for this hook.
    Hook(&'a HookCall),
    /// The driver asked for this alert.
    Alert(&'a Alert),
    /// The world changed.
    World(&'a World),
    /// The driver died and lost its memory.
    Crashed {
        /// How many effects of its last tick were sent before.
        applied: usize,
    },
    /// From here on no fault happens any more.
    FaultsOver,
    /// The run is over.
    End(End),
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Nothing is left to do.
    Settled,
    /// A rollout waits for a person, and nobody comes.
    Waits,
    /// Time was up that somebody had set: whatever was on its way goes on.
    CutOff,
    /// There was always more to do, for longer than any rollout may take.
    GaveUp,
}

/// The true state of the world, which the driver may not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct World {
    /// Every group that has a replica.
    pub groups: Vec<WorldGroup>,
    /// The route in effect, `None` before the first.
    pub route: Option<Route>,
}

impl World {
    /// A world with these groups and this route.
    #[must_use]
    pub const fn new(groups: Vec<WorldGroup>, route: Option<Route>) -> Self {
        Self { groups, route }
    }
}

/// The true state of one replica group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorldGroup {
    /// Which revision.
    pub revision: Revision,
    /// Replicas that have not been asked to stop.
    pub created: u32,
    /// Of these, ready ones.
    pub ready: u32,
    /// Replicas that were asked to stop and are not gone.
    pub terminating: u32,
}

impl WorldGroup {
    /// A group with these counts.
    #[must_use]
    pub const fn new(revision: Revision, created: u32, ready: u32, terminating: u32) -> Self {
        Self { revision, created, ready, terminating }
    }
}

/// A property that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which property: `S1` to `S12`, `S16`, `L1` to `L5`, `L7`, `L8`. (S13, S14 and S15 compare two runs,
    /// and L6 is S1, S2, S5 and L1 of a run with a newer spec; S17 is for a backend that shares its world.)
    pub property: &'static str,
    /// What happened, with the numbers.
    pub message: String,
}
