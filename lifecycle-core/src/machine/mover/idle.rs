//! No rollout is on its way: stable keeps its size, what is left of older revisions goes.

use super::super::state::Way;
use super::super::turn::Turn;
use super::{Goal, ask, ask_way, ratio, repeat, routed, shrink};
use crate::plan::{Mode, Weight};
use crate::version::RevisionNumber;

pub(in super::super) fn idle(turn: &mut Turn<'_>) {
    if turn.seen.groups.is_none() {
        return;
    }
    let n = turn.n();
    let split = matches!(turn.state.route.wish, Some(Way::Split { .. }));
    if !split {
        return balanced(turn, n);
    }
    let stable = turn.state.stable;
    let way = Way::Split { stable, canary: None, weight: Weight::ZERO };
    let says_so = match turn.state.route.wish {
        Some(Way::Split { stable: named, weight, .. }) => named == stable && weight.is_zero(),
        _ => false,
    };
    let wish = turn.state.route.wish.filter(|_| says_so).unwrap_or(way);
    ask_way(turn, wish);
    if let Some(stable) = stable {
        resize(turn, stable, n);
    }
    routed::retire_others(turn);
    repeat(turn);
}

/// Stable keeps the desired size: it grows at once, and shrinks as far as the floor allows.
fn resize(turn: &mut Turn<'_>, stable: RevisionNumber, n: u32) {
    let wish = turn.group_mut(stable).wish;
    if wish < n {
        ask(turn, stable, n);
    } else if wish > n {
        shrink(turn, stable, n);
    }
}

fn balanced(turn: &mut Turn<'_>, n: u32) {
    let Some(stable) = turn.state.stable else {
        // nothing was ever promoted: what a failed first deployment left behind goes
        if turn.state.next.is_none() {
            for revision in super::others(turn) {
                if turn.group(revision).is_some_and(|group| group.seen.ready == 0) {
                    ask(turn, revision, 0);
                }
            }
        }
        return repeat(turn);
    };
    let alone = super::are_empty(turn, &super::others(turn));
    if turn.plan.mode == Mode::Exclusive || alone {
        resize(turn, stable, n);
        for revision in super::others(turn) {
            shrink(turn, revision, 0);
        }
        if turn.has_router() && turn.state.route.wish.is_some() {
            ask_way(turn, Way::Balanced);
        }
        return repeat(turn);
    }
    ratio::towards(turn, Goal { stable: n, canary: 0, weight: Weight::ZERO, back: true });
}
