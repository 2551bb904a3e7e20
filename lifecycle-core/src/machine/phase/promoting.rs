//! Every gate has passed: the canary takes all traffic and becomes stable.

use std::sync::Arc;

use super::super::back;
use super::super::event::{BackReason, EventKind};
use super::super::hooks;
use super::super::mover::{self, Goal};
use super::super::state::{Ended, Kept, Outcome, Phase, Progress};
use super::super::turn::Turn;
use crate::backend::HookPoint;
use crate::plan::{Mode, Weight};
use crate::time::Millis;

pub(super) fn decide(turn: &mut Turn<'_>) {
    if let Some(attempts) = back::too_often_unready(turn) {
        return back::unready(turn, attempts);
    }
    let n = turn.n();
    let stable = match turn.plan.mode {
        _ if turn.state.stable.is_none() => 0,
        Mode::Routed { dynamic_stable: false } => n,
        // it goes when its times are over, like every revision that was stable
        Mode::Routed { dynamic_stable: true } => turn.wish(turn.state.stable),
        Mode::Ratio | Mode::Exclusive => 0,
    };
    let before = turn.state.token;
    let reached = mover::towards(turn, Goal { stable, canary: n, weight: Weight::FULL, back: false });
    if reached {
        return promote(turn);
    }
    let measure = turn.in_place(turn.state.canary);
    turn.stall(measure);
    let waited = turn.state.progress.stalled;
    // (what was wished for in this very step gets its chance)
    if waited >= turn.plan.progress_deadline && turn.state.token == before {
        back::in_vain(turn, waited);
    } else {
        turn.wake_in(turn.plan.progress_deadline.left(waited));
    }
}

fn promote(turn: &mut Turn<'_>) {
    let Some(canary) = turn.state.canary else { return };
    let order = turn.state.revisions.iter().map(|known| known.promoted).max().unwrap_or(0) + 1;
    if let Some(known) = turn.known_mut(canary) {
        known.promoted = order;
        known.failed = false;
    }
    keep(turn);
    let has_hooks = turn.plan.hooks.iter().any(|hook| hook.on == HookPoint::PostDeploy);
    let state = &mut turn.state;
    let Progress { rollback, overruled, .. } = state.progress;
    state.stable = Some(canary);
    state.canary = None;
    state.phase = Phase::Healthy;
    state.progress = Progress { wrapping_up: has_hooks, hooks_done: hooks::NONE, ..Progress::default() };
    let outcome = if rollback { Outcome::RolledBack } else { Outcome::Promoted };
    if let Some(revision) = turn.revision(canary) {
        let reason: Arc<str> = if rollback {
            BackReason::RollbackCommand.message().into()
        } else if overruled {
            format!("{} was promoted by command", revision.version).into()
        } else {
            format!("every gate of {} passed", revision.version).into()
        };
        turn.state.last = Some(Ended { outcome, reason });
        turn.tell(EventKind::Promoted { revision });
    }
}

/// The revision that was stable is kept for its times.
fn keep(turn: &mut Turn<'_>) {
    let retire = turn.plan.retire;
    let Some(old) = turn.state.stable else { return };
    if retire.after.max(retire.keep).is_zero()
        || turn.plan.mode == Mode::Ratio
        || turn.plan.mode == Mode::Exclusive
    {
        return;
    }
    if !retire.from_switch {
        turn.group_mut(old).idle = Millis::ZERO;
    }
    turn.state.kept = Some(Kept { revision: old, after: retire.after, keep: retire.keep });
}
