//! The one mapping of the engine's state to the phase of the resource.

use lifecycle_core::machine::{BackReason, Outcome, State};
use lifecycle_core::report::{WirePhase, wire_phase};

/// Where a rollout is, in the words of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing is deployed and nothing was started.
    Pending,
    /// A rollout is on its way, or waits for a person; also one that goes back because somebody asked
    /// for it.
    Deploying,
    /// What is asked for serves.
    Healthy,
    /// A rollout goes back because it failed, a first deployment has failed, or what serves is not
    /// healthy by itself.
    Unhealthy,
    /// Stable serves, and what was asked for last was rolled back or aborted.
    RolledBack,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Deploying, Self::Healthy, Self::Unhealthy, Self::RolledBack];

    /// The word that the status has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Deploying => "deploying",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// The phase of this state.
#[must_use]
pub fn phase(state: &State) -> Phase {
    match wire_phase(state) {
        WirePhase::Pending => Phase::Pending,
        WirePhase::Aborting if state.back.as_ref().is_some_and(BackReason::is_failure) => Phase::Unhealthy,
        WirePhase::Aborting => Phase::Deploying,
        WirePhase::Degraded if outcome(state) == Some(Outcome::Failed) || state.stable.is_none() => {
            Phase::Unhealthy
        }
        WirePhase::Degraded => Phase::RolledBack,
        WirePhase::Healthy if went_back_from_the_spec(state) => Phase::RolledBack,
        WirePhase::Healthy if !is_well(state) => Phase::Unhealthy,
        WirePhase::Healthy => Phase::Healthy,
        // progressing, paused, promoting
        _ => Phase::Deploying,
    }
}

fn outcome(state: &State) -> Option<Outcome> {
    state.last.as_ref().map(|ended| ended.outcome)
}

/// A rollback by command ends with an older revision promoted, while the spec asks for a newer one.
fn went_back_from_the_spec(state: &State) -> bool {
    let stable = state.stable.and_then(|number| state.revision(number));
    outcome(state) == Some(Outcome::RolledBack)
        && stable.is_some_and(|stable| Some(&stable.hash) != state.acted_on.as_ref())
}

/// Nothing is wrong with what serves at rest. Replicas that only start (after a restart, or as many are
/// added) are no harm while others serve.
fn is_well(state: &State) -> bool {
    let Some(group) = state.stable.and_then(|number| state.group(number)) else { return true };
    let whole = group.seen.ready >= group.wish;
    whole || (group.seen.ready > 0 && group.seen.failed_attempts == 0)
}
