//! Where the rollout goes next: one file a phase.

mod aborting;
mod degraded;
mod healthy;
mod progressing;
mod promoting;

use super::event::{BackReason, EventKind};
use super::state::{Next, Phase};
use super::turn::Turn;
use crate::backend::{AlertKind, Severity};
use crate::plan::Weight;
use crate::time::Millis;

/// Decides what the phase wants, and asks for the next safe wishes towards it.
pub(super) fn decide(turn: &mut Turn<'_>) {
    match turn.state.phase {
        Phase::Healthy => healthy::decide(turn),
        Phase::Progressing => progressing::decide(turn),
        Phase::Promoting => promoting::decide(turn),
        Phase::Aborting => aborting::decide(turn),
        Phase::Degraded => degraded::decide(turn),
    }
}

/// All traffic back to stable. Nothing pauses the way back.
pub(super) fn go_back(turn: &mut Turn<'_>, reason: BackReason, next: Option<Next>) {
    let weight =
        turn.state.canary.map_or(Weight::ZERO, |canary| turn.state.route.acknowledged_weight(canary));
    let failed = matches!(
        reason,
        BackReason::CheckFailed(_)
            | BackReason::ReadinessFailed(_)
            | BackReason::ProgressDeadlineExceeded(_)
            | BackReason::HookFailed(_)
    );
    turn.tell(EventKind::GoingBack { reason: reason.clone(), weight });
    if failed {
        let severity = if turn.plan.page_on_rollback { Severity::Critical } else { Severity::Warning };
        let version =
            turn.state.canary.and_then(|number| turn.revision(number)).map(|r| r.version.to_string());
        let message = format!(
            "deployment_rolled_back: {} ({}): {}",
            version.unwrap_or_default(),
            turn.plan.strategy,
            reason.message()
        );
        turn.alert(AlertKind::RolledBack, severity, message);
    }
    let state = &mut turn.state;
    state.phase = Phase::Aborting;
    state.back = Some(reason);
    state.next = next;
    state.paused = None;
    state.hook = None;
    state.progress.stalled = Millis::ZERO;
    state.progress.best = 0;
    state.progress.frozen = None;
}

/// The rollout ends where it is; what it has created serves on until the next rollout replaces it.
pub(super) fn set_aside(turn: &mut Turn<'_>, reason: BackReason) {
    turn.tell(EventKind::GoingBack { reason, weight: Weight::ZERO });
    let state = &mut turn.state;
    state.phase = Phase::Healthy;
    state.canary = None;
    state.next = Some(Next::Spec);
    state.hook = None;
    if state.paused.is_some_and(|cause| {
        !matches!(cause, super::event::PauseCause::Command | super::event::PauseCause::Spec)
    }) {
        // it waited for a verdict on a revision that nobody asks for any more
        state.paused = None;
    }
    turn.wake_in(Millis::ZERO);
}
