//! What must be asked before the next step.

use super::sequential::{self, Judges};
use super::{applies, has_traffic};
use crate::analysis::{BIN, BINS, Bound, SequentialJudge};
use crate::backend::{HealthQuery, Signal, Span};
use crate::machine::io::Arm;
use crate::machine::state::State;
use crate::machine::turn::elapsed;
use crate::plan::Plan;
use crate::time::Timestamp;
use crate::version::Revision;

/// What must be asked before the next step, for whom, over which span of time. Each question once.
///
/// - For a check that is judged by a window: since the canary has had traffic in this step, at most the trailing window;
///   for stable the same, or its full window while the canary has none.
/// - For one that is judged by all that came: since the look before; and before the first one what has to be known of
///   stable.
pub(in super::super) fn queries(plan: &Plan, state: &State, now: Timestamp) -> Vec<(Arm, HealthQuery)> {
    let analysis = &plan.analysis;
    let dt = elapsed(plan, state, now);
    let progress = &state.progress;
    let overdue = progress.since_look + dt >= analysis.interval || sequential::begins(plan, state, dt);
    let judged = has_traffic(plan, state, state.canary) && state.hold(plan).gate;
    // (what is compared with is measured before)
    let too_early = judged && progress.in_step + dt < analysis.initial_delay;
    if analysis.checks.is_empty() || !overdue || too_early {
        return Vec::new();
    }
    let canary = state.canary.filter(|_| judged).and_then(|number| state.revision(number));
    let stable = state.stable.and_then(|number| state.revision(number));
    let since = (progress.in_traffic + dt).min(analysis.window);
    let mut asked = Asked { canary, stable, wanted: Vec::with_capacity(4) };
    let judges = Judges::new(plan, state);
    for (at, check) in analysis.checks.iter().enumerate().filter(|(_, check)| applies(check, plan, state)) {
        if let Some(judge) = judges.of(check) {
            sequential_queries(plan, state, (at, &judge), &mut asked);
            continue;
        }
        let signal = check.metric().signal();
        if check.arm == Arm::Canary {
            asked.want(Arm::Canary, &signal, Span::Window(since));
        }
        let of_stable = check.arm == Arm::Stable && canary.is_some();
        if of_stable || !matches!(check.bound(), Bound::Value(_)) {
            let window = if canary.is_some() { since } else { analysis.window };
            asked.want(Arm::Stable, &signal, Span::Window(window));
        }
    }
    asked.wanted
}

fn sequential_queries(
    plan: &Plan,
    state: &State,
    (at, judge): (usize, &SequentialJudge),
    asked: &mut Asked<'_>,
) {
    let (question, signal) = (judge.question, judge.question.signal());
    let known = state.progress.checks.get(at).and_then(|check| check.sequential.as_deref());
    if sequential::is_tempered_by_stable(&judge.rules) && known.is_none_or(|known| known.temper.is_none()) {
        asked.want(Arm::Stable, &signal, Span::Replicas { width: BIN, bins: BINS });
    }
    let based = known.is_some_and(|known| known.has_base());
    if question.needs_stable() && (asked.canary.is_none() || !based) {
        asked.want(Arm::Stable, &signal, Span::Window(plan.analysis.window));
    }
    // what needs nothing of stable, and has none, is prepared by its first look
    let needs_nothing = !question.needs_stable()
        && (asked.stable.is_none() || !sequential::is_tempered_by_stable(&judge.rules));
    let prepared = needs_nothing || known.is_some_and(|known| known.is_prepared(question));
    if prepared && sequential::counts(plan, state) {
        let since = Span::Since(known.and_then(|known| known.mark));
        asked.want(Arm::Canary, &signal, since);
        if sequential::with_stable(plan, state, judge) {
            asked.want(Arm::Stable, &signal, since);
        }
    }
}

struct Asked<'a> {
    /// Where it has requests that are judged.
    canary: Option<&'a Revision>,
    stable: Option<&'a Revision>,
    wanted: Vec<(Arm, HealthQuery)>,
}

impl Asked<'_> {
    fn want(&mut self, arm: Arm, signal: &Signal, span: Span) {
        let revision = match arm {
            Arm::Stable => self.stable,
            Arm::Canary => self.canary,
        };
        let Some(revision) = revision else { return };
        let is_known = |(other, query): &(Arm, HealthQuery)| {
            *other == arm && query.signal == *signal && query.span == span
        };
        if !self.wanted.iter().any(is_known) {
            self.wanted.push((arm, HealthQuery::over(signal.clone(), revision.clone(), span)));
        }
    }
}
