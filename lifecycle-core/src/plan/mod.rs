//! A plan: what a strategy makes of a spec, and all that the machine needs to run a rollout.
//!
//! A plan is a *mode* (how traffic and replicas go together), limits, a bounded list of steps and
//! the rules of analysis. The way back needs no steps of its own: from every step it is "all
//! traffic to stable, stable whole, canary gone", without a gate.

mod build;
mod limits;
pub mod replicas;
mod weight;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use build::{PlanBuilder, PlanError};
pub use limits::{Amount, AmountError, Limits};
pub use weight::Weight;

use crate::analysis::AnalysisPlan;
use crate::backend::HookPoint;
use crate::time::Millis;

/// How many steps a plan may have. Bounds the state and the time a rollout can take.
pub const MAX_STEPS: usize = 64;

/// What a strategy makes of a spec. Built by [`PlanBuilder`] only, so a plan that exists is valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "build::PlanParts", into = "build::PlanParts")]
pub struct Plan {
    pub(crate) strategy: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) surge: Amount,
    pub(crate) unavailable: Amount,
    pub(crate) steps: Arc<[Hold]>,
    pub(crate) retire: Retire,
    pub(crate) analysis: Arc<AnalysisPlan>,
    pub(crate) hooks: Arc<[PlannedHook]>,
    pub(crate) drain: Millis,
    pub(crate) progress_deadline: Millis,
    pub(crate) readiness_attempts: Option<u32>,
    pub(crate) history_limit: u32,
    pub(crate) page_on_rollback: bool,
}

/// How traffic and replicas go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Mode {
    /// Every ready replica gets an equal share: the weight is the share of replicas, moved within
    /// surge and unavailable.
    Ratio,
    /// A router carries the weight; stable stays whole until promotion, so that going back is one
    /// route change.
    Routed {
        /// Stable shrinks as the weight grows: fewer replicas, and a way back that must follow
        /// stable's return.
        dynamic_stable: bool,
    },
    /// Old and new never run together (downtime accepted).
    Exclusive,
}

/// One step: bring the canary to a size, give it a share of traffic, hold it there until the gate
/// passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Hold {
    /// Size of the canary group.
    pub size: Size,
    /// Share of traffic.
    pub weight: Weight,
    /// How long the gate must hold, counting only time with data.
    pub bake: Millis,
    /// Are the checks of the plan part of this step's gate?
    pub gate: bool,
    /// Does a person have to promote out of this step?
    pub approval: bool,
}

impl Hold {
    /// A step with this weight and the replicas that carry it, gated by the plan's checks.
    #[must_use]
    pub const fn new(weight: Weight, bake: Millis) -> Self {
        Self { size: Size::Share(weight), weight, bake, gate: true, approval: false }
    }

    /// With a canary of another size than its weight asks for.
    #[must_use]
    pub const fn size(mut self, size: Size) -> Self {
        self.size = size;
        self
    }

    /// Without checks: readiness and hooks are the gate.
    #[must_use]
    pub const fn ungated(mut self) -> Self {
        self.gate = false;
        self
    }

    /// With a person's approval as part of the gate.
    #[must_use]
    pub const fn approval(mut self, approval: bool) -> Self {
        self.approval = approval;
        self
    }
}

/// Size of the canary group in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Size {
    /// `ceil(percent / 100 * N)`, at least 1 when the percentage is above 0.
    Share(Weight),
    /// This many, whatever N is.
    Exactly(u32),
}

impl Size {
    /// Replicas, when `n` are desired in all.
    #[must_use]
    pub fn of(self, n: u32) -> u32 {
        match self {
            Self::Share(share) => share.of(n),
            Self::Exactly(replicas) => replicas,
        }
    }
}

/// What happens to the old revision after promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Retire {
    /// It keeps its replicas this long.
    pub after: Millis,
    /// It is kept for a fast rollback this long (its replicas may be gone).
    pub keep: Millis,
    /// Do both times count from the acknowledged switch, or from promotion?
    pub from_switch: bool,
}

impl Retire {
    /// Scaled down `after` the promotion.
    #[must_use]
    pub const fn after_promotion(after: Millis) -> Self {
        Self { after, keep: after, from_switch: false }
    }

    /// Scaled down `after` the switch, kept for rollback until `keep` after the switch.
    #[must_use]
    pub const fn after_switch(after: Millis, keep: Millis) -> Self {
        Self { after, keep, from_switch: true }
    }
}

/// A hook and what its failure means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PlannedHook {
    /// When it runs.
    pub on: HookPoint,
    /// What is called.
    pub url: Arc<str>,
    /// How long it may take.
    pub timeout: Millis,
    /// Does its failure abort the rollout (or is it only reported)?
    pub aborts: bool,
}

impl PlannedHook {
    /// A hook at this point.
    #[must_use]
    pub const fn new(on: HookPoint, url: Arc<str>, timeout: Millis, aborts: bool) -> Self {
        Self { on, url, timeout, aborts }
    }
}

impl Plan {
    /// Name of the strategy it came from.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.strategy
    }

    /// How traffic and replicas go together.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Hold] {
        &self.steps
    }

    /// What happens to the old revision after promotion.
    #[must_use]
    pub const fn retire(&self) -> Retire {
        self.retire
    }

    /// The rules of analysis.
    #[must_use]
    pub fn analysis(&self) -> &AnalysisPlan {
        &self.analysis
    }

    /// The hooks, in the order in which hooks of one point run.
    #[must_use]
    pub fn hooks(&self) -> &[PlannedHook] {
        &self.hooks
    }

    /// How long a replica that is stopped may finish the requests it has.
    #[must_use]
    pub const fn drain(&self) -> Millis {
        self.drain
    }

    /// How long the rollout may make no progress.
    #[must_use]
    pub const fn progress_deadline(&self) -> Millis {
        self.progress_deadline
    }

    /// After this many failed readiness verdicts of one new replica the rollout goes back.
    #[must_use]
    pub const fn readiness_attempts(&self) -> Option<u32> {
        self.readiness_attempts
    }

    /// How many old revisions are remembered.
    #[must_use]
    pub const fn history_limit(&self) -> u32 {
        self.history_limit
    }

    /// Is a rollback of this plan an alert that wakes somebody up?
    #[must_use]
    pub const fn page_on_rollback(&self) -> bool {
        self.page_on_rollback
    }

    /// Surge and unavailable in replicas, when `n` are desired.
    #[must_use]
    pub fn limits(&self, n: u32) -> Limits {
        Limits::resolve(self.surge, self.unavailable, n)
    }

    /// Surge as it was written.
    #[must_use]
    pub const fn surge(&self) -> Amount {
        self.surge
    }

    /// Unavailable as it was written.
    #[must_use]
    pub const fn unavailable(&self) -> Amount {
        self.unavailable
    }

    /// The highest number of replicas that may be asked for in all while the canary's step has this
    /// size (property S2).
    #[must_use]
    pub fn ceiling(&self, n: u32, canary: u32) -> u32 {
        match self.mode {
            Mode::Ratio => n.saturating_add(self.limits(n).surge),
            Mode::Routed { .. } => n.saturating_add(canary),
            Mode::Exclusive => n,
        }
    }
}
