//! Stable serves, but what was asked for last was not promoted: it waits for another spec, a retry or a
//! rollback.

use super::super::mover;
use super::super::turn::Turn;
use crate::time::Millis;

pub(super) fn decide(turn: &mut Turn<'_>) {
    if turn.is_due() {
        turn.wake_in(Millis::ZERO);
    }
    mover::idle(turn);
}
