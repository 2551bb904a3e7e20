//! Each look as a sentence, where somebody wants to be told of all of them.

use std::sync::Arc;

use super::look::Said;
use super::{applies, has_traffic, sequential};
use crate::analysis::{AnalysisPlan, Arm, Bound, Check, CheckState, Measurement, Metric, SequentialJudge};
use crate::machine::look::Look;
use crate::machine::turn::Turn;

/// Tells of a look that was taken.
pub(super) fn measured(turn: &mut Turn<'_>, at: usize, check: &Check, measurement: Measurement, said: Said) {
    let Some(looks) = &mut turn.looks else { return };
    let analysis = &turn.plan.analysis;
    let Said { mut message, counted, judge } = said;
    if let (Some(window), None) = (counted, &judge) {
        message += &format!(" in {}", window.coarse());
    }
    let dry = analysis.is_dry_run(check);
    if let Some(state) = turn.state.progress.checks.get(at) {
        message += &needed(analysis, check, state, measurement, judge.as_ref(), dry);
    }
    if dry {
        message += " (dry run)";
    }
    let look = Look::new(turn.now, Arc::clone(check.text()), message);
    looks.push(look.measured(measurement, counted));
}

/// How far it is from deciding something, where the sentence does not say so by itself.
fn needed(
    analysis: &AnalysisPlan,
    check: &Check,
    state: &CheckState,
    measurement: Measurement,
    judge: Option<&SequentialJudge>,
    dry: bool,
) -> String {
    let more = |limit: u32| limit.saturating_add(1);
    match measurement {
        Measurement::Waiting if check.metric == Metric::RequestRate => {
            format!(", and a window is {}", analysis.window)
        }
        Measurement::Waiting if judge.is_some() => {
            format!("; it passes with minRequests, {}", analysis.min_requests)
        }
        Measurement::Waiting => format!(", minRequests is {}", analysis.min_requests),
        _ if dry => String::new(),
        Measurement::Pass(_) => match (judge, state.sequential.as_deref()) {
            (Some(judge), Some(known)) if known.certified => {
                judge.rules.early_pass.map_or_else(String::new, |early| {
                    format!("; it is less than {} times as bad: the bake may end early", early.ratio)
                })
            }
            _ => String::new(),
        },
        Measurement::Fail(_) if judge.is_some() => String::new(),
        Measurement::Fail(_) => {
            format!("; failure {} of the {} that fail it", state.failures, more(analysis.failure_limit))
        }
        Measurement::NoData => {
            format!("; time stands still, and after {} the rollout pauses", analysis.no_data_limit)
        }
        Measurement::Inconclusive => {
            let limit = more(analysis.inconclusive_limit);
            format!("; inconclusive {} of the {limit} that pause the rollout", state.inconclusive)
        }
        Measurement::Error(_) => {
            let limit = more(analysis.consecutive_error_limit);
            format!("; error {} of the {limit} in a row that pause the rollout", state.errors)
        }
    }
}

/// Tells why a look did not count.
pub(super) fn uncounted(turn: &mut Turn<'_>, check: &Check, why: impl Into<Arc<str>>) {
    let Some(looks) = &mut turn.looks else { return };
    looks.push(Look::new(turn.now, Arc::clone(check.text()), why));
}

/// Tells why a check that counts all that came has nothing to say, though it was looked at.
pub(super) fn nothing_new(turn: &mut Turn<'_>, at: usize, check: &Check, is_first: bool) {
    if turn.looks.is_none() {
        return;
    }
    let known = turn.state.progress.checks.get(at).and_then(|state| state.sequential.as_deref());
    let why = match known {
        Some(known) if !is_first => {
            let silent = known.silent().coarse();
            format!(
                "nothing was counted of one of the versions for {silent}: what comes counts with the next look"
            )
        }
        _ => "what comes from now on counts".to_owned(),
    };
    uncounted(turn, check, why);
}

/// Tells why there is no look, where it is not only that none is due.
pub(super) fn idle(turn: &mut Turn<'_>) {
    if turn.looks.is_none() {
        return;
    }
    let plan = turn.plan;
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        if let Some(why) = why_idle(turn, at, check) {
            uncounted(turn, check, why);
        }
    }
}

fn why_idle(turn: &Turn<'_>, at: usize, check: &Check) -> Option<String> {
    let (plan, state) = (turn.plan, &turn.state);
    if !applies(check, plan, state) {
        return Some(left_out(check).to_owned());
    }
    if !turn.hold().gate {
        return Some("this step is not judged".to_owned());
    }
    if !has_traffic(plan, state, state.canary) {
        let why = if waits_for_stable(turn, at, check) {
            "what stable measures is asked for first"
        } else {
            "the canary gets no requests yet"
        };
        return Some(why.to_owned());
    }
    let delay = plan.analysis.initial_delay;
    if state.progress.in_step < delay {
        return Some(format!("no look in the first {delay} of a step (initialDelay)"));
    }
    let judge = sequential::Judges::new(plan, state).of(check)?;
    let known = state.progress.checks.get(at).and_then(|state| state.sequential.as_deref());
    if known.is_none_or(|known| !known.is_prepared(judge.question)) {
        return Some("what stable measures is asked for first".to_owned());
    }
    (!sequential::counts(plan, state)).then(|| "nothing counts while the weight changes".to_owned())
}

/// Why a check is not looked at in this rollout.
pub(super) const fn left_out(check: &Check) -> &'static str {
    match (check.arm, check.bound) {
        (Arm::Stable, _) => "stable gets no requests that could be measured",
        (Arm::Canary, Bound::Value(_)) => "there is nothing to measure",
        (Arm::Canary, Bound::Stable(_) | Bound::Baseline(_)) => "there is no stable version to compare with",
    }
}

/// Is what the check compares with not known yet?
fn waits_for_stable(turn: &Turn<'_>, at: usize, check: &Check) -> bool {
    let (plan, state) = (turn.plan, &turn.state);
    let judges = sequential::Judges::new(plan, state);
    let known = state.progress.checks.get(at);
    let by_window = judges.of(check).is_none() && !matches!(check.bound, Bound::Value(_));
    (by_window && known.is_none_or(|known| known.reference.is_none()))
        || !sequential::is_prepared(&judges, state, at, check)
}
