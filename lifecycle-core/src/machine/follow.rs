//! Following the spec: a changed number of replicas and `paused` at once, another revision by a
//! rollout that supersedes the one on its way, everything else with the next rollout.

use std::sync::Arc;

use super::absorb::add_revision;
use super::back;
use super::event::{BackReason, EventKind, PauseCause};
use super::io::Desired;
use super::state::{Ended, Next, Outcome, Phase, Progress};
use super::turn::Turn;
use crate::backend::Severity;
use crate::plan::Mode;
use crate::time::Millis;
use crate::version::RevisionNumber;

pub(super) fn spec(turn: &mut Turn<'_>) {
    let seen = turn.seen;
    let Some(desired) = &seen.desired else { return };
    if turn.state.name != desired.name {
        turn.state.name = Arc::clone(&desired.name);
    }
    if turn.state.spec_replicas != desired.replicas {
        turn.state.spec_replicas = desired.replicas;
        resize(turn, desired.replicas);
    }
    if turn.state.spec_paused != desired.paused {
        turn.state.spec_paused = desired.paused;
        if desired.paused {
            turn.pause(PauseCause::Spec);
        } else if turn.state.paused == Some(PauseCause::Spec) {
            turn.resume();
        }
    }
    let is_new = turn.is_new(desired);
    match turn.state.phase {
        Phase::Healthy | Phase::Degraded => begin(turn),
        Phase::Progressing if is_new => supersede(turn, desired),
        Phase::Aborting if is_new => redirect(turn, desired),
        // what is being promoted is promoted first; the newer spec starts right after
        Phase::Progressing | Phase::Promoting | Phase::Aborting => {}
    }
}

pub(super) fn resize(turn: &mut Turn<'_>, replicas: u32) {
    let from = std::mem::replace(&mut turn.state.replicas, replicas);
    if from != replicas {
        turn.state.progress.stalled = Millis::ZERO;
        turn.state.progress.best = 0;
        if from != 0 {
            turn.tell(EventKind::Resized { from, to: replicas });
        }
    }
}

/// When nothing is on its way, what waits may start.
pub(super) fn begin(turn: &mut Turn<'_>) {
    let seen = turn.seen;
    let Some(desired) = &seen.desired else { return };
    if turn.state.is_active() || turn.state.progress.wrapping_up {
        return;
    }
    let is_new = turn.is_new(desired);
    match turn.state.next.clone() {
        Some(Next::Rollback(number)) => rollback_to(turn, number),
        Some(Next::Spec) => start_spec(turn, desired),
        None if is_new => start_spec(turn, desired),
        None => {}
    }
}

/// Another revision while one is on its way.
fn supersede(turn: &mut Turn<'_>, desired: &Desired) {
    if stable_hash(turn).as_deref() == Some(&*desired.hash) {
        turn.state.acted_on = Some(Arc::clone(&desired.hash));
        return back::go_back(turn, BackReason::StableRequested, None);
    }
    if canary_hash(turn).as_deref() == Some(&*desired.hash) {
        turn.state.acted_on = Some(Arc::clone(&desired.hash));
        return;
    }
    let newer: Arc<str> = desired.version.to_string().into();
    if turn.plan.mode == Mode::Ratio && desired.mode == Mode::Ratio {
        // replicas of the superseded revision serve on until the newest ones replace them
        back::set_aside(turn, newer);
    } else {
        back::go_back(turn, BackReason::Superseded(newer), Some(Next::Spec));
    }
}

/// Another spec while the way back is under way.
fn redirect(turn: &mut Turn<'_>, desired: &Desired) {
    if stable_hash(turn).as_deref() == Some(&*desired.hash) {
        turn.state.acted_on = Some(Arc::clone(&desired.hash));
        turn.state.next = None;
    } else {
        turn.state.next = Some(Next::Spec);
    }
}

/// Starts the rollout that the newest spec asks for.
pub(super) fn start_spec(turn: &mut Turn<'_>, desired: &Desired) {
    if stable_hash(turn).as_deref() == Some(&*desired.hash) {
        turn.state.acted_on = Some(Arc::clone(&desired.hash));
        turn.state.next = None;
        if turn.state.phase == Phase::Degraded {
            turn.state.phase = Phase::Healthy;
            turn.state.last = Some(Ended {
                outcome: Outcome::RolledBack,
                reason: BackReason::StableRequested.message().into(),
            });
        }
        return;
    }
    if turn.state.paused.is_some() {
        turn.state.next = Some(Next::Spec);
        return;
    }
    turn.state.acted_on = Some(Arc::clone(&desired.hash));
    let number = match turn.state.by_hash(&desired.hash) {
        Some(known) => known.revision.number,
        None => add_revision(&mut turn.state, Arc::clone(&desired.hash), desired.version.clone(), 0),
    };
    start(turn, number);
}

/// Starts the way to an older revision, by command: readiness is the only gate, because the command
/// is the approval. A blue-green revision that is no longer kept takes the ordinary steps (D9 of the
/// requirements).
pub(super) fn rollback_to(turn: &mut Turn<'_>, number: RevisionNumber) {
    let kept = turn.state.kept.is_some_and(|kept| kept.revision == number);
    let ordinary = turn.plan.retire.from_switch && !kept;
    let from = turn.state.stable;
    start(turn, number);
    back::alert_rollback(turn, from, Severity::Warning, &BackReason::RollbackCommand.message());
    turn.state.progress.rollback = true;
    turn.state.progress.full = !ordinary;
}

/// Starts a rollout of this revision.
fn start(turn: &mut Turn<'_>, number: RevisionNumber) {
    turn.begin_anew();
    let state = &mut turn.state;
    state.epoch += 1;
    state.phase = Phase::Progressing;
    state.canary = Some(number);
    state.progress = Progress::default();
    state.back = None;
    state.next = None;
    state.last = None;
    state.hook = None;
    // the rollout before is over: its old revision makes room (or is the one that comes back)
    state.kept = None;
    turn.group_mut(number);
    if let Some(known) = turn.known_mut(number) {
        (known.failed, known.left) = (false, false);
    }
    let strategy = Arc::clone(&turn.plan.strategy);
    let from = turn.state.stable.and_then(|stable| turn.revision(stable));
    if let Some(revision) = turn.revision(number) {
        turn.tell(EventKind::Started { revision, from, strategy });
    }
}

fn stable_hash(turn: &Turn<'_>) -> Option<Arc<str>> {
    turn.state
        .stable
        .and_then(|number| turn.state.revision(number))
        .map(|revision| Arc::clone(&revision.hash))
}

fn canary_hash(turn: &Turn<'_>) -> Option<Arc<str>> {
    turn.state
        .canary
        .and_then(|number| turn.state.revision(number))
        .map(|revision| Arc::clone(&revision.hash))
}
