//! Stable is what is asked for. What is left: a revision that is kept, and the hooks after the deployment.

use super::super::event::EventKind;
use super::super::hooks::{self, HookState};
use super::super::mover;
use super::super::state::{Next, Progress};
use super::super::turn::Turn;
use crate::backend::HookPoint;
use crate::time::Millis;

pub(super) fn decide(turn: &mut Turn<'_>) {
    if turn.state.next == Some(Next::Spec) && turn.state.paused.is_none() {
        // superseded: the next step starts with the newest plan, from where the replicas are
        return turn.wake_in(Millis::ZERO);
    }
    wrap_up(turn);
    if turn.is_due() {
        turn.wake_in(Millis::ZERO);
    }
    kept(turn);
    mover::idle(turn);
}

fn wrap_up(turn: &mut Turn<'_>) {
    if turn.state.progress.wrapping_up
        && !matches!(hooks::at(turn, &[HookPoint::PostDeploy]), HookState::Running)
    {
        // there is no way back from here: a hook that failed was told, and that is all
        turn.state.progress = Progress::default();
    }
}

/// The revision that was stable before: scaled down and released when its times are over.
fn kept(turn: &mut Turn<'_>) {
    let Some(kept) = turn.state.kept else { return };
    let Some(group) = turn.group(kept.revision) else {
        turn.state.kept = None;
        return;
    };
    let idle = group.idle;
    if idle >= kept.after.max(kept.keep) {
        turn.state.kept = None;
        if kept.keep > kept.after
            && let Some(revision) = turn.revision(kept.revision)
        {
            turn.tell(EventKind::Released { revision });
        }
        return;
    }
    let until = if idle < kept.after { kept.after } else { kept.keep };
    turn.wake_in(until.left(idle));
}
