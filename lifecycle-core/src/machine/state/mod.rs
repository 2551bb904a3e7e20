//! The state of one rollout target: small, comparable, serialisable. A crash anywhere is a reload.

mod group;
mod progress;
mod route;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use group::{Group, Seen};
pub use progress::Progress;
pub use route::{RouteState, Way};

use super::event::{BackReason, PauseCause};
use crate::backend::{Alert, EffectKey, Route, RouteStatus, Token};
use crate::plan::{Hold, Plan, Weight};
use crate::time::{Millis, Timestamp};
use crate::version::{Revision, RevisionNumber};

/// The state of one rollout target.
///
/// Every span of time in it is counted by the machine from the clock it is shown, never more than a
/// bounded amount per step, so that no clock jump shortens a bake, a drain or a keep window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct State {
    /// The deployment's name, as the spec said it last; empty when it has none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Arc<str>,
    /// Counts rollouts; grows with each one that starts.
    pub epoch: u32,
    /// Where the rollout is.
    pub phase: Phase,
    /// Why the rollout waits for a person, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseCause>,
    /// Desired number of replicas, as followed now.
    pub replicas: u32,
    /// The same as the spec said it last: a change there is followed, a `scale` command holds until
    /// then.
    pub spec_replicas: u32,
    /// Was `paused: true` in the spec the last time?
    #[serde(default, skip_serializing_if = "is_default")]
    pub spec_paused: bool,
    /// Identity of the newest spec that was acted on (or refused to be, as after a rollback).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_on: Option<Arc<str>>,
    /// Every revision that is known, by number.
    pub revisions: Arc<Vec<Known>>,
    /// The next revision number.
    pub next_revision: u32,
    /// The revision that serves, once one was promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionNumber>,
    /// The revision that is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<RevisionNumber>,
    /// What was asked of each replica group, and what is known of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What was asked of the router, and what is known of it.
    pub route: RouteState,
    /// The newest token that was used.
    pub token: Token,
    /// How far the rollout is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress: Progress,
    /// Why the rollout goes back, from the decision on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BackReason>,
    /// What is to be rolled out once the way back is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// The revision that was stable before, while it is kept for a fast rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// How the last rollout ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Ended>,
    /// The hook that runs, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<RunningHook>,
    /// Alerts that were not delivered yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Counts alerts: each has a key of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alerted: u32,
    /// Ids of the newest commands: each is carried out once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen_commands: Vec<Arc<str>>,
    /// What a backend said last about why replicas do not come up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Arc<str>>,
    /// Time since the state was saved last.
    #[serde(skip)]
    pub unsaved: Millis,
    /// When the machine stepped last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
}

/// Where a rollout is. Paused is not a phase: it is [`State::paused`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::exhaustive_enums,
    reason = "the machine is complete: whoever matches on it must know every case"
)]
pub enum Phase {
    /// Nothing to do: stable is what is asked for (or nothing was ever asked for).
    #[default]
    Healthy,
    /// The canary takes its steps.
    Progressing,
    /// Every gate has passed; the canary takes all traffic and becomes stable.
    Promoting,
    /// All traffic goes back to stable, the canary goes away.
    Aborting,
    /// Stable serves, but what was asked for last was not promoted.
    Degraded,
}

/// A revision and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Known {
    /// The revision.
    pub revision: Revision,
    /// Order of promotion: 0 was never promoted, else a higher number is newer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promoted: u32,
    /// Token that its group had when it was gone and forgotten; what carries a lower one is stale.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token: Token,
    /// Did it fail the last time it was rolled out?
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed: bool,
    /// Was it left by a rollback? A later one comes back to it only when it is named.
    #[serde(default, skip_serializing_if = "is_default")]
    pub left: bool,
}

/// The revision that was stable before, while it is kept for a fast rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Kept {
    /// Which revision.
    pub revision: RevisionNumber,
    /// It keeps its replicas until its group has had no traffic for this long.
    pub after: Millis,
    /// It is released after this long without traffic.
    pub keep: Millis,
}

/// What is to be rolled out once the way back is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Next {
    /// What the newest spec asks for.
    Spec,
    /// An older revision, by command.
    Rollback(RevisionNumber),
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// Why, for people.
    pub reason: Arc<str>,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Outcome {
    /// The new revision is stable.
    Promoted,
    /// A failed gate, a rollback, or an update back to stable's own revision: stable serves.
    RolledBack,
    /// The same, by the command `abort`.
    Aborted,
    /// There was nothing to go back to.
    Failed,
}

/// A hook that was started and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunningHook {
    /// Which hook of the plan.
    pub index: usize,
    /// The key of its calls.
    pub key: EffectKey,
    /// Time since it was started.
    #[serde(default, skip_serializing_if = "is_default")]
    pub waited: Millis,
}

impl State {
    /// A target that already serves `revision` with this many replicas, promoted healthy before the
    /// engine came.
    #[must_use]
    pub fn serving(version: crate::version::Version, hash: impl Into<Arc<str>>, replicas: u32) -> Self {
        let hash = hash.into();
        let number = RevisionNumber(1);
        Self {
            replicas,
            spec_replicas: replicas,
            acted_on: Some(Arc::clone(&hash)),
            revisions: Arc::new(vec![Known {
                revision: Revision::new(number, hash, version),
                promoted: 1,
                token: Token::default(),
                failed: false,
                left: false,
            }]),
            next_revision: 2,
            stable: Some(number),
            ..Self::default()
        }
    }

    /// Is a rollout on its way?
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Progressing | Phase::Promoting | Phase::Aborting)
    }

    /// The step that the rollout is in. A first deployment has one of its own: all replicas, all
    /// traffic, the absolute checks for one window.
    #[must_use]
    pub fn hold(&self, plan: &Plan) -> Hold {
        if self.stable.is_none() {
            return Hold::new(Weight::FULL, plan.analysis().window);
        }
        let last = plan.steps().len() - 1;
        plan.steps()[self.progress.step.min(last)]
    }

    /// The revision with this number.
    #[must_use]
    pub fn revision(&self, number: RevisionNumber) -> Option<&Revision> {
        self.known(number).map(|known| &known.revision)
    }

    /// What is known of the revision with this number.
    #[must_use]
    pub fn known(&self, number: RevisionNumber) -> Option<&Known> {
        self.revisions.iter().find(|known| known.revision.number == number)
    }

    /// What is known of the revision with this identity.
    #[must_use]
    pub fn by_hash(&self, hash: &str) -> Option<&Known> {
        self.revisions.iter().find(|known| *known.revision.hash == *hash)
    }

    /// A route as the router knows it.
    pub(super) fn route_of(&self, way: Way) -> Route {
        let revision =
            |number: Option<RevisionNumber>| number.and_then(|number| self.revision(number)).cloned();
        match way {
            Way::Balanced => Route::Balanced,
            Way::Split { stable, canary, weight } => {
                Route::Split { stable: revision(stable), canary: revision(canary), weight }
            }
        }
    }

    /// The route that is in effect, when it is the newest one that was asked for.
    #[must_use]
    pub fn settled_route(&self) -> Option<RouteStatus> {
        let route = &self.route;
        let way =
            route.acknowledged.filter(|_| route.acked == route.token && route.token > Token::default())?;
        Some(RouteStatus::new(self.route_of(way), route.token))
    }

    /// The share of the ready replicas that are of this revision, in percent, rounded.
    pub(crate) fn ready_share(&self, number: RevisionNumber) -> u32 {
        let ready = |group: &Group| u64::from(group.seen.ready);
        let all: u64 = self.groups.iter().map(ready).sum();
        let mine = self.group(number).map_or(0, ready);
        let share = (mine * 200 + all).checked_div(all * 2).unwrap_or(0);
        u32::try_from(share).unwrap_or(100)
    }

    /// The group of this revision.
    #[must_use]
    pub fn group(&self, number: RevisionNumber) -> Option<&Group> {
        self.groups.iter().find(|group| group.revision == number)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
