//! The share of replicas is the share of traffic, moved within surge and unavailable.

use super::super::state::Way;
use super::super::turn::Turn;
use super::{Goal, are_empty, ask, ask_way, gives_up, is_there, none_left, others, repeat, shrink};
use crate::plan::replicas::{self, Set, Sets, Sizes};

pub(super) fn towards(turn: &mut Turn<'_>, goal: Goal) -> bool {
    if !balance(turn) {
        repeat(turn);
        return false;
    }
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    grow(turn, goal);
    let older = others(turn);
    for &revision in &older {
        shrink(turn, revision, 0);
    }
    if let (Some(canary), true) = (canary, gives_up(turn)) {
        shrink(turn, canary, 0);
    }
    // while an older revision serves, only what serves nobody may go
    for (revision, target) in [(stable, goal.stable), (canary, goal.canary)] {
        if let (Some(revision), 0, false) = (revision, target, older.is_empty()) {
            let useful = turn.group(revision).map_or(0, super::Group::surely_available);
            let wish = turn.wish(Some(revision));
            ask(turn, revision, useful.min(wish));
        }
    }
    if are_empty(turn, &older) {
        take_away(turn, goal);
    }
    repeat(turn);

    let ready = canary.and_then(|number| turn.group(number)).map_or(0, super::Group::surely_ready);
    let back = stable.and_then(|number| turn.group(number)).map_or(0, super::Group::surely_available);
    (none_left(turn, &others(turn)) || gives_up(turn))
        && is_there(turn, stable, goal.stable)
        && is_there(turn, canary, goal.canary)
        && ready >= goal.canary
        && (!goal.back || back >= goal.stable)
}

/// Every ready replica gets an equal share: a split from before must be lifted first, and only once
/// nobody but stable would gain by it.
fn balance(turn: &mut Turn<'_>) -> bool {
    if turn.state.route.is_surely(Way::Balanced) {
        return ask_way(turn, Way::Balanced);
    }
    if matches!(turn.state.route.acknowledged, Some(Way::Split { .. })) {
        let stale = others(turn);
        for &revision in &stale {
            let drained = turn.group(revision).is_some_and(|group| group.idle >= turn.plan.drain);
            if drained {
                shrink(turn, revision, 0);
            }
        }
        if !none_left(turn, &stale) {
            return false;
        }
    }
    ask_way(turn, Way::Balanced)
}

/// Room is what no wish, however late, can have taken.
fn grow(turn: &mut Turn<'_>, goal: Goal) {
    let n = turn.n();
    let surge = turn.plan.limits(n).surge;
    let set = |number: Option<_>| {
        number.and_then(|number| turn.group(number)).map(|group| Set { desired: group.most(), available: 0 })
    };
    let older: u32 =
        others(turn).iter().filter_map(|&number| turn.group(number)).map(super::Group::most).sum();
    let older = (older > 0).then_some(Set { desired: older, available: 0 });
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let sets = Sets { stable: set(stable), canary: set(canary), older };
    let sizes = replicas::grow(n, surge, Sizes { stable: goal.stable, canary: goal.canary }, sets);
    for (revision, size, target) in [(stable, sizes.stable, goal.stable), (canary, sizes.canary, goal.canary)]
    {
        let wish = turn.wish(revision);
        if let (Some(revision), true) = (revision, size.min(target) > wish) {
            ask(turn, revision, size.min(target));
        }
    }
}

/// Only what no wish, however late, can still take away counts as there.
fn take_away(turn: &mut Turn<'_>, goal: Goal) {
    if turn.state.stable.is_none() {
        if let Some(canary) =
            turn.state.canary.filter(|&number| turn.group(number).is_some_and(|g| g.wish > goal.canary))
        {
            shrink(turn, canary, goal.canary);
        }
        return;
    }
    let n = turn.n();
    let set = |number: Option<_>| {
        number
            .and_then(|number| turn.group(number))
            .map(|group| Set { desired: group.low.min(group.wish), available: group.surely_available() })
    };
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let sets = Sets { stable: set(stable), canary: set(canary), older: None };
    let target = Sizes { stable: goal.stable, canary: goal.canary };
    let sizes = replicas::shrink(n, turn.plan.limits(n), target, sets);
    for (revision, size, target) in [(stable, sizes.stable, goal.stable), (canary, sizes.canary, goal.canary)]
    {
        let Some(revision) = revision else { continue };
        let wish = turn.wish(Some(revision));
        if size.max(target) < wish {
            shrink(turn, revision, size.max(target));
        }
    }
}
