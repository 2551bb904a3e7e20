//! All traffic goes back to stable, the canary goes away.

use super::super::event::{BackReason, EventKind};
use super::super::mover::{self, Goal};
use super::super::state::{Ended, Outcome, Phase, Progress};
use super::super::turn::Turn;
use crate::backend::{AlertKind, Severity};
use crate::plan::Weight;
use crate::time::Millis;

pub(super) fn decide(turn: &mut Turn<'_>) {
    let stable = if turn.state.stable.is_some() { turn.n() } else { 0 };
    let reached = mover::towards(turn, Goal { stable, canary: 0, weight: Weight::ZERO, back: true });
    if reached {
        return end(turn);
    }
    let measure = progress_measure(turn);
    turn.stall(measure);
    let waited = turn.state.progress.stalled;
    if waited >= turn.plan.progress_deadline {
        turn.state.progress.stalled = Millis::ZERO;
        turn.tell(EventKind::Stuck { phase: "the way back".into(), waited });
        turn.alert(
            AlertKind::Stuck,
            Severity::Critical,
            format!("the way back has made no progress for {}", waited.coarse()),
        );
        if mover::is_canary_gone(turn) {
            // all that is left is that stable is not whole, which is no reason to refuse a newer spec
            end(turn);
        }
    }
}

/// Grows as stable comes back and the canary goes.
fn progress_measure(turn: &Turn<'_>) -> u32 {
    let canary = turn.state.canary.and_then(|number| turn.group(number));
    let left = canary.map_or(0, |group| group.seen.created.saturating_add(group.seen.terminating));
    turn.in_place(turn.state.stable).saturating_add(u32::MAX / 2).saturating_sub(left)
}

fn end(turn: &mut Turn<'_>) {
    let reason = turn.state.back.clone().unwrap_or(BackReason::AbortCommand);
    let outcome = match (&reason, turn.state.stable) {
        (BackReason::AbortCommand, _) => Outcome::Aborted,
        (_, None) => Outcome::Failed,
        _ => Outcome::RolledBack,
    };
    let blameless = matches!(reason, BackReason::Superseded(_) | BackReason::StableRequested);
    if let Some(known) = turn.state.canary.and_then(|number| turn.known_mut(number)) {
        known.failed |= !blameless;
    }
    let stable = turn.state.stable.and_then(|number| turn.revision(number));
    turn.tell(EventKind::WentBack { reason: reason.clone(), stable });
    let state = &mut turn.state;
    state.phase = if reason == BackReason::StableRequested && state.next.is_none() {
        Phase::Healthy
    } else {
        Phase::Degraded
    };
    state.canary = None;
    state.back = None;
    state.progress = Progress::default();
    state.last = Some(Ended { outcome, reason: reason.message().into() });
}
