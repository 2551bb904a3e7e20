//! What the checks compare with, measured while stable has traffic.

use super::look::reading;
use super::{next_look, sequential};
use crate::analysis::{Bound, value_of};
use crate::backend::Reading;
use crate::machine::event::PauseCause;
use crate::machine::io::Arm;
use crate::machine::turn::Turn;
use crate::plan::Weight;

/// Is everything measured that the checks will compare with once stable has less traffic or none?
pub(in super::super) fn references_taken(turn: &mut Turn<'_>) -> bool {
    let hold = turn.hold();
    if !hold.gate || turn.state.stable.is_none() || turn.state.progress.promoted {
        return true;
    }
    let missing = turn.plan.analysis.checks.iter().enumerate().any(|(at, check)| {
        let wanted = match check.bound {
            Bound::Baseline(_) => true,
            Bound::Stable(_) => hold.weight == Weight::FULL,
            Bound::Value(_) => false,
        };
        let by_window = sequential::judge_of(turn.plan, &turn.state, check).is_none();
        let known = || turn.state.progress.checks.get(at).is_some_and(|state| state.reference.is_some());
        (by_window && wanted && !known()) || !sequential::is_prepared(turn.plan, &turn.state, at, check)
    });
    if missing && turn.state.progress.stalled >= turn.plan.analysis.no_data_limit {
        turn.pause(PauseCause::NoData);
    }
    if missing {
        turn.wake_in(next_look(turn));
    }
    !missing
}

/// Remembers what stable measures, for the time when it has no traffic; the baseline only while the
/// canary certainly has none.
pub(super) fn take_references(turn: &mut Turn<'_>) {
    let plan = turn.plan;
    let seen = turn.seen;
    let untouched = turn.state.canary.is_some_and(|canary| turn.state.route.highest(canary).is_zero());
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        let wanted = match check.bound {
            Bound::Value(_) => false,
            Bound::Stable(_) => true,
            Bound::Baseline(_) => untouched,
        };
        let Some(Ok(reading)) = reading(&seen.health, &check.metric.signal(), Arm::Stable) else { continue };
        if wanted && requests(reading).is_none_or(|requests| requests >= plan.analysis.min_requests.max(1)) {
            let state = &mut turn.state.progress.checks[at];
            state.reference = value_of(check, reading).or(state.reference);
        }
    }
}

pub(super) fn requests(reading: &Reading) -> Option<u64> {
    match reading {
        Reading::Counts { requests, .. } => Some(*requests),
        Reading::Histogram(histogram) => Some(histogram.total()),
        Reading::NoData | Reading::Scalar(_) | Reading::Increase(_) | Reading::Replicas(_) => None,
    }
}
