//! Running hooks, and delivering alerts: effects that carry a key and stay in the state until their
//! outcome was observed.

use std::sync::Arc;

use super::event::EventKind;
use super::io::Action;
use super::state::RunningHook;
use super::turn::{HOOK_POLL, RESEND, Turn};
use crate::backend::{EffectKey, HookCall, HookOutcome, HookPoint};
use crate::time::Millis;

/// A hook that its backend has said nothing of for its timeout and this much more has failed. (The
/// backend keeps the timeout, and is given the time to say so.)
const UNANSWERED: Millis = Millis(5000);

/// No hook has ended yet.
pub(super) const NONE: u64 = 0;

/// How the hooks of a point stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HookState {
    /// One runs (or was just started).
    Running,
    /// All have ended, and none that matters failed.
    Passed,
    /// One failed, and its failure aborts the rollout.
    Failed(Arc<str>),
}

/// Runs the hooks of these points, one after the other.
pub(super) fn at(turn: &mut Turn<'_>, points: &[HookPoint]) -> HookState {
    if let Some(why) = &turn.state.progress.hook_failure {
        return HookState::Failed(Arc::clone(why));
    }
    let plan = turn.plan;
    let done = turn.state.progress.hooks_done;
    let waiting = plan
        .hooks
        .iter()
        .enumerate()
        .find(|(index, hook)| points.contains(&hook.on) && done & (1 << index) == 0);
    let Some((index, hook)) = waiting else { return HookState::Passed };
    let running = match turn.state.hook.take() {
        Some(running) if running.index == index => {
            RunningHook { waited: running.waited + turn.dt, ..running }
        }
        _ => {
            let key = format!("{}/{}/{}/{index}", turn.state.epoch, turn.state.progress.step, hook.on);
            turn.tell(EventKind::HookStarted {
                point: hook.on.to_string().into(),
                url: Arc::clone(&hook.url),
            });
            RunningHook { index, key: turn.key(&key), waited: Millis::ZERO }
        }
    };
    let (key, waited) = (running.key.clone(), running.waited);
    turn.state.hook = Some(running);
    if waited >= hook.timeout + UNANSWERED {
        let why = format!("no answer within {}", hook.timeout);
        ended(turn, &key, &HookOutcome::Failed(why));
        return at(turn, points);
    }
    let subject = turn.state.canary.or(turn.state.stable).and_then(|number| turn.revision(number));
    if let Some(revision) = subject {
        let call = HookCall::new(key, hook.on, Arc::clone(&hook.url), hook.timeout, revision);
        turn.actions.push(Action::RunHook(call.of(Arc::clone(&turn.state.name))));
    }
    turn.wake_in(HOOK_POLL);
    HookState::Running
}

/// A hook answered. An answer to another key is late and means nothing.
pub(super) fn ended(turn: &mut Turn<'_>, key: &EffectKey, outcome: &HookOutcome) {
    let Some(running) = turn.state.hook.clone().filter(|running| running.key == *key) else { return };
    let Some(hook) = turn.plan.hooks.get(running.index) else { return };
    let (passed, message): (bool, Arc<str>) = match outcome {
        HookOutcome::Pending => return,
        HookOutcome::Passed => (true, "passed".into()),
        HookOutcome::Failed(why) => (false, why.as_str().into()),
    };
    let (point, url): (Arc<str>, _) = (hook.on.to_string().into(), Arc::clone(&hook.url));
    turn.state.hook = None;
    turn.state.progress.hooks_done |= 1 << running.index;
    if !passed && hook.aborts {
        turn.state.progress.hook_failure = Some(format!("{point} hook {url}: {message}").into());
    }
    turn.tell(EventKind::HookEnded { point, url, passed, message });
}

/// Sends every alert that was not delivered yet.
pub(super) fn deliver_alerts(turn: &mut Turn<'_>) {
    if turn.state.alerts.is_empty() {
        return;
    }
    turn.actions.extend(turn.state.alerts.iter().cloned().map(Action::Notify));
    turn.wake_in(RESEND);
}
