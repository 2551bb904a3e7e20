//! What the checks compare with, measured while stable has traffic.

use super::look::answer;
use super::{has_traffic, next_look, sequential};
use crate::analysis::{Bound, Check, reference_of};
use crate::backend::{Signal, Span};
use crate::machine::event::PauseCause;
use crate::machine::io::{Arm, Measured};
use crate::machine::turn::Turn;
use crate::plan::Weight;
use crate::time::Millis;

/// Is everything measured that the checks will compare with once stable has less traffic or none?
pub(in super::super) fn references_taken(turn: &mut Turn<'_>) -> bool {
    let hold = turn.hold();
    if !hold.gate || turn.state.stable.is_none() || turn.state.progress.promoted {
        return true;
    }
    let judges = sequential::Judges::new(turn.plan, &turn.state);
    let (plan, progress) = (turn.plan, &turn.state.progress);
    let is_missing = |(at, check): &(usize, &Check)| {
        let wanted = match check.bound {
            Bound::Baseline(_) => true,
            Bound::Stable(_) => hold.weight == Weight::FULL,
            Bound::Value(_) => false,
        };
        let by_window = judges.of(check).is_none();
        let known = || progress.checks.get(*at).is_some_and(|state| state.reference.is_some());
        (by_window && wanted && !known()) || !sequential::is_prepared(&judges, &turn.state, *at, check)
    };
    let no_bound = |at: usize| progress.checks.get(at)?.sequential.as_ref()?.no_bound;
    let checks = plan.analysis.checks.iter().enumerate();
    // (what decides nothing is not waited for)
    let decides = |(_, check): &(usize, &Check)| !plan.analysis.is_dry_run(check);
    let mut missing = checks.filter(decides).filter(is_missing).peekable();
    if missing.peek().is_none() {
        return true;
    }
    let why = missing.find_map(|(at, check)| Some(no_bound(at)?.say(check)));
    if progress.stalled >= plan.analysis.no_data_limit {
        match why {
            Some(why) => turn.pause_because(PauseCause::NoBound, Some(why.into())),
            None => turn.pause(PauseCause::NoData),
        }
    }
    turn.wake_in(next_look(turn));
    false
}

/// Remembers what stable measures, for the time when it has no traffic; the baseline only while the
/// canary certainly has none.
pub(super) fn take_references(turn: &mut Turn<'_>) {
    let plan = turn.plan;
    let untouched = turn.state.canary.is_some_and(|canary| turn.state.route.highest(canary).is_zero());
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        let wanted = match check.bound {
            Bound::Value(_) => false,
            Bound::Stable(_) => true,
            Bound::Baseline(_) => untouched,
        };
        let measured = of_stable(turn, &check.metric.signal()).filter(|_| wanted);
        let Some(Measured { reading: Ok(reading), span, .. }) = measured else { continue };
        let state = &mut turn.state.progress.checks[at];
        state.reference = reference_of(check, &plan.analysis, window(*span), reading).or(state.reference);
    }
}

/// What stable measures while it has traffic: an idle revision is idle, and nothing to compare with.
pub(super) fn of_stable<'a>(turn: &Turn<'a>, signal: &Signal) -> Option<&'a Measured> {
    let serves = has_traffic(turn.plan, &turn.state, turn.state.stable);
    answer(&turn.seen.health, signal, Arm::Stable).filter(|_| serves)
}

/// How long the trailing window is that was asked for.
pub(super) const fn window(span: Span) -> Millis {
    match span {
        Span::Window(window) => window,
        Span::Since(_) | Span::Replicas { .. } => Millis::ZERO,
    }
}
