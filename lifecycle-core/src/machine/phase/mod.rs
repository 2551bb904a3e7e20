//! Where the rollout goes next: one file a phase.

mod aborting;
mod degraded;
mod healthy;
mod progressing;
mod promoting;

use super::state::Phase;
use super::turn::Turn;

/// Decides what the phase wants, and asks for the next safe wishes towards it.
pub(super) fn decide(turn: &mut Turn<'_>) {
    match turn.state.phase {
        Phase::Healthy => healthy::decide(turn),
        Phase::Progressing => progressing::decide(turn),
        Phase::Promoting => promoting::decide(turn),
        Phase::Aborting => aborting::decide(turn),
        Phase::Degraded => degraded::decide(turn),
    }
}
