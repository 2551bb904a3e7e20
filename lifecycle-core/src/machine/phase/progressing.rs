//! The canary takes its steps.

use std::sync::Arc;

use super::super::back;
use super::super::event::{BackReason, EventKind, PauseCause};
use super::super::gate::{self, Gate};
use super::super::hooks::{self, HookState};
use super::super::mover::{self, Goal};
use super::super::state::{Phase, Progress};
use super::super::turn::Turn;
use crate::backend::{HookPoint, Token};
use crate::plan::replicas::{self, Sizes};
use crate::plan::{Hold, Mode, Weight};
use crate::time::Millis;

pub(super) fn decide(turn: &mut Turn<'_>) {
    let token = turn.state.token;
    let dt = turn.dt;
    turn.state.progress.in_step += dt;
    turn.state.progress.since_look += dt;
    if let Some(attempts) = back::too_often_unready(turn) {
        return back::unready(turn, attempts);
    }
    if let Some(reason) = gate::look(turn) {
        return back::go_back(turn, reason, None);
    }
    if turn.state.progress.full {
        return promote_all(turn);
    }
    if !turn.state.progress.entered && !enter(turn) {
        if turn.state.phase == Phase::Progressing {
            let goal = waiting_goal(turn);
            mover::towards(turn, goal);
            watch_deadline(turn, token);
        }
        return;
    }
    let (goal, whole) = goal(turn);
    // (a goal that is not whole yet is never "reached")
    let reached = mover::towards(turn, goal) && whole;
    if turn.state.phase == Phase::Progressing {
        settle(turn, reached, token);
    }
}

/// The command to promote everything: no gate is asked any more.
fn promote_all(turn: &mut Turn<'_>) {
    if !turn.state.progress.rollback {
        let (step, steps) = (turn.state.progress.step + 1, turn.steps());
        turn.tell(EventKind::GateOverruled { step, steps });
    }
    turn.state.progress.overruled = true;
    to_promoting(turn);
}

fn to_promoting(turn: &mut Turn<'_>) {
    let Progress { step, rollback, overruled, .. } = turn.state.progress;
    turn.begin_anew();
    turn.state.phase = Phase::Promoting;
    turn.state.hook = None;
    turn.state.progress = Progress { step, rollback, overruled, ..Progress::default() };
}

/// Runs the hooks before the step; true once its replicas may move.
fn enter(turn: &mut Turn<'_>) -> bool {
    if turn.state.paused.is_some() {
        return false;
    }
    let mut points = vec![];
    if turn.state.progress.step == 0 {
        points.push(HookPoint::PreDeploy);
    }
    points.push(HookPoint::PrePhase);
    if !turn.is_routed() {
        points.push(HookPoint::PreSwitch);
    }
    match hooks::at(turn, &points) {
        HookState::Running => false,
        HookState::Failed(why) => {
            back::go_back(turn, BackReason::HookFailed(why), None);
            false
        }
        HookState::Passed => {
            turn.state.progress.entered = true;
            let (hold, n) = (turn.hold(), turn.n());
            let (step, steps) = (turn.state.progress.step + 1, turn.steps());
            turn.tell(EventKind::StepStarted {
                step,
                steps,
                weight: hold.weight,
                replicas: canary_size(turn, hold, n),
            });
            true
        }
    }
}

fn canary_size(turn: &Turn<'_>, hold: Hold, n: u32) -> u32 {
    match turn.plan.mode {
        Mode::Routed { .. } => hold.size.of(n),
        Mode::Ratio if turn.state.stable.is_some() => share(turn, hold.weight, n).canary,
        Mode::Ratio | Mode::Exclusive => n,
    }
}

/// The share of replicas for a weight. Without surge the table of splits has no row for some weights
/// near 100 and would send the canary back to 0 in the middle of its rise (95 % of 10, say): there, and
/// for more than one replica, it is the whole replicas that the weight covers.
fn share(turn: &Turn<'_>, weight: Weight, n: u32) -> Sizes {
    let split = replicas::split(n, weight.get(), Weight::FULL.get(), turn.plan.limits(n).surge);
    if split.canary > 0 || weight.is_zero() || n < 2 {
        return split;
    }
    let covered = u64::from(weight.get()) * u64::from(n) / 100;
    let canary = u32::try_from(covered).unwrap_or(n).clamp(1, n - 1);
    Sizes { canary, stable: n - canary }
}

/// What holds until the hooks before the step have passed: the step before.
fn waiting_goal(turn: &Turn<'_>) -> Goal {
    let n = turn.n();
    match turn.hold_before() {
        Some(before) => step_goal(turn, before, n),
        None => Goal {
            stable: if turn.state.stable.is_some() { n } else { 0 },
            canary: 0,
            weight: Weight::ZERO,
            back: false,
        },
    }
}

fn step_goal(turn: &Turn<'_>, hold: Hold, n: u32) -> Goal {
    let has_stable = turn.state.stable.is_some();
    let canary = canary_size(turn, hold, n);
    let stable = match turn.plan.mode {
        _ if !has_stable => 0,
        Mode::Routed { dynamic_stable: false } => n,
        // one replica at least: the way back needs somebody to grow from
        Mode::Routed { dynamic_stable: true } => hold.weight.rest().of(n).max(1),
        Mode::Ratio => share(turn, hold.weight, n).stable,
        Mode::Exclusive => 0,
    };
    Goal { stable, canary, weight: hold.weight, back: false }
}

/// Where replicas and weight shall be now, and whether that is all that the step asks for.
fn goal(turn: &mut Turn<'_>) -> (Goal, bool) {
    let (hold, n) = (turn.hold(), turn.n());
    let mut goal = step_goal(turn, hold, n);
    if turn.plan.mode == Mode::Ratio && turn.state.paused.is_some() && hold.weight == Weight::FULL {
        return (freeze(turn, goal, n), false);
    }
    turn.state.progress.frozen = None;
    if !turn.is_routed() {
        return (goal, true);
    }
    let asked = mover::asked_weight(turn);
    if hold.weight > asked && !may_shift(turn, goal) {
        goal.weight = asked;
        return (goal, false);
    }
    (goal, true)
}

/// A replacement that is paused in its middle stays there, but follows the desired number in
/// proportion, as a paused Deployment does.
fn freeze(turn: &mut Turn<'_>, goal: Goal, n: u32) -> Goal {
    let (stable, canary) = (turn.wish(turn.state.stable), turn.wish(turn.state.canary));
    let (mut size, mut stable, mut canary) = turn.state.progress.frozen.unwrap_or((n, stable, canary));
    if size != n {
        let surge = |n| turn.plan.limits(n).surge;
        let scaled = replicas::proportional(size, n, surge(size), surge(n), Some(canary), &[stable]);
        canary = scaled.new.unwrap_or(canary);
        stable = scaled.old.first().copied().unwrap_or(stable);
        size = n;
    }
    turn.state.progress.frozen = Some((size, stable, canary));
    Goal { stable, canary, ..goal }
}

/// Before the weight rises: the canary is there, the hooks before the switch have passed, and what
/// the checks compare with has been measured.
fn may_shift(turn: &mut Turn<'_>, goal: Goal) -> bool {
    if turn.state.paused.is_some() {
        return false;
    }
    let ready = turn.state.canary.and_then(|number| turn.group(number)).map_or(0, |group| group.seen.ready);
    if ready < goal.canary {
        return false;
    }
    if !gate::references_taken(turn) {
        return false;
    }
    match hooks::at(turn, &[HookPoint::PreSwitch]) {
        HookState::Passed => true,
        HookState::Running => false,
        HookState::Failed(why) => {
            back::go_back(turn, BackReason::HookFailed(why), None);
            false
        }
    }
}

/// Replicas and weight are where the step wants them, or not: bake, and pass the gate.
fn settle(turn: &mut Turn<'_>, reached: bool, token: Token) {
    let was = std::mem::replace(&mut turn.state.progress.settled, reached);
    if !reached {
        validate_anew(turn);
        return watch_deadline(turn, token);
    }
    if turn.hold().weight > turn.hold_before().map_or(Weight::ZERO, |hold| hold.weight) {
        match hooks::at(turn, &[HookPoint::PostSwitch]) {
            HookState::Passed => {}
            HookState::Running => return watch_deadline(turn, token),
            HookState::Failed(why) => return back::go_back(turn, BackReason::HookFailed(why), None),
        }
    }
    match gate::ask(turn, was) {
        Gate::Baking(left) => {
            let progress = &mut turn.state.progress;
            // a canary that never stays in place long enough to bake makes no progress
            if progress.baked > progress.best_baked {
                progress.best_baked = progress.baked;
                progress.stalled = Millis::ZERO;
            }
            turn.wake_in(left);
        }
        Gate::Waiting => wait_for_evidence(turn),
        Gate::Failed(reason) => back::go_back(turn, reason, None),
        Gate::Approval => turn.pause(PauseCause::Approval),
        Gate::Passed(evidence) => leave(turn, evidence),
    }
}

/// Before it has traffic a revision is validated by being ready: all of it, for the whole time. (With
/// traffic the checks judge, and a bake only waits.)
fn validate_anew(turn: &mut Turn<'_>) {
    let hold = turn.hold();
    let Some(canary) = turn.state.canary.and_then(|number| turn.group(number)) else { return };
    let unready = turn.seen.groups.is_some() && canary.seen.ready < hold.size.of(turn.n());
    if unready && hold.weight.is_zero() {
        turn.state.progress.baked = Millis::ZERO;
    }
}

/// The bake is over, and a check still cannot say: a while longer, then a person decides.
fn wait_for_evidence(turn: &mut Turn<'_>) {
    if turn.state.paused.is_some() {
        return;
    }
    let dt = turn.dt;
    turn.state.progress.stalled += dt;
    if turn.state.progress.stalled >= turn.plan.progress_deadline {
        turn.pause(PauseCause::TooFewRequests);
    }
}

fn leave(turn: &mut Turn<'_>, evidence: Option<Arc<str>>) {
    match hooks::at(turn, &[HookPoint::PostPhase]) {
        HookState::Passed => {}
        HookState::Running => return,
        HookState::Failed(why) => return back::go_back(turn, BackReason::HookFailed(why), None),
    }
    let (step, steps) = (turn.state.progress.step + 1, turn.steps());
    turn.state.progress.overruled |= evidence.is_none();
    turn.tell(match evidence {
        Some(evidence) => EventKind::GatePassed { step, steps, evidence },
        None => EventKind::GateOverruled { step, steps },
    });
    if step >= steps {
        return to_promoting(turn);
    }
    turn.begin_anew();
    let before = std::mem::take(&mut turn.state.progress);
    let checks = before.checks.iter().map(crate::analysis::CheckState::anew).collect();
    let Progress { rollback, overruled, .. } = before;
    turn.state.progress = Progress { step, rollback, overruled, checks, ..Progress::default() };
    set_out(turn);
}

/// The first moves of a step are decided together with the end of the step before: one save and not two.
fn set_out(turn: &mut Turn<'_>) {
    let token = turn.state.token;
    if enter(turn) {
        let (goal, _) = goal(turn);
        mover::towards(turn, goal);
    }
    if turn.state.token == token {
        // nothing is on its way that would call again
        turn.wake_in(Millis::ZERO);
    }
}

/// Goes back when nothing has moved for too long; what was wished for in this very step (after `token`)
/// gets its chance first.
fn watch_deadline(turn: &mut Turn<'_>, token: Token) {
    if turn.state.paused.is_some() {
        return;
    }
    let measure = turn.in_place(turn.state.canary);
    turn.stall(measure);
    let (waited, deadline) = (turn.state.progress.stalled, turn.plan.progress_deadline);
    if waited >= deadline && turn.state.token == token {
        back::in_vain(turn, waited);
    } else {
        turn.wake_in(deadline.left(waited));
    }
}
