//! Old and new never run together (property S12): everything else goes, and is gone, before the first
//! replica comes.

use super::super::state::{Group, Way};
use super::super::turn::Turn;
use super::{Goal, ask, ask_way, is_there, none_left, others, repeat};

pub(super) fn towards(turn: &mut Turn<'_>, goal: Goal) -> bool {
    let (stable, canary) = (turn.state.stable, turn.state.canary);
    let (comes, size, goes) =
        if goal.back { (stable, goal.stable, canary) } else { (canary, goal.canary, stable) };
    let mut leaving = others(turn);
    leaving.extend(goes);
    for &revision in &leaving {
        ask(turn, revision, 0);
    }
    let gone = none_left(turn, &leaving) && leaving.iter().all(|&number| is_there(turn, Some(number), 0));
    if gone {
        let balanced = turn.state.route.is_surely(Way::Balanced);
        if let (true, Some(revision)) = (ask_way(turn, Way::Balanced) || balanced, comes) {
            ask(turn, revision, size);
        }
    }
    repeat(turn);
    let ready = comes.and_then(|number| turn.group(number)).map_or(0, Group::surely_ready);
    gone && is_there(turn, comes, size) && ready >= size
}
