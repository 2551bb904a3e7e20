//! The status of states that are made by hand.

mod checks;
mod conditions;
mod laws;

use std::sync::Arc;

use lifecycle_core::machine::{
    BackReason, Ended, Group, Next, Outcome, PauseCause, Phase as MachinePhase, RouteSeen, State,
};
use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
use lifecycle_core::report;
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, Version};
use serde_json::json;

use super::*;
use crate::names::condition::{AVAILABLE, PROGRESSING};

const STABLE: RevisionNumber = RevisionNumber(1);
const CANARY: RevisionNumber = RevisionNumber(2);

fn group(revision: RevisionNumber, wish: u32, ready: u32, failed_attempts: u32) -> Group {
    let seen = json!({
        "desired": wish, "created": wish, "ready": ready, "available": ready, "terminating": 0,
        "failedAttempts": failed_attempts,
    });
    serde_json::from_value(json!({
        "revision": revision.0, "wish": wish, "token": 1, "acked": 1, "low": wish, "high": wish, "seen": seen,
    }))
    .unwrap()
}

/// 1.4.0 serves at rest with three replicas, of which so many are ready.
fn at_rest(ready: u32, failed_attempts: u32) -> State {
    let mut state = State::serving(Version::new(1, 4, 0), "aaaaaaaaaa", 3);
    state.groups = vec![group(STABLE, 3, ready, failed_attempts)];
    state
}

/// 1.5.0 is rolled out over it.
fn rollout(phase: MachinePhase) -> State {
    let mut state = at_rest(3, 0);
    let revision = Revision::new(CANARY, "bbbbbbbbbb", Version::new(1, 5, 0));
    let known = json!({"revision": revision});
    Arc::make_mut(&mut state.revisions).push(serde_json::from_value(known).unwrap());
    state.acted_on = Some("bbbbbbbbbb".into());
    state.phase = phase;
    state.canary = Some(CANARY);
    state.groups.push(group(CANARY, 1, 1, 0));
    state
}

fn ended(mut state: State, outcome: Outcome, reason: &str) -> State {
    let mut last: Ended = serde_json::from_value(json!({"outcome": "promoted", "reason": reason})).unwrap();
    last.outcome = outcome;
    state.last = Some(last);
    state
}

fn with(mut state: State, change: impl FnOnce(&mut State)) -> State {
    change(&mut state);
    state
}

fn going_back(reason: BackReason) -> State {
    with(rollout(MachinePhase::Aborting), |state| state.back = Some(reason))
}

/// 1.5.0 was tried, and 1.4.0 serves again.
fn gone_back(outcome: Outcome) -> State {
    let state = with(rollout(MachinePhase::Degraded), |state| {
        state.canary = None;
        state.groups.pop();
    });
    ended(state, outcome, "error_rate 20% of 100 requests, above 1%")
}

fn now(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + seconds).unwrap()
}

fn shown(state: &State) -> AgentDeploymentStatus {
    render(&AgentDeploymentStatus::default(), Seen { generation: Some(7), ..Seen::of(state) }, now(0))
}

/// `True MessageOf`: what a condition says.
fn says(status: &AgentDeploymentStatus, name: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == name).unwrap();
    format!("{} {}", found.status, found.reason)
}

#[test]
fn every_state_has_one_phase() {
    let failed = || BackReason::CheckFailed("error_rate 20%".into());
    let first = |phase| {
        with(rollout(phase), |state| {
            state.stable = None;
            state.groups.remove(0);
        })
    };
    let waits = |state| with(state, |state: &mut State| state.next = Some(Next::Spec));
    let paused = |state, cause| with(state, |state: &mut State| state.paused = Some(cause));
    let stable_again = with(gone_back(Outcome::RolledBack), |state| {
        state.phase = MachinePhase::Healthy;
        state.acted_on = Some("aaaaaaaaaa".into());
    });
    let by_command = with(gone_back(Outcome::RolledBack), |state| state.phase = MachinePhase::Healthy);
    for (what, state, wanted) in [
        ("nothing", State::default(), Phase::Pending),
        ("at rest", at_rest(3, 0), Phase::Healthy),
        ("a replica is replaced", at_rest(2, 0), Phase::Healthy),
        ("a replica fails", at_rest(2, 1), Phase::Unhealthy),
        ("nobody is ready", at_rest(0, 0), Phase::Unhealthy),
        ("first deployment", first(MachinePhase::Progressing), Phase::Deploying),
        ("on its way", rollout(MachinePhase::Progressing), Phase::Deploying),
        ("waits", waits(at_rest(3, 0)), Phase::Deploying),
        ("waits and paused", paused(waits(at_rest(3, 0)), PauseCause::Spec), Phase::Deploying),
        ("paused", paused(rollout(MachinePhase::Progressing), PauseCause::NoData), Phase::Deploying),
        ("paused at rest", paused(at_rest(3, 0), PauseCause::Spec), Phase::Healthy),
        ("becomes stable", rollout(MachinePhase::Promoting), Phase::Deploying),
        ("failed, on its way back", going_back(failed()), Phase::Unhealthy),
        ("aborted, on its way back", going_back(BackReason::AbortCommand), Phase::Deploying),
        ("superseded", going_back(BackReason::Superseded("1.6.0".into())), Phase::Deploying),
        ("promoted", ended(at_rest(3, 0), Outcome::Promoted, "every gate passed"), Phase::Healthy),
        ("rolled back", gone_back(Outcome::RolledBack), Phase::RolledBack),
        ("aborted", gone_back(Outcome::Aborted), Phase::RolledBack),
        ("rolled back by command", by_command, Phase::RolledBack),
        ("the spec asks for stable again", stable_again, Phase::Healthy),
        ("first one failed", ended(first(MachinePhase::Degraded), Outcome::Failed, "x"), Phase::Unhealthy),
        ("first one aborted", ended(first(MachinePhase::Degraded), Outcome::Aborted, "x"), Phase::Unhealthy),
    ] {
        assert_eq!(phase(&state), wanted, "{what}");
        assert_eq!(shown(&state).phase.as_deref(), Some(wanted.name()), "{what}");
    }
}

#[test]
fn a_rollout_on_its_way_is_told_by_all_its_fields() {
    let state = rollout(MachinePhase::Progressing);
    let plan = PlanBuilder::new("canary", Mode::Routed { dynamic_stable: false })
        .step(Hold::new(Weight::new(10).unwrap(), Millis::from_secs(60)))
        .step(Hold::new(Weight::FULL, Millis::from_secs(60)))
        .build()
        .unwrap();
    let report = report::Status::of(&plan, &state, &RouteSeen::NoRouter);
    let decision = Decision::new("StepStarted", "StepStarted", "step 1 of 2", Time(now(0)));
    let answer = CommandAnswer::done("a1", "resume");
    let seen = Seen {
        generation: Some(3),
        plan: Some(&plan),
        status: Some(&report),
        selector: "enis.andaon.com/agent=edge-agent",
        decision: Some(decision.clone()),
        answer: Some(answer.clone()),
        ..Seen::of(&state)
    };
    let before = AgentDeploymentStatus { rollout: Some("{}".into()), ..Default::default() };
    let status = render(&before, seen, now(0));
    assert_eq!(status.phase.as_deref(), Some("deploying"));
    assert_eq!((status.current_replicas, status.ready_replicas), (4, 4));
    assert_eq!((status.step, status.steps, status.weight), (1, 2, 25));
    assert_eq!(status.selector.as_deref(), Some("enis.andaon.com/agent=edge-agent"));
    assert_eq!(status.observed_generation, Some(3));
    let revision = |revision: &str, version: &str, n| RevisionStatus {
        revision: revision.into(),
        version: version.into(),
        replicas: n,
        ready: n,
    };
    assert_eq!(status.stable, Some(revision("aaaaaaaaaa", "1.4.0", 3)));
    assert_eq!(status.canary, Some(revision("bbbbbbbbbb", "1.5.0", 1)));
    assert_eq!(
        (status.last_decision.as_ref(), status.last_command.as_ref()),
        (Some(&decision), Some(&answer))
    );
    assert_eq!(status.rollout.as_deref(), Some("{}"));
    let message = |name: &str| {
        status.conditions.iter().find(|found| found.type_ == name).map(|found| found.message.clone()).unwrap()
    };
    assert_eq!(message(PROGRESSING), "1.5.0 is being rolled out, step 1 of 2");
    assert_eq!(message(AVAILABLE), "4 replicas serve, 3 wanted");

    // what nobody has said anew stays, but for the canary that is gone
    let later = render(&status, Seen::of(&at_rest(3, 0)), now(5));
    assert_eq!((later.canary, later.last_decision, later.last_command), (None, Some(decision), Some(answer)));
    assert_eq!((later.observed_generation, later.steps), (Some(3), 2));
}
