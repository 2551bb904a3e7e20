//! Worlds that cannot be told apart by anything that may still happen are one: the states become finite
//! in number, and few.

use std::collections::{BTreeMap, BTreeSet};

use lifecycle_core::backend::Token;
use lifecycle_core::machine::State;
use lifecycle_core::time::{Millis, Timestamp};

use super::env::Write;
use super::{TICK, World};

/// The representative of all worlds that behave as this one does.
pub(super) fn representative(mut world: World) -> World {
    world.env.forget_what_is_fenced_off();
    world.env.writes.sort_by_key(Write::token);
    if world.faults == 0 {
        // only a crash reads what was saved
        world.stored = world.memory.clone();
    }
    renumber(&mut world);
    world
}

/// Tokens matter by their order alone, and that a group was never written to (0): they are numbered
/// anew from 1. (The machine makes a new one above every other.)
fn renumber(world: &mut World) {
    let mut used = BTreeSet::new();
    each_token(world, &mut |token| {
        used.insert(*token);
    });
    used.remove(&Token::default());
    let names: BTreeMap<Token, Token> = used.into_iter().zip((1..).map(Token)).collect();
    each_token(world, &mut |token| *token = names.get(token).copied().unwrap_or_default());
}

fn each_token(world: &mut World, each: &mut impl FnMut(&mut Token)) {
    for state in [&mut world.memory, &mut world.stored] {
        each(&mut state.token);
        for group in &mut state.groups {
            each(&mut group.token);
            each(&mut group.acked);
        }
        each(&mut state.route.token);
        each(&mut state.route.acked);
        if state.revisions.iter().any(|known| known.token != Token::default()) {
            for known in std::sync::Arc::make_mut(&mut state.revisions) {
                each(&mut known.token);
            }
        }
    }
    world.env.each_token(each);
}

/// Spans of time past every threshold are all the same: cut to it.
pub(super) fn cut(mut state: State) -> State {
    let cap = |span: &mut Millis, ticks: u64| *span = (*span).min(TICK.times(ticks));
    state.clock = Some(Timestamp::ZERO);
    state.unsaved = Millis::ZERO;
    // (it makes keys, and decides nothing)
    state.alerted = 0;
    for group in &mut state.groups {
        // a wish is repeated after two; the drain is one, a kept revision goes after two
        cap(&mut group.sent, 2);
        cap(&mut group.idle, 2);
        group.sent = if group.acked >= group.token { Millis::ZERO } else { group.sent };
    }
    cap(&mut state.route.sent, 2);
    if state.route.pending.is_empty() {
        state.route.sent = Millis::ZERO;
    }
    let progress = &mut state.progress;
    cap(&mut progress.in_step, 1);
    cap(&mut progress.in_traffic, 1);
    cap(&mut progress.baked, 1);
    cap(&mut progress.best_baked, 1);
    cap(&mut progress.since_look, 1);
    cap(&mut progress.no_data, 2);
    cap(&mut progress.stalled, 3);
    for check in &mut progress.checks {
        check.successes = check.successes.min(1);
        // for people
        check.forget_history();
    }
    state
}
