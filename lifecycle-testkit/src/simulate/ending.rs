//! When a run is over: what is left to do, and what still goes wrong.

use lifecycle_core::machine::{Group, State};
use lifecycle_core::time::Timestamp;

use super::scenario::{Happening, What};
use crate::cluster::{Fault, LATE_BY};

/// What is left to do, as far as the driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A rollout is on its way, or something else is.
    Work,
    /// A rollout waits for a person.
    Person,
    /// Nothing, but an old revision is still kept.
    Keeping,
    /// Nothing.
    Nothing,
}

/// When this goes wrong no more, with everything that it delays.
pub(super) fn fault_end(event: &Happening) -> Timestamp {
    match &event.what {
        // what is delayed may be repeated too
        What::Fault(Fault::LateWrite | Fault::RepeatedWrite, span) => event.at + *span + LATE_BY.times(2),
        What::Fault(_, span) | What::CriticalAlert(span) => event.at + *span,
        What::Crash { after: None, down } => event.at + *down,
        What::ClockJump(_) | What::Crash { .. } => event.at,
        What::Command(_) | What::Update(_) | What::Set(..) => Timestamp::ZERO,
    }
}

/// What is left to do in this state.
pub(super) fn left(state: &State, wakes: bool) -> Left {
    if state.is_active() || state.next.is_some() || state.hook.is_some() || !state.alerts.is_empty() {
        let waits = state.paused.is_some() && state.alerts.is_empty();
        return if waits { Left::Person } else { Left::Work };
    }
    let unheard = |group: &Group| group.acked < group.token || group.seen.desired != group.wish;
    if state.groups.iter().any(unheard) || !state.route.pending.is_empty() {
        return Left::Work;
    }
    // (what serves before anything was promoted is left alone)
    let left_alone = |group: &Group| {
        state.stable.is_none() && group.seen.ready > 0 && group.wish > 0 && group.wish == group.seen.created
    };
    let mut old = state
        .groups
        .iter()
        .filter(|group| Some(group.revision) != state.stable)
        .filter(|group| !left_alone(group));
    if old.clone().any(|group| group.wish > 0 || group.seen.created > 0 || group.seen.terminating > 0) {
        Left::Work
    } else if wakes && old.next().is_some() {
        Left::Keeping
    } else {
        Left::Nothing
    }
}
