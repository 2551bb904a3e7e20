//! A router carries the weight; stable stays whole (or, dynamically, as large as its weight) until
//! promotion.

use super::super::state::{Group, Phase, Way};
use super::super::turn::Turn;
use super::{Goal, ask, ask_way, asked_weight, gives_up, is_there, most, none_left, others, repeat, shrink};
use crate::plan::Weight;
use crate::version::RevisionNumber;

pub(super) fn towards(turn: &mut Turn<'_>, goal: Goal, dynamic_stable: bool) -> bool {
    let split = take_split(turn);
    if split {
        grow(turn, goal);
        shift(turn, goal, dynamic_stable);
        shrink_canary(turn, goal);
        shrink_stable(turn, goal);
    }
    retire_others(turn);
    repeat(turn);
    split && is_reached(turn, goal)
}

/// Traffic goes back on what is known, even when the workload cannot answer just now.
pub(super) fn back_only(turn: &mut Turn<'_>, goal: Goal, dynamic_stable: bool) {
    if goal.back && turn.state.route.is_surely_split() {
        shift(turn, goal, dynamic_stable);
    }
}

/// Before anything else the split is in the router's hands: stable has all of it. (Replicas of a
/// revision that is not named get nothing, so none is created before.)
fn take_split(turn: &mut Turn<'_>) -> bool {
    if turn.state.route.is_surely_split() {
        return true;
    }
    if turn.state.route.acknowledged.is_some() && !turn.state.route.pending.is_empty() {
        let wish = turn.state.route.wish;
        if let Some(wish) = wish.filter(|wish| *wish != Way::Balanced) {
            ask_way(turn, wish);
            return false;
        }
    }
    let n = turn.n();
    let stable = turn.state.stable;
    let ready = stable.and_then(|number| turn.group(number)).map_or(0, Group::surely_ready);
    let alone = turn.state.groups.iter().all(|group| Some(group.revision) == stable || group.seen.ready == 0);
    if ready >= n.div_ceil(2).max(1) || alone {
        let way = Way::Split { stable, canary: turn.state.canary, weight: Weight::ZERO };
        ask_way(turn, way);
    } else if let Some(stable) = stable {
        let room = n.saturating_sub(turn.group(stable).map_or(0, Group::most));
        let wish = turn.wish(Some(stable));
        ask(turn, stable, wish + room.min(n.saturating_sub(wish)));
    }
    false
}

/// Stable first, then the canary, as far as the ceiling allows (property S2).
fn grow(turn: &mut Turn<'_>, goal: Goal) {
    let n = turn.n();
    let step = if goal.back { turn.hold().size.of(n) } else { goal.canary };
    let ceiling = turn.plan.ceiling(n, step);
    for (revision, target) in [(turn.state.stable, goal.stable), (turn.state.canary, goal.canary)] {
        let Some(revision) = revision else { continue };
        let Some(group) = turn.group(revision) else { continue };
        let (wish, high) = (group.wish, group.most());
        if wish >= target {
            continue;
        }
        let room = ceiling.saturating_sub(most(turn));
        let size = target.min(high.saturating_add(room));
        if size > wish {
            ask(turn, revision, size);
        }
    }
}

/// Replicas that must be ready before the canary takes this weight (property S5). An explicit canary
/// size smaller than that is the user's word.
fn carriers(turn: &Turn<'_>, weight: Weight) -> u32 {
    let n = turn.n();
    let wanted = weight.of(n);
    let sized = turn.hold().size.of(n);
    let canary_scale = turn.hold().size != crate::plan::Size::Share(turn.hold().weight);
    let needed = if canary_scale && weight < Weight::FULL { wanted.min(sized) } else { wanted };
    needed.max(1)
}

/// Moves the weight: up once the canary can carry it, down once stable can.
fn shift(turn: &mut Turn<'_>, goal: Goal, dynamic_stable: bool) {
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let asked = asked_weight(turn);
    let ready = |number: Option<RevisionNumber>| {
        number.and_then(|number| turn.group(number)).map_or(0, Group::surely_ready)
    };
    let (canary_ready, stable_ready) = (ready(canary), ready(stable));
    let n = turn.n();
    let to = if goal.weight > asked {
        if canary_ready >= carriers(turn, goal.weight) { goal.weight } else { asked }
    } else if is_too_late_to_rise(turn, asked, canary_ready) {
        return;
    } else if goal.weight < asked && !gives_up(turn) {
        let lowest = if dynamic_stable {
            // as much as stable can carry: weight w leaves ceil((100 - w) / 100 * N) to it
            let carried = u64::from(stable_ready) * 100 / u64::from(n.max(1));
            Weight::new(100 - u32::try_from(carried.min(100)).unwrap_or(100)).unwrap_or(Weight::FULL)
        } else if stable_ready >= n.div_ceil(2).max(1) {
            Weight::ZERO
        } else {
            asked
        };
        let to = lowest.max(goal.weight).min(asked);
        if goal.back && to > reached(turn) {
            // a rise that was asked for and has not come about is not asked for again on the way down
            return;
        }
        to
    } else {
        goal.weight
    };
    // A route that names a canary without traffic is as good as one that does not: no need to write.
    let way = Way::Split { stable, canary, weight: to };
    let same = |other: Way| match (other, way) {
        (Way::Split { stable: a, weight: v, .. }, Way::Split { stable: b, weight: w, .. }) => {
            a == b && v.is_zero() && w.is_zero()
        }
        _ => false,
    };
    match turn.state.route.wish {
        Some(wish) if same(wish) => ask_way(turn, wish),
        _ => ask_way(turn, way),
    };
}

/// A rise that was asked for, has not come about, and that the canary cannot carry any more: it is not
/// asked for again. (It was ready when the wish was made; then the driver was away.)
fn is_too_late_to_rise(turn: &Turn<'_>, asked: Weight, canary_ready: u32) -> bool {
    turn.state.phase != Phase::Aborting && asked > reached(turn) && canary_ready < carriers(turn, asked)
}

/// The weight that the data plane has acknowledged.
fn reached(turn: &Turn<'_>) -> Weight {
    turn.state.canary.map_or(Weight::ZERO, |canary| turn.state.route.acknowledged_weight(canary))
}

/// The canary shrinks to what still carries its weight, and to nothing only once its traffic is gone
/// and drained (property S6).
fn shrink_canary(turn: &mut Turn<'_>, goal: Goal) {
    let Some(canary) = turn.state.canary else { return };
    let highest = turn.state.route.highest(canary);
    let Some(group) = turn.group(canary) else { return };
    let (wish, idle) = (group.wish, group.idle);
    let needed = if !highest.is_zero() && !gives_up(turn) {
        carriers(turn, highest)
    } else if idle >= turn.plan.drain || gives_up(turn) {
        0
    } else {
        let left = turn.plan.drain.left(idle);
        if wish > goal.canary {
            turn.wake_in(left);
        }
        wish
    };
    if goal.canary.max(needed) < wish {
        shrink(turn, canary, goal.canary.max(needed));
    }
}

/// Stable shrinks to what still carries the most traffic that it may have.
fn shrink_stable(turn: &mut Turn<'_>, goal: Goal) {
    let Some(stable) = turn.state.stable else { return };
    let n = turn.n();
    let highest = turn.state.route.highest(stable);
    let needed = highest.of(n).max(1);
    let Some(group) = turn.group(stable) else { return };
    let (wish, idle) = (group.wish, group.idle);
    if highest.is_zero() && idle < turn.plan.drain {
        let left = turn.plan.drain.left(idle);
        return turn.wake_in(left);
    }
    if goal.stable.max(needed) < wish {
        shrink(turn, stable, goal.stable.max(needed));
    }
}

/// Every other revision goes once it certainly has had no traffic for the drain time, but for one
/// that is kept.
pub(super) fn retire_others(turn: &mut Turn<'_>) {
    let kept = turn.state.kept;
    for revision in others(turn) {
        let Some(group) = turn.group(revision) else { continue };
        let (idle, wish) = (group.idle, group.wish);
        let useless = group.seen.ready == 0 && group.seen.created == 0;
        let stays = match kept {
            Some(kept) if kept.revision == revision => kept.after.max(turn.plan.drain),
            _ => turn.plan.drain,
        };
        if wish == 0 {
            continue;
        }
        if idle >= stays || (useless && kept.is_none_or(|kept| kept.revision != revision)) {
            shrink(turn, revision, 0);
        } else {
            turn.wake_in(stays.left(idle));
        }
    }
}

fn is_reached(turn: &Turn<'_>, goal: Goal) -> bool {
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let group = |number: Option<RevisionNumber>| number.and_then(|number| turn.group(number));
    let weight = asked_weight(turn);
    let routed =
        weight == goal.weight && turn.state.route.wish.is_some_and(|wish| turn.state.route.is_surely(wish));
    let canary_there = if goal.canary == 0 {
        is_there(turn, canary, 0) || none_left(turn, canary.as_slice())
    } else {
        group(canary).is_some_and(|group| group.is_acknowledged() && group.surely_ready() >= goal.canary)
    };
    let stable_back = !goal.back || group(stable).map_or(0, Group::surely_available) >= goal.stable;
    (routed || gives_up(turn)) && canary_there && stable_back
}
