//! What people are shown: the status, rendered from the state of the engine. Pure; it decides nothing.
//!
//! ```
//! use k8s_openapi::jiff::Timestamp;
//! use lifecycle_core::machine::State;
//! use lifecycle_k8s::crd::AgentDeploymentStatus;
//! use lifecycle_k8s::status::{Seen, render};
//!
//! let state = State::serving("1.4.0".parse()?, "0a1b2c3d4e", 3);
//! let problem = Some(("NotFound", "there is no Service edge-agent"));
//! let seen = Seen { generation: Some(2), problem, ..Seen::of(&state) };
//! let status = render(&AgentDeploymentStatus::default(), seen, Timestamp::UNIX_EPOCH);
//! let degraded = status.conditions.iter().find(|condition| condition.type_ == "Degraded").unwrap();
//! assert_eq!((&*degraded.status, &*degraded.reason), ("True", "NotFound"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checks;
mod conditions;
mod phase;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use lifecycle_core::machine::State;
use lifecycle_core::plan::Plan;
use lifecycle_core::report::Status;
use lifecycle_core::version::RevisionNumber;

use crate::crd::{AgentDeploymentStatus, CheckStatus, CommandAnswer, Decision, RevisionStatus};

pub use checks::checks;
pub use phase::{Phase, phase};

/// The reason of a problem that the spec has to be changed for: it is not followed, and what was accepted
/// before goes on.
pub const SPEC_REFUSED: &str = "SpecRefused";

/// What a status is made of.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever renders, who must know what there is")]
pub struct Seen<'a> {
    /// The generation of the spec that all of it is about.
    pub generation: Option<i64>,
    /// The state of the engine.
    pub state: &'a State,
    /// The plan that it is on; it says how many replicas may be missing.
    pub plan: Option<&'a Plan>,
    /// What people watch of the state; without it the numbers of steps and weight stay.
    pub status: Option<&'a Status>,
    /// Selects the pods of all revisions.
    pub selector: &'a str,
    /// What stands in the way as far as only the operator knows: one word, and a sentence.
    pub problem: Option<(&'a str, &'a str)>,
    /// What each check said last ([`checks`]), if that is known; else it stays.
    pub checks: Option<&'a [CheckStatus]>,
    /// What was decided since the status before, if anything was.
    pub decision: Option<Decision>,
    /// The answer to a command since the status before, if one was given.
    pub answer: Option<CommandAnswer>,
}

impl<'a> Seen<'a> {
    /// This state and nothing else.
    #[must_use]
    pub const fn of(state: &'a State) -> Self {
        Self {
            generation: None,
            state,
            plan: None,
            status: None,
            selector: "",
            problem: None,
            checks: None,
            decision: None,
            answer: None,
        }
    }
}

/// The status after this was seen, given the one before. A condition that has the same answer as before
/// keeps the time of its last transition. `rollout` is carried over: it is the store's.
#[must_use]
pub fn render(before: &AgentDeploymentStatus, seen: Seen<'_>, now: Timestamp) -> AgentDeploymentStatus {
    let Seen { state, .. } = seen;
    let revision = |number: RevisionNumber| {
        let (revision, group) = (state.revision(number)?, state.group(number));
        Some(RevisionStatus {
            revision: revision.hash.to_string(),
            version: revision.version.to_string(),
            replicas: group.map_or(0, |group| i64::from(group.wish)),
            ready: group.map_or(0, |group| i64::from(group.seen.ready)),
        })
    };
    let (step, steps, weight) = match seen.status {
        Some(status) => (whole(status.step), whole(status.steps), i64::from(status.weight)),
        None => (before.step, before.steps, before.weight),
    };
    // of what was promoted nobody asks any more
    let checks = match phase(state) {
        Phase::Healthy | Phase::Pending => &[],
        Phase::Deploying | Phase::Unhealthy | Phase::RolledBack => seen.checks.unwrap_or(&before.checks),
    };
    let mut after = AgentDeploymentStatus {
        phase: Some(phase(state).name().to_owned()),
        current_replicas: state.groups.iter().map(|group| i64::from(group.seen.created)).sum(),
        ready_replicas: state.groups.iter().map(|group| i64::from(group.seen.ready)).sum(),
        selector: Some(seen.selector.to_owned()).filter(|text| !text.is_empty()),
        observed_generation: seen.generation.or(before.observed_generation),
        conditions: Vec::new(),
        step,
        steps,
        weight,
        stable: state.stable.and_then(revision),
        canary: state.canary.and_then(revision),
        checks: checks.to_vec(),
        last_decision: seen.decision.clone().or_else(|| before.last_decision.clone()),
        last_command: seen.answer.clone().or_else(|| before.last_command.clone()),
        rollout: before.rollout.clone(),
    };
    after.conditions = conditions::of(before, &seen, &after, &Time(in_seconds(now)));
    after
}

/// The status after something stood in the way of seeing anything: what was known before stays, and beside it is
/// told what it is.
#[must_use]
pub fn render_blind(
    before: &AgentDeploymentStatus,
    problem: (&str, &str),
    answer: Option<CommandAnswer>,
    now: Timestamp,
) -> AgentDeploymentStatus {
    AgentDeploymentStatus {
        conditions: conditions::blind(before, problem, &Time(in_seconds(now))),
        last_command: answer.or_else(|| before.last_command.clone()),
        ..before.clone()
    }
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Kubernetes writes times in whole seconds: what is written is what is read again.
fn in_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
