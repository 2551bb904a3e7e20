//! When a step may end: bake, checks, hooks, approval. And looking: taking measurements and judging
//! them all along, so that a bad canary is stopped before its bake is over.

mod look;
mod queries;
mod references;
mod sequential;
mod told;

use std::sync::Arc;

pub(super) use look::look;
pub(super) use queries::queries;
pub(super) use references::references_taken;

use super::event::BackReason;
use super::hooks::{self, HookState};
use super::state::State;
use super::turn::Turn;
use crate::analysis::{Arm, Bound, Check, CheckState, Measurement, SequentialState};
use crate::backend::HookPoint;
use crate::plan::{Mode, Plan};
use crate::time::Millis;
use crate::version::RevisionNumber;

/// What the gate of a step says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Gate {
    /// Not yet; look again in this long.
    Baking(Millis),
    /// The bake is over, and a check still waits for data.
    Waiting,
    /// Never.
    Failed(BackReason),
    /// A person has to say so.
    Approval,
    /// Go on, by this evidence; `None` by command.
    Passed(Option<Arc<str>>),
}

/// Asks the gate of the current step, whose replicas and weight are in place.
pub(super) fn ask(turn: &mut Turn<'_>, settled_before: bool) -> Gate {
    let hold = turn.hold();
    let interval = turn.plan.analysis.interval;
    if turn.state.paused.is_some() {
        return Gate::Baking(interval);
    }
    if turn.state.progress.promoted {
        return Gate::Passed(None);
    }
    let judged = hold.gate && !hold.weight.is_zero();
    let has_data = !judged || all_have_data(turn);
    if settled_before && has_data {
        let dt = turn.dt;
        turn.state.progress.baked += dt;
    }
    if turn.state.progress.step == 0 {
        match hooks::at(turn, &[HookPoint::Smoke, HookPoint::Integration]) {
            HookState::Passed => {}
            HookState::Running => return Gate::Baking(interval),
            HookState::Failed(why) => return Gate::Failed(BackReason::HookFailed(why)),
        }
    }
    let early = judged && sequential::may_pass_early(turn.plan, &turn.state);
    let left = if early { Millis::ZERO } else { hold.bake.left(turn.state.progress.baked) };
    if !left.is_zero() {
        return Gate::Baking(if has_data { left.min(next_look(turn)) } else { next_look(turn) });
    }
    let evidence = if judged {
        // (what a check said before the silence is no evidence of what came in it)
        match evidence(turn).filter(|_| uncounted(turn).is_zero()) {
            Some(evidence) => evidence,
            None => {
                turn.wake_in(next_look(turn));
                return Gate::Waiting;
            }
        }
    } else {
        format!("ready for {}", hold.bake).into()
    };
    if hold.approval { Gate::Approval } else { Gate::Passed(Some(evidence)) }
}

/// Did no check that applies and decides come away without data?
fn all_have_data(turn: &Turn<'_>) -> bool {
    let (plan, state) = (turn.plan, &turn.state);
    // (before the first look nothing is known of any)
    plan.analysis.checks.iter().zip(&state.progress.checks).all(|(check, said)| {
        has_data(said) || !applies(check, plan, state) || plan.analysis.is_dry_run(check)
    })
}

/// For how long nothing was counted of a check that decides, until the last look.
fn uncounted(turn: &Turn<'_>) -> Millis {
    let (plan, state) = (turn.plan, &turn.state);
    let checks = plan.analysis.checks.iter().zip(&state.progress.checks);
    let decide = checks.filter(|(check, _)| applies(check, plan, state) && !plan.analysis.is_dry_run(check));
    let silent = decide.filter_map(|(_, said)| said.sequential.as_deref().map(SequentialState::silent));
    silent.max().unwrap_or_default()
}

fn has_data(check: &CheckState) -> bool {
    !matches!(check.last, Some(Measurement::NoData | Measurement::Error(_)))
}

/// Time until the next look. One that is overdue was not answered: it is asked again an interval later.
fn next_look(turn: &Turn<'_>) -> Millis {
    let interval = turn.plan.analysis.interval;
    let left = interval.left(turn.state.progress.since_look);
    if left.is_zero() { interval } else { left }
}

/// What every check that applies and decides said last, when that is a pass for each.
fn evidence(turn: &Turn<'_>) -> Option<Arc<str>> {
    let mut parts = Vec::new();
    for (at, check) in turn.plan.analysis.checks.iter().enumerate() {
        if !applies(check, turn.plan, &turn.state) || turn.plan.analysis.is_dry_run(check) {
            continue;
        }
        match turn.state.progress.checks.get(at).and_then(|state| state.last) {
            Some(Measurement::Pass(_)) => parts.push(check.to_string()),
            _ => return None,
        }
    }
    Some(match parts.is_empty() {
        true => format!("ready for {}", turn.hold().bake).into(),
        false => parts.join(", ").into(),
    })
}

/// Checks that compare with stable mean nothing when there is none, and those of stable itself when it
/// gets no requests.
fn applies(check: &Check, plan: &Plan, state: &State) -> bool {
    match (check.arm, check.bound) {
        (Arm::Stable, _) => has_traffic(plan, state, state.stable),
        (Arm::Canary, Bound::Value(_)) => true,
        (Arm::Canary, Bound::Stable(_) | Bound::Baseline(_)) => state.stable.is_some(),
    }
}

/// Does this revision get requests?
fn has_traffic(plan: &Plan, state: &State, revision: Option<RevisionNumber>) -> bool {
    let Some(number) = revision else { return false };
    match plan.mode {
        Mode::Routed { .. } => !state.route.acknowledged_weight(number).is_zero(),
        Mode::Ratio | Mode::Exclusive => state.group(number).is_some_and(|group| group.seen.ready > 0),
    }
}
