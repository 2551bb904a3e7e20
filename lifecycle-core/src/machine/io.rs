//! What goes into a step and what comes out of it.

use std::sync::Arc;

use super::command::Command;
use super::event::Event;
use super::look::Look;
use super::state::State;
pub use crate::analysis::Arm;
use crate::backend::{
    Alert, EffectKey, GroupStatus, HookCall, HookOutcome, Reading, RouteStatus, RouteWish, ScaleWish, Signal,
    Span,
};
use crate::plan::Mode;
use crate::time::{Millis, Timestamp};
use crate::version::Version;

/// All that is known about the world at one time. What a backend could not answer is left unknown,
/// and the machine decides what that means.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// What the newest spec asks for; `None` when it could not be read (the last one holds).
    pub desired: Option<Desired>,
    /// All replica groups; `None` when the workload could not answer.
    pub groups: Option<Vec<GroupStatus>>,
    /// The route in effect.
    pub route: RouteSeen,
    /// Answers to [`queries`](super::queries), when a look was due.
    pub health: Vec<Measured>,
    /// How effects went since the last step.
    pub effects: Vec<EffectOutcome>,
    /// Commands since the last step.
    pub commands: Vec<Command>,
}

/// What the newest spec asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Desired {
    /// Identity of what shall run.
    pub hash: Arc<str>,
    /// The version people know it by.
    pub version: Version,
    /// The deployment's name, in alerts and in the keys of effects.
    pub name: Arc<str>,
    /// How many replicas.
    pub replicas: u32,
    /// Does the spec say `paused: true`?
    pub paused: bool,
    /// How the newest plan moves traffic. A rollout that is superseded by one of the same ratio
    /// mode goes on from where it is; every other goes back to stable first.
    pub mode: Mode,
}

impl Desired {
    /// A spec that asks for this, of a deployment without a name.
    #[must_use]
    pub fn new(hash: Arc<str>, version: Version, replicas: u32, mode: Mode) -> Self {
        Self { hash, version, name: "".into(), replicas, paused: false, mode }
    }

    /// Of the deployment with this name.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// With `paused` as the spec says.
    #[must_use]
    pub const fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }
}

/// What is known about the route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RouteSeen {
    /// There is no router: every ready replica gets an equal share.
    #[default]
    NoRouter,
    /// The router could not answer.
    Unknown,
    /// The route in effect; `None` when none was ever set.
    At(Option<RouteStatus>),
}

/// One answer of a health source.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// What was measured.
    pub signal: Signal,
    /// Whose.
    pub arm: Arm,
    /// The answer, or why there is none (for people).
    pub reading: Result<Reading, String>,
    /// The span of time that was asked for.
    pub span: Span,
}

impl Measured {
    /// An answer of a trailing window of unknown length, which makes no rate.
    #[must_use]
    pub const fn new(signal: Signal, arm: Arm, reading: Result<Reading, String>) -> Self {
        Self { signal, arm, reading, span: Span::Window(Millis::ZERO) }
    }

    /// Of this span of time.
    #[must_use]
    pub const fn over(mut self, span: Span) -> Self {
        self.span = span;
        self
    }
}

/// How an effect went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EffectOutcome {
    /// A hook answered.
    Hook(EffectKey, HookOutcome),
    /// An alert was delivered.
    Alerted(EffectKey),
}

/// An idempotent wish. It is repeated until an observation acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Change the size of a replica group.
    Scale(ScaleWish),
    /// Change where requests go.
    Route(RouteWish),
    /// Run a hook, or ask how it went.
    RunHook(HookCall),
    /// Tell people.
    Notify(Alert),
}

/// What a step decided.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Transition {
    /// The new state; save it before the actions are applied.
    pub state: State,
    /// Wishes, in the order in which they are to be applied.
    pub actions: Vec<Action>,
    /// Decisions, for people.
    pub events: Vec<Event>,
    /// What each look said about each check, and why there was none; empty unless it was
    /// [asked for](super::step_explained).
    pub looks: Vec<Look>,
    /// When to step again at the latest, `None` when only an event can change anything.
    pub wake_at: Option<Timestamp>,
    /// Must the state be saved? `false` when only the clocks inside it went on: losing those makes a
    /// bake longer, never shorter.
    pub save: bool,
}
