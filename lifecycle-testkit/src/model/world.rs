//! One state of the model, and what may happen next.

use lifecycle_core::machine::State;

use super::env::Env;

/// One state of the model: the driver's memory, the store, and the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct World {
    /// What the driver holds in memory.
    pub memory: State,
    /// What a driver would load after a crash.
    pub stored: State,
    /// The world.
    pub(super) env: Env,
    /// Which version the newest spec asks for: 1, 2 or 3.
    pub(super) asked: u8,
    pub(super) faults: u8,
    pub(super) commands: u8,
    pub(super) ids: u8,
    pub(super) pending: Option<Said>,
    /// The first property that was broken on the way here.
    pub(super) broken: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said {
    Abort,
    PromoteFull,
    Rollback,
    Pause,
    Resume,
    Retry,
}

pub(super) const SAID: [Said; 6] =
    [Said::Abort, Said::PromoteFull, Said::Rollback, Said::Pause, Said::Resume, Said::Retry];

/// One step of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Move {
    /// The driver ticks; its checks say this, and it dies after so many effects were sent.
    Tick {
        /// What the checks say.
        look: Look,
        /// It dies after this many effects.
        dies_after: Option<usize>,
    },
    /// A write takes effect.
    Deliver(usize),
    /// A write is lost.
    Lose(usize),
    /// A write takes effect, and will once more.
    Repeat(usize),
    /// A replica of this version becomes ready.
    Ready(u8),
    /// Replicas of this version that were asked to stop are gone.
    Gone(u8),
    /// A ready replica of this version dies and is replaced.
    Kill(u8),
    /// The spec asks for version 3 (or for the version before).
    Ask(u8),
    /// A person says something.
    Say(u8),
}

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Look {
    /// They pass.
    Pass,
    /// They fail.
    Fail,
    /// There is no data.
    Dark,
}

impl World {
    /// The first property that was broken on the way here, and how.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}
