//! The rollout machine.
pub mod command;
pub mod event;
mod io;
mod state;
mod step;
pub use command::{Command, CommandKind};
pub use event::{BackReason, Event, EventKind, PauseCause};
pub use io::{Action, Arm, Desired, EffectOutcome, Measured, Observation, RouteSeen, Transition};
pub use state::{Ended, Group, Known, Next, Outcome, Phase, Progress, RouteState, RunningHook, Seen, State, Way};
pub use step::{queries, step};
