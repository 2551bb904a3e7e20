//! The next safe wishes towards a goal. Every wish for replicas or weight is made here, and here it is
//! held against the worst that earlier wishes may still bring about.

mod exclusive;
mod idle;
mod ratio;
mod routed;

use super::event::EventKind;
use super::io::Action;
use super::state::{Group, Phase, Way};
use super::turn::{RESEND, Turn};
use crate::backend::{RouteWish, ScaleWish};
use crate::plan::{Mode, Weight};
use crate::version::RevisionNumber;

pub(super) use idle::idle;

/// Where a phase wants replicas and traffic to be. Every revision that is neither stable nor canary
/// goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// Replicas of stable.
    pub(super) stable: u32,
    /// Replicas of the canary.
    pub(super) canary: u32,
    /// The canary's share of traffic, where a router carries it.
    pub(super) weight: Weight,
    /// Is this the way back?
    pub(super) back: bool,
}

/// Asks for the next safe wishes towards the goal; true once it is reached.
pub(super) fn towards(turn: &mut Turn<'_>, goal: Goal) -> bool {
    if turn.seen.groups.is_none() {
        // what the workload cannot say is no ground to move replicas; traffic may still go back
        if let Mode::Routed { dynamic_stable } = turn.plan.mode {
            routed::back_only(turn, goal, dynamic_stable);
        }
        return false;
    }
    match turn.plan.mode {
        Mode::Ratio => ratio::towards(turn, goal),
        Mode::Routed { dynamic_stable } => routed::towards(turn, goal, dynamic_stable),
        Mode::Exclusive => exclusive::towards(turn, goal),
    }
}

/// The weight that was asked for the current canary last.
pub(super) fn asked_weight(turn: &Turn<'_>) -> Weight {
    match turn.state.route.wish {
        Some(Way::Split { canary: Some(canary), weight, .. }) if Some(canary) == turn.state.canary => weight,
        _ => Weight::ZERO,
    }
}

/// Has the canary neither replicas nor traffic, for certain?
pub(super) fn is_canary_gone(turn: &Turn<'_>) -> bool {
    let Some(canary) = turn.state.canary else { return true };
    let is_gone = turn.group(canary).is_none_or(Group::is_gone);
    let silent = !turn.is_routed() || turn.state.route.highest(canary).is_zero();
    is_gone && silent
}

/// Wishes for a group to have this size. Says it once, and again until it is acknowledged.
fn ask(turn: &mut Turn<'_>, revision: RevisionNumber, size: u32) {
    let group = turn.group_mut(revision);
    let from = group.wish;
    // somebody else changed what we had asked for and seen
    let drifted = group.acked >= group.token && group.seen.desired != group.wish;
    let is_new = size != from || drifted;
    if !is_new && (group.is_acknowledged() || group.sent < RESEND) {
        if !group.is_acknowledged() {
            let left = RESEND.left(group.sent);
            turn.wake_in(left);
        }
        return;
    }
    if is_new {
        let token = turn.next_token();
        let group = turn.group_mut(revision);
        group.token = token;
        group.low = group.low.min(size);
        group.high = group.high.max(size);
        group.wish = size;
    }
    let group = turn.group_mut(revision);
    group.sent = crate::time::Millis::ZERO;
    let token = group.token;
    let drain = turn.plan.drain;
    if let Some(revision) = turn.revision(revision) {
        if is_new && size != from {
            turn.tell(EventKind::Scaled { revision: revision.clone(), from, to: size });
        }
        turn.actions.push(Action::Scale(ScaleWish::new(revision, size, token, drain)));
    }
    turn.wake_in(RESEND);
}

/// Wishes for requests to go this way. True once they surely do.
fn ask_way(turn: &mut Turn<'_>, way: Way) -> bool {
    if !turn.has_router() {
        return way == Way::Balanced;
    }
    let route = &mut turn.state.route;
    let drifted =
        route.pending.is_empty() && route.acknowledged.is_some() && route.acknowledged != route.wish;
    let is_new = route.wish != Some(way) || drifted;
    if !is_new && (route.is_surely(way) || route.sent < RESEND) {
        let sure = route.is_surely(way);
        if !sure {
            let left = RESEND.left(route.sent);
            turn.wake_in(left);
        }
        return sure;
    }
    if is_new {
        let before = asked_weight(turn);
        let token = turn.next_token();
        let route = &mut turn.state.route;
        if !route.pending.contains(&way) {
            route.pending.push(way);
        }
        route.wish = Some(way);
        route.token = token;
        let to = asked_weight(turn);
        if before != to && turn.state.canary.is_some() {
            turn.tell(EventKind::WeightSet { from: before, to });
        }
    }
    turn.state.route.sent = crate::time::Millis::ZERO;
    let (route, token) = (turn.state.route_of(way), turn.state.route.token);
    turn.actions.push(Action::Route(RouteWish::new(route, token)));
    turn.wake_in(RESEND);
    false
}

/// The most replicas that may be there or come, over all groups (property S2).
fn most(turn: &Turn<'_>) -> u32 {
    turn.state.groups.iter().map(Group::most).fold(0, u32::saturating_add)
}

/// Groups that are neither stable nor canary.
fn others(turn: &Turn<'_>) -> Vec<RevisionNumber> {
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let is_other = |number: &RevisionNumber| Some(*number) != stable && Some(*number) != canary;
    turn.state.groups.iter().map(|group| group.revision).filter(is_other).collect()
}

/// Would nobody serve without this group? (Property S10: the only ready revision stays, unless the
/// spec's maxUnavailable allows that nobody serves.)
fn is_only_ready(turn: &Turn<'_>, revision: RevisionNumber) -> bool {
    if turn.plan.mode == Mode::Ratio && turn.plan.limits(turn.n()).unavailable >= turn.n() {
        return false;
    }
    let ready = |group: &Group| group.surely_ready() > 0;
    turn.group(revision).is_some_and(|group| group.seen.ready > 0)
        && !turn.state.groups.iter().any(|group| group.revision != revision && ready(group))
}

/// Shrinks a group towards `size`: replicas that are not available at once, available ones as far as
/// the floor allows.
fn shrink(turn: &mut Turn<'_>, revision: RevisionNumber, size: u32) {
    let Some(at) = turn.state.groups.iter().position(|group| group.revision == revision) else { return };
    let least = if gives_up_on(turn, revision) {
        0
    } else {
        let least = needed(turn, at);
        if is_only_ready(turn, revision) { least.max(1) } else { least }
    };
    // (what was wished for before, and may be less, is repeated where that is safe)
    if size.max(least) < turn.state.groups[at].wish {
        ask(turn, revision, size.max(least));
    }
}

/// Available replicas that this group must keep, so that N - maxUnavailable are left when every other
/// group loses what it may still lose (property S1).
fn needed(turn: &Turn<'_>, at: usize) -> u32 {
    let floor = turn.n() - turn.plan.limits(turn.n()).unavailable;
    let groups = &turn.state.groups;
    let others = groups.iter().enumerate().filter(|(i, _)| *i != at);
    let others: u32 = others.map(|(_, group)| group.surely_available()).sum();
    floor.saturating_sub(others).min(groups[at].seen.available)
}

/// Is the group of this size, and surely so?
fn is_there(turn: &Turn<'_>, revision: Option<RevisionNumber>, size: u32) -> bool {
    let Some(group) = revision.and_then(|number| turn.group(number)) else { return size == 0 };
    group.wish == size && group.is_acknowledged() && group.seen.created == size && group.seen.terminating == 0
}

/// The abort of a first deployment: there is nothing to go back to, and the canary goes whoever it serves.
/// (One that it has superseded, and that serves, stays.)
fn gives_up(turn: &Turn<'_>) -> bool {
    turn.state.phase == Phase::Aborting && turn.state.stable.is_none()
}

/// Is this the canary of a first deployment that is aborted?
fn gives_up_on(turn: &Turn<'_>, revision: RevisionNumber) -> bool {
    gives_up(turn) && turn.state.canary == Some(revision)
}

/// May none of these groups have replicas, now or by a wish that is on its way?
fn are_empty(turn: &Turn<'_>, groups: &[RevisionNumber]) -> bool {
    groups.iter().all(|&number| turn.group(number).is_none_or(|group| group.most() == 0))
}

/// Have these groups neither replicas nor wishes for any?
fn none_left(turn: &Turn<'_>, groups: &[RevisionNumber]) -> bool {
    groups
        .iter()
        .filter_map(|&number| turn.group(number))
        .all(|group| group.most() == 0 && group.seen.terminating == 0)
}

/// What was asked before and is not acknowledged is asked again.
fn repeat(turn: &mut Turn<'_>) {
    for at in 0..turn.state.groups.len() {
        let Group { revision, wish, sent, seen, .. } = turn.state.groups[at];
        let is_due = !turn.state.groups[at].is_acknowledged() && sent >= RESEND;
        let goes = turn.state.phase == Phase::Aborting && turn.state.canary == Some(revision);
        if is_due && wish > seen.desired && (goes || makes_too_many(turn, at)) {
            // wished for before the way back began or the desired number fell: what is wished for instead, or
            // room for it, is on its way
            turn.wake_in(RESEND);
        } else if is_due && takes_too_much(turn, at) {
            // It was safe when it was wished for; then replicas died before it was sent. It is taken back
            // if that creates nothing in the worst case, else it waits until it is safe again.
            if most(turn) <= turn.plan.ceiling(turn.n(), turn.state.hold(turn.plan).size.of(turn.n())) {
                ask(turn, revision, seen.desired);
            } else {
                turn.wake_in(RESEND);
            }
        } else {
            ask(turn, revision, wish);
        }
    }
}

/// Would this wish make more replicas than the plan allows, when all others have as many as they may
/// (property S2)?
fn makes_too_many(turn: &Turn<'_>, at: usize) -> bool {
    let n = turn.n();
    let canary = match turn.state.phase {
        Phase::Promoting => n,
        Phase::Progressing | Phase::Aborting => turn.state.hold(turn.plan).size.of(n),
        Phase::Healthy | Phase::Degraded => return false,
    };
    let group = &turn.state.groups[at];
    most(turn) - group.most() + group.wish > turn.plan.ceiling(n, canary)
}

/// Would this wish, which has not taken effect, take available replicas below the floor by now?
fn takes_too_much(turn: &Turn<'_>, at: usize) -> bool {
    let Group { revision, wish, .. } = turn.state.groups[at];
    let exempt = turn.plan.mode == Mode::Exclusive || gives_up_on(turn, revision);
    !exempt && wish < needed(turn, at)
}
