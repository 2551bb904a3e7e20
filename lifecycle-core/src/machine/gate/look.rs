//! Looking: measurements are judged all along.

use std::sync::Arc;

use super::references::{of_stable, take_references, window};
use super::sequential::{self, Judges};
use super::{applies, has_traffic, next_look, told};
use crate::analysis::{
    Bound, Check, CheckState, Measurement, MeasurementError, SequentialJudge, Verdict, explain, judge, say,
};
use crate::backend::{Reading, Signal, Span};
use crate::machine::event::{BackReason, EventKind, PauseCause};
use crate::machine::io::{Arm, Measured};
use crate::machine::state::State;
use crate::machine::turn::Turn;
use crate::plan::Plan;
use crate::time::Millis;

/// The first look of a step is taken at once when the canary gets its first requests; where it was not, it is asked for
/// again after this long.
const BEGIN: Millis = Millis(100);

/// Takes the measurements of this step into account. Says why the rollout must go back, if it must.
pub(in super::super) fn look(turn: &mut Turn<'_>) -> Option<BackReason> {
    let traffic = has_traffic(turn.plan, &turn.state, turn.state.canary);
    if traffic {
        let dt = turn.dt;
        turn.state.progress.in_traffic += dt;
    } else {
        forget_passes(turn);
    }
    if !is_worth_a_look(turn.plan, &turn.state) {
        turn.state.progress.since_look = Millis::ZERO;
        told::idle(turn);
        return None;
    }
    turn.wake_in(next_look(turn));
    let delay = turn.plan.analysis.initial_delay.left(turn.state.progress.in_step);
    if !delay.is_zero() {
        turn.wake_in(delay);
    }
    if turn.seen.health.is_empty() {
        if sequential::begins(turn.plan, &turn.state, Millis::ZERO) {
            let again = sequential::was_asked(turn);
            turn.wake_in(if again { BEGIN } else { Millis::ZERO });
        }
        told::idle(turn);
        return None;
    }
    let checks = turn.plan.analysis.checks.len();
    turn.state.progress.checks.resize_with(checks, CheckState::default);
    let since = std::mem::take(&mut turn.state.progress.since_look);
    take_references(turn);
    sequential::prepare(turn);
    if !traffic || !turn.hold().gate {
        told::idle(turn);
        return None;
    }
    let had_data = super::all_have_data(turn);
    let worst = measure(turn, since);
    let quiet = !super::all_have_data(turn);
    // (of a minute without requests it is known only at its end that it was without data)
    let lost = if had_data { since.max(super::uncounted(turn)) } else { since };
    let progress = &mut turn.state.progress;
    if quiet {
        progress.no_data += since;
        progress.baked = progress.baked.left(lost);
    } else {
        progress.no_data = Millis::ZERO;
    }
    match worst {
        Verdict::Failed => return failure(turn),
        Verdict::Error => pause(turn, PauseCause::MeasurementErrors),
        Verdict::Inconclusive => turn.pause(PauseCause::Inconclusive),
        _ if turn.state.progress.no_data >= turn.plan.analysis.no_data_limit => {
            pause(turn, PauseCause::NoData)
        }
        _ => {}
    }
    None
}

/// Pauses for this, unless nothing could be measured because of a histogram: then that is said.
fn pause(turn: &mut Turn<'_>, cause: PauseCause) {
    let (plan, state) = (turn.plan, &turn.state);
    let checks = plan.analysis.checks.iter().zip(&state.progress.checks);
    let mut decides =
        checks.filter(|(check, _)| applies(check, plan, state) && !plan.analysis.is_dry_run(check));
    let why = decides.find_map(|(check, said)| match said.last {
        Some(Measurement::Error(MeasurementError::NoBound(no_bound))) => Some(no_bound.say(check)),
        _ => None,
    });
    match why {
        Some(why) => turn.pause_because(PauseCause::NoBound, Some(why.into())),
        None => turn.pause(cause),
    }
}

/// What passed before the canary lost its traffic is no evidence once it has some again (property S9).
fn forget_passes(turn: &mut Turn<'_>) {
    for check in &mut turn.state.progress.checks {
        if let Some(Measurement::Pass(_)) = check.last {
            check.last = Some(Measurement::NoData);
        }
    }
}

/// Judges every check once; the worst verdict counts.
fn measure(turn: &mut Turn<'_>, since: Millis) -> Verdict {
    let plan = turn.plan;
    let mut worst = Verdict::Running;
    let judges = Judges::new(plan, &turn.state);
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        if !applies(check, plan, &turn.state) {
            told::uncounted(turn, check, told::left_out(check));
            continue;
        }
        let judge = judges.of(check);
        let measurement = match &judge {
            Some(judge) => measure_all(turn, at, check, judge, since),
            None => measure_window(turn, at, check),
        };
        let Some(measurement) = measurement else { continue };
        let state = &mut turn.state.progress.checks[at];
        let before = state.last.map(|last| last.name());
        state.record(measurement, &plan.analysis);
        let dry = plan.analysis.is_dry_run(check);
        if !dry {
            worst = worst.worse(state.verdict(&plan.analysis));
        }
        let is_news = before != Some(measurement.name()) && !matches!(measurement, Measurement::Waiting);
        if !is_news && turn.looks.is_none() {
            continue;
        }
        let said = say_it(turn, at, check, judge, measurement);
        if is_news {
            let message = &said.message;
            let message = if dry { format!("{message} (dry run)").into() } else { message.as_str().into() };
            let verdict = measurement.name().into();
            turn.tell(EventKind::Measured { check: Arc::clone(check.text()), verdict, message });
        }
        told::measured(turn, at, check, measurement, said);
    }
    worst
}

/// By the trailing window.
fn measure_window(turn: &Turn<'_>, at: usize, check: &Check) -> Option<Measurement> {
    let signal = check.metric.signal();
    let measured = answer(&turn.seen.health, &signal, check.arm)?;
    let stable = of_stable(turn, &signal).map(|measured| &measured.reading);
    let reference = turn.state.progress.checks[at].reference;
    let ours = Some(&measured.reading);
    Some(judge(check, &turn.plan.analysis, window(measured.span), ours, stable, reference))
}

/// By all that came since the step began; `None` when nothing new did.
fn measure_all(
    turn: &mut Turn<'_>,
    at: usize,
    check: &Check,
    judge: &SequentialJudge,
    since: Millis,
) -> Option<Measurement> {
    let (plan, seen) = (turn.plan, turn.seen);
    let with_stable = sequential::with_stable(plan, &turn.state, judge);
    let state = turn.state.progress.checks[at].sequential.as_deref_mut()?;
    let mark = state.mark;
    let of = |arm| increase(&seen.health, &judge.question.signal(), arm, Span::Since(mark));
    let canary = of(check.arm);
    canary?;
    let stable = with_stable.then(|| of(Arm::Stable));
    let measurement = judge.look(state, canary, stable, since);
    if measurement.is_none() {
        told::nothing_new(turn, at, check, mark.is_none());
    }
    measurement
}

/// What a measurement says.
pub(super) struct Said {
    pub(super) message: String,
    /// Over how long a time it was counted.
    pub(super) counted: Option<Millis>,
    /// Where it is judged by all that came.
    pub(super) judge: Option<SequentialJudge>,
}

/// What a measurement says, for people.
fn say_it(
    turn: &Turn<'_>,
    at: usize,
    check: &Check,
    judge: Option<SequentialJudge>,
    measurement: Measurement,
) -> Said {
    let state = &turn.state.progress.checks[at];
    let counted = matches!(measurement, Measurement::Pass(_) | Measurement::Fail(_) | Measurement::Waiting);
    if let (Some(by), Some(known), true) = (&judge, &state.sequential, counted) {
        let message = say(check, by, known);
        return Said { message, counted: Some(known.counted).filter(|span| !span.is_zero()), judge };
    }
    let signal = check.metric.signal();
    // (why there is no count is in the answer, whatever was asked)
    let of = |arm| turn.seen.health.iter().find(|said| said.arm == arm && said.signal == signal);
    let measured = answer(&turn.seen.health, &signal, check.arm).or_else(|| of(check.arm));
    let window = measured.map_or(Millis::ZERO, |measured| window(measured.span));
    let stable = match judge {
        Some(_) => of(Arm::Stable),
        None => of_stable(turn, &signal),
    };
    let (ours, stable) = (measured.map(|said| &said.reading), stable.map(|said| &said.reading));
    let message = explain(check, measurement, window, state.reference, ours, stable);
    let of_requests = matches!(ours, Some(Ok(Reading::Counts { .. } | Reading::Histogram(_))));
    Said { message, counted: Some(window).filter(|span| of_requests && !span.is_zero()), judge }
}

/// The sentence of the first check that failed.
fn failure(turn: &Turn<'_>) -> Option<BackReason> {
    let plan = turn.plan;
    let failed = |(_, check): &(usize, &Check)| !plan.analysis.is_dry_run(check);
    plan.analysis.checks.iter().enumerate().filter(failed).find_map(|(at, check)| {
        let state = turn.state.progress.checks.get(at)?;
        if state.verdict(&plan.analysis) != Verdict::Failed {
            return None;
        }
        let judge = Judges::new(plan, &turn.state).of(check);
        let said = say_it(turn, at, check, judge, state.last?);
        Some(BackReason::CheckFailed(said.message.into()))
    })
}

/// The answer of a trailing window.
pub(super) fn answer<'m>(health: &'m [Measured], signal: &Signal, arm: Arm) -> Option<&'m Measured> {
    health.iter().find(|measured| {
        measured.arm == arm && measured.signal == *signal && matches!(measured.span, Span::Window(_))
    })
}

/// The answer of what came since a mark.
fn increase<'m>(
    health: &'m [Measured],
    signal: &Signal,
    arm: Arm,
    span: Span,
) -> Option<&'m Result<Reading, String>> {
    let wanted =
        |measured: &&Measured| measured.arm == arm && measured.signal == *signal && measured.span == span;
    health.iter().find(wanted).map(|measured| &measured.reading)
}

/// Is there anything to measure? Not while the canary has no traffic, but for what stable measures and
/// the canary will be compared with.
fn is_worth_a_look(plan: &Plan, state: &State) -> bool {
    let judged = has_traffic(plan, state, state.canary) && state.hold(plan).gate;
    let checks = &plan.analysis.checks;
    let judges = Judges::new(plan, state);
    checks.iter().any(|check| {
        let stable = state.stable.is_some();
        let tempered = judges.of(check).is_some();
        let compared = stable && (tempered || !matches!(check.bound, Bound::Value(_)));
        compared || (judged && applies(check, plan, state))
    })
}
