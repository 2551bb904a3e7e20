//! The rollout machine: pure, total, deterministic.
//!
//! [`step`] takes a plan, a state, the time and what was observed, and says what the new state is,
//! what to ask of the backends, what to tell people, and when to step again. It does no I/O, reads
//! no clock, draws no random number, never panics and has no error to return: a backend that could
//! not answer is an observation too.
//!
//! How a step flows, file by file:
//! - `absorb`: what was observed goes into the state (acknowledgements narrow what may still happen);
//! - `follow`, `obey`: the spec and the commands of people;
//! - one file a phase (`healthy`, `progressing`, `promoting`, `aborting`, `degraded`): where the
//!   rollout goes next, and the goal in replicas and weight; `gate` and `hooks` say when;
//! - `mover`: the next safe wishes towards that goal. The safety properties live here.

mod absorb;
mod back;
mod command;
mod event;
mod follow;
mod gate;
mod hooks;
mod io;
mod look;
mod mover;
mod obey;
mod phase;
mod state;
mod step;
mod turn;

#[cfg(test)]
mod tests;

pub use command::{Command, CommandKind};
pub use event::{BackReason, Event, EventKind, PauseCause};
pub use io::{Action, Arm, Desired, EffectOutcome, Measured, Observation, RouteSeen, Transition};
pub use look::Look;
pub use state::{
    Ended, Group, Kept, Known, Next, Outcome, Phase, Progress, RouteState, RunningHook, Seen, State, Way,
};
pub use step::{queries, step, step_explained};
