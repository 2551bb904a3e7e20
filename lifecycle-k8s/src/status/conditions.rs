//! The conditions: yes-or-no answers, each with its reason.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lifecycle_core::machine::{Group, State, Way};
use lifecycle_core::plan::Weight;
use lifecycle_core::report::{WirePhase, wire_phase};

use super::{Phase, SPEC_REFUSED, Seen, phase};
use crate::crd::AgentDeploymentStatus;
use crate::names::condition;

/// The longest message of a condition that Kubernetes accepts.
const MAX_MESSAGE: usize = 32_768;

/// The reason of a rollout that is on its way.
const DEPLOYING: &str = "Deploying";

/// One answer.
#[derive(Debug)]
struct Answer {
    yes: bool,
    reason: String,
    message: String,
}

impl Answer {
    fn yes(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { yes: true, reason: reason.into(), message: message.into() }
    }

    fn no(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { yes: false, reason: reason.into(), message: message.into() }
    }
}

/// All conditions, in a fixed order. What is not ours stays behind them.
pub(super) fn of(
    before: &AgentDeploymentStatus,
    seen: &Seen<'_>,
    after: &AgentDeploymentStatus,
    now: &Time,
) -> Vec<Condition> {
    let answers = [
        (condition::READY, ready(seen)),
        (condition::ACCEPTED, accepted(seen)),
        (condition::AVAILABLE, available(seen)),
        (condition::PROGRESSING, progressing(seen.state, after)),
        (condition::DEGRADED, degraded(seen)),
        (condition::PAUSED, paused(seen.state)),
    ];
    let generation = after.observed_generation;
    let mut conditions: Vec<Condition> =
        answers.into_iter().map(|(name, answer)| condition(before, name, answer, generation, now)).collect();
    let others = before.conditions.iter().filter(|old| !condition::ALL.contains(&&*old.type_));
    conditions.extend(others.cloned());
    conditions
}

/// Those of before, but for what stands in the way of seeing more.
pub(super) fn blind(
    before: &AgentDeploymentStatus,
    (reason, message): (&str, &str),
    now: &Time,
) -> Vec<Condition> {
    let mut conditions = before.conditions.clone();
    for (name, answer) in
        [(condition::READY, Answer::no(reason, message)), (condition::DEGRADED, Answer::yes(reason, message))]
    {
        let told = condition(before, name, answer, before.observed_generation, now);
        match conditions.iter_mut().find(|old| old.type_ == name) {
            Some(old) => *old = told,
            None => conditions.push(told),
        }
    }
    conditions
}

fn condition(
    before: &AgentDeploymentStatus,
    name: &str,
    Answer { yes, reason, message }: Answer,
    generation: Option<i64>,
    now: &Time,
) -> Condition {
    let word = if yes { "True" } else { "False" };
    let old = before.conditions.iter().find(|old| old.type_ == name && old.status == word);
    Condition {
        last_transition_time: old.map_or(now, |old| &old.last_transition_time).clone(),
        message: message.chars().take(MAX_MESSAGE).collect(),
        observed_generation: generation,
        reason,
        status: word.to_owned(),
        type_: name.to_owned(),
    }
}

/// Why the spec is not followed.
fn refusal(seen: &Seen<'_>) -> Option<Answer> {
    let (reason, message) = seen.problem.filter(|(reason, _)| *reason == SPEC_REFUSED)?;
    Some(Answer::no(reason, message))
}

fn accepted(seen: &Seen<'_>) -> Answer {
    refusal(seen).unwrap_or_else(|| Answer::yes("Accepted", "the spec is followed"))
}

/// What is asked for serves, whole.
fn ready(seen: &Seen<'_>) -> Answer {
    let state = seen.state;
    if let Some(refused) = refusal(seen) {
        return refused;
    }
    let stable = state.stable.and_then(|number| state.revision(number));
    match (phase(state), stable) {
        (Phase::Healthy, Some(stable)) if seen.problem.is_none() => {
            let message = format!("{}: {}", stable.version, serving(state));
            match is_enough(seen) {
                true => Answer::yes("Serving", message),
                false => Answer::no("ReplicasUnavailable", message),
            }
        }
        (Phase::Pending | Phase::Deploying, _) => Answer { yes: false, ..progress(state) },
        _ => Answer { yes: false, ..degraded(seen) },
    }
}

fn available(seen: &Seen<'_>) -> Answer {
    let message = serving(seen.state);
    match is_enough(seen) {
        true => Answer::yes("ReplicasAvailable", message),
        false => Answer::no("ReplicasUnavailable", message),
    }
}

fn serving(state: &State) -> String {
    let some = in_service(state);
    let word = if some == 1 { "replica serves" } else { "replicas serve" };
    format!("{some} {word}, {} wanted", state.replicas)
}

/// Available replicas of the revisions that get traffic.
fn in_service(state: &State) -> u32 {
    let gets_traffic = |group: &&Group| match state.route.acknowledged {
        None | Some(Way::Balanced) => true,
        Some(Way::Split { canary, weight, .. }) if canary == Some(group.revision) => !weight.is_zero(),
        Some(Way::Split { stable, weight, .. }) => stable == Some(group.revision) && weight != Weight::FULL,
    };
    state.groups.iter().filter(gets_traffic).map(|group| group.seen.available).sum()
}

/// At least as many as the plan lets serve at the worst.
fn is_enough(seen: &Seen<'_>) -> bool {
    let state = seen.state;
    let unavailable = seen.plan.map_or(0, |plan| plan.limits(state.replicas).unavailable);
    in_service(state) >= state.replicas.saturating_sub(unavailable).max(1)
}

/// A rollout is on its way and does not wait for a person.
fn progressing(state: &State, after: &AgentDeploymentStatus) -> Answer {
    let mut answer = progress(state);
    if answer.reason == DEPLOYING && after.step > 0 {
        answer.message = format!("{}, step {} of {}", answer.message, after.step, after.steps);
    }
    answer
}

fn progress(state: &State) -> Answer {
    let version = |number: Option<_>| {
        number.and_then(|number| state.revision(number)).map_or("?".to_owned(), |r| r.version.to_string())
    };
    match (wire_phase(state), &state.back, &state.last) {
        (WirePhase::Paused, ..) => {
            let cause = state.paused.map_or(("Paused", ""), |cause| (cause.name(), cause.message()));
            Answer::no(cause.0, cause.1)
        }
        (WirePhase::Aborting, Some(reason), _) => Answer::yes(reason.name(), reason.message()),
        (WirePhase::Promoting, ..) => {
            Answer::yes("Promoting", format!("{} becomes stable", version(state.canary)))
        }
        (WirePhase::Progressing, ..) if state.canary.is_none() => {
            Answer::yes("Starting", "a rollout is about to start")
        }
        (WirePhase::Progressing | WirePhase::Aborting, ..) => {
            Answer::yes(DEPLOYING, format!("{} is being rolled out", version(state.canary)))
        }
        (_, _, Some(ended)) => Answer::no("Ended", &*ended.reason),
        (_, _, None) if state.stable.is_some() => {
            Answer::no("NothingToDo", format!("{} serves", version(state.stable)))
        }
        _ => Answer::no("Pending", "no rollout was started"),
    }
}

/// Something is wrong: a person has to look, or what was asked for last was not promoted.
fn degraded(seen: &Seen<'_>) -> Answer {
    let state = seen.state;
    let trouble = state.trouble.as_deref();
    if let Some(reason) = state.back.as_ref().filter(|reason| reason.is_failure()) {
        // what a person can mend is said beside why the rollout goes back
        let why = seen.problem.map(|(_, message)| message).or(trouble);
        let why = why.map(|why| format!("; {why}")).unwrap_or_default();
        return Answer::yes(reason.name(), format!("{}{why}", reason.message()));
    }
    if let Some((reason, message)) = seen.problem {
        return Answer::yes(reason, message);
    }
    if let Some(cause) = state.paused.filter(|cause| cause.is_alarming()) {
        return Answer::yes(cause.name(), cause.message());
    }
    let ended = state.last.as_ref().map_or("what was asked for was not promoted", |ended| &*ended.reason);
    match (phase(state), trouble) {
        (Phase::RolledBack, _) => Answer::yes("RolledBack", ended),
        (Phase::Unhealthy, _) if state.stable.is_none() => Answer::yes("Failed", ended),
        (_, Some(trouble)) => Answer::yes("ReplicasFailing", trouble),
        (Phase::Unhealthy, None) => {
            let message = format!("{}: some are not ready, though no rollout is on its way", serving(state));
            Answer::yes("ReplicasNotReady", message)
        }
        _ => Answer::no("AsExpected", ""),
    }
}

fn paused(state: &State) -> Answer {
    match state.paused {
        Some(cause) => Answer::yes(cause.name(), cause.message()),
        None => Answer::no("NotPaused", ""),
    }
}
