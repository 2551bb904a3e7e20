//! Going back: when readiness asks for it, how it begins, and who is told.

use std::sync::Arc;

use super::event::{BackReason, EventKind};
use super::io::Action;
use super::state::{Next, Phase};
use super::turn::Turn;
use crate::backend::{AlertKind, Severity};
use crate::time::Millis;
use crate::version::RevisionNumber;

/// Failed readiness verdicts that a plan without a limit of its own takes from a canary that was in place
/// and has nobody to serve it any more: the limit of rolling's default (A3 and D5 of the requirements).
/// No check sees requests that nobody takes.
const ATTEMPTS_WITHOUT_SERVICE: u32 = 3;

/// How often a replica of the canary failed its readiness verdict, when that is too often.
pub(super) fn too_often_unready(turn: &Turn<'_>) -> Option<u32> {
    let canary = turn.state.canary?;
    let seen = turn.group(canary)?.seen;
    let progress = &turn.state.progress;
    let was_there = turn.state.phase == Phase::Promoting
        || progress.step > 0
        || !(progress.best_baked + progress.in_traffic).is_zero()
        || turn.is_routed() && !turn.state.route.acknowledged_weight(canary).is_zero();
    let limit = match turn.plan.readiness_attempts {
        None if was_there && seen.ready == 0 && turn.state.stable.is_some() => ATTEMPTS_WITHOUT_SERVICE,
        limit => limit?,
    };
    (seen.failed_attempts >= limit).then_some(seen.failed_attempts)
}

/// Replicas of the canary did not get ready, so often.
pub(super) fn unready(turn: &mut Turn<'_>, attempts: u32) {
    let trouble = turn.state.trouble.clone();
    go_back(turn, BackReason::ReadinessFailed { attempts, trouble }, None);
}

/// Nothing has moved for so long.
pub(super) fn in_vain(turn: &mut Turn<'_>, waited: Millis) {
    let trouble = turn.state.trouble.clone();
    go_back(turn, BackReason::ProgressDeadlineExceeded { waited, trouble }, None);
}

/// All traffic back to stable. Nothing pauses the way back.
pub(super) fn go_back(turn: &mut Turn<'_>, reason: BackReason, next: Option<Next>) {
    let weight = turn.canary_share();
    let failed = reason.is_failure();
    let stable = turn.state.stable.and_then(|number| turn.revision(number));
    turn.tell(EventKind::GoingBack { reason: reason.clone(), weight, stable });
    if failed || (reason == BackReason::RollbackCommand && next.is_none()) {
        let page = failed && turn.plan.page_on_rollback;
        let severity = if page { Severity::Critical } else { Severity::Warning };
        alert_rollback(turn, turn.state.canary, severity, &reason.message());
    }
    turn.begin_anew();
    call_off(turn);
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

/// What this very step has asked for on the way forward: more replicas of the canary. They are not needed
/// any more. (A wish that was never sent is as good as a lost one.)
fn call_off(turn: &mut Turn<'_>) {
    let Some(canary) = turn.state.canary else { return };
    let there = turn.group(canary).map_or(0, |group| group.seen.desired);
    turn.actions.retain(|action| match action {
        Action::Scale(wish) => wish.revision.number != canary || wish.replicas <= there,
        Action::Route(_) | Action::RunHook(_) | Action::Notify(_) => true,
    });
}

/// Tells people that this revision is rolled back (or, as the first one, has failed).
pub(super) fn alert_rollback(
    turn: &mut Turn<'_>,
    from: Option<RevisionNumber>,
    severity: Severity,
    why: &str,
) {
    let version = from.and_then(|number| turn.revision(number)).map(|revision| revision.version.to_string());
    let (kind, word) = match turn.state.stable {
        Some(_) => (AlertKind::RolledBack, "deployment_rolled_back"),
        None => (AlertKind::Failed, "deployment_failed"),
    };
    let (name, strategy) = (&turn.state.name, &turn.plan.strategy);
    let of = if name.is_empty() { String::new() } else { format!("{name} ") };
    let message = format!("{word}: {of}{} ({strategy}): {why}", version.unwrap_or_default());
    turn.alert(kind, severity, message);
}

/// The rollout ends where it is; what it has created serves on until the next rollout replaces it.
pub(super) fn set_aside(turn: &mut Turn<'_>, newer: Arc<str>) {
    let revision = turn.state.canary.and_then(|number| turn.revision(number));
    turn.tell(EventKind::SetAside { revision, newer });
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
