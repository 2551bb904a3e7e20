//! The sequential judge in a rollout: its share of alpha, when it counts, and what it has to know before.

use std::sync::Arc;

use super::{applies, has_traffic};
use crate::analysis::{
    Check, CheckState, Measurement, NoBound, Question, Sequential, SequentialJudge, SequentialState,
    Tempering,
};
use crate::backend::{Reading, Span};
use crate::machine::event::EventKind;
use crate::machine::io::Arm;
use crate::machine::state::State;
use crate::machine::turn::Turn;
use crate::plan::{Hold, Mode, Plan, Weight};
use crate::stats::Alpha;
use crate::time::Millis;

/// How the checks are judged in the step that the rollout is in.
pub(super) struct Judges {
    rules: Option<Sequential>,
    /// Of one check in this step.
    alpha: Alpha,
    full: bool,
    min_requests: u64,
}

impl Judges {
    pub(super) fn new(plan: &Plan, state: &State) -> Self {
        let rules = plan.analysis.sequential;
        let alpha = rules.map_or(Alpha::DEFAULT, |rules| {
            rules.alpha.shared_by(tests(plan, state).max(1)).part(gate_share(plan, state))
        });
        // (where replicas are the share of traffic, stable may be gone sooner than the canary is whole)
        let full = state.hold(plan).weight == Weight::FULL || !matches!(plan.mode, Mode::Routed { .. });
        Self { rules, alpha, full, min_requests: plan.analysis.min_requests }
    }

    /// The judge of this check; `None` when a window is looked at.
    pub(super) fn of(&self, check: &Check) -> Option<SequentialJudge> {
        let Self { rules, alpha, full, min_requests } = *self;
        let (rules, question) = (rules?, Question::of(check)?);
        Some(SequentialJudge { question, rules, alpha, full, min_requests })
    }
}

/// How many checks share alpha.
fn tests(plan: &Plan, state: &State) -> usize {
    let analysis = &plan.analysis;
    let shares = |check: &&Check| {
        Question::of(check).is_some() && applies(check, plan, state) && !analysis.is_dry_run(check)
    };
    analysis.checks.iter().filter(shares).count()
}

/// This step's share of alpha, in inverse proportion to its weight. A share s makes a verdict later by ln(1/s) of evidence,
/// which comes in proportion to the canary's requests c: the sum of the delays, of ln(1/s) / c over the steps, is least for
/// shares in proportion to 1/c.
fn gate_share(plan: &Plan, state: &State) -> f64 {
    let part = |hold: &Hold| match hold.gate && !hold.weight.is_zero() {
        true => 1.0 / f64::from(hold.weight.get()),
        false => 0.0,
    };
    // (a first deployment has a step of its own)
    let all: f64 = plan.steps.iter().map(part).sum();
    let own = part(&state.hold(plan));
    if state.stable.is_none() || all <= 0.0 || own <= 0.0 { 1.0 } else { own / all }
}

pub(super) const fn is_tempered_by_stable(rules: &Sequential) -> bool {
    matches!(rules.temper, Tempering::Measured)
}

/// Do requests count now? With a router not while its weight changes: the shares of the two would change within a look.
pub(super) fn counts(plan: &Plan, state: &State) -> bool {
    let hold = state.hold(plan);
    let Some(canary) = state.canary.filter(|_| hold.gate) else { return false };
    match plan.mode {
        Mode::Routed { .. } => {
            let weight = state.route.acknowledged_weight(canary);
            !weight.is_zero() && weight == hold.weight
        }
        Mode::Ratio | Mode::Exclusive => has_traffic(plan, state, state.canary),
    }
}

/// Is the first look of this step to be taken at once, so long after this state? What comes from then on counts.
pub(super) fn begins(plan: &Plan, state: &State, dt: Millis) -> bool {
    let waits = |(check, state): (&Check, &CheckState)| {
        let Some((known, question)) = state.sequential.as_deref().zip(Question::of(check)) else {
            return false;
        };
        let unanswered = matches!(state.last, Some(Measurement::Error(_) | Measurement::NoData));
        known.mark.is_none() && known.is_prepared(question) && !unanswered
    };
    plan.analysis.sequential.is_some()
        && state.paused.is_none()
        && state.progress.in_step + dt >= plan.analysis.initial_delay
        && counts(plan, state)
        && plan.analysis.checks.iter().zip(&state.progress.checks).any(waits)
}

/// Was the first look of this step asked for already? From now on it was.
pub(super) fn was_asked(turn: &mut Turn<'_>) -> bool {
    let mut asked = false;
    for known in turn.state.progress.checks.iter_mut().filter_map(|check| check.sequential.as_deref_mut()) {
        asked |= std::mem::replace(&mut known.asked, true);
    }
    asked
}

/// What has to be known of stable before the first look: how its failures clump, and what it measures.
pub(super) fn prepare(turn: &mut Turn<'_>) {
    let (plan, seen) = (turn.plan, turn.seen);
    let untouched = turn.state.canary.is_some_and(|canary| turn.state.route.highest(canary).is_zero());
    let judges = Judges::new(plan, &turn.state);
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        let Some(judge) = judges.of(check).filter(|_| applies(check, plan, &turn.state)) else {
            continue;
        };
        let has_stable = turn.state.stable.is_some();
        let state = turn.state.progress.checks[at].sequential.get_or_insert_default();
        let question = judge.question;
        let mut newly = None;
        let of_stable = |wanted: &dyn Fn(&Span) -> bool| {
            let signal = question.signal();
            let answers =
                seen.health.iter().filter(move |said| said.arm == Arm::Stable && said.signal == signal);
            answers.filter(move |said| wanted(&said.span)).find_map(|said| said.reading.as_ref().ok())
        };
        // once: what is taken again while stable loses its traffic is no draw of its own, and the fewer requests the worse.
        // (other checks ask for other windows)
        let may_take = untouched || (question.is_relative() && !state.has_base());
        if let Some(reading) = of_stable(&|span| *span == Span::Window(plan.analysis.window))
            && question.needs_stable()
            && may_take
            && requests(reading) >= plan.analysis.min_requests.max(1)
        {
            let before = state.no_bound;
            state.take_base(question, reading);
            newly = state.no_bound.filter(|_| before.is_none());
        }
        let replicas = of_stable(&|span| matches!(span, Span::Replicas { .. }));
        take_temper(state, &judge, replicas, has_stable);
        if let Some(no_bound) = newly {
            tell(turn, check, no_bound);
        }
    }
}

/// Says at once what the rollout would wait for in vain.
fn tell(turn: &mut Turn<'_>, check: &Check, no_bound: NoBound) {
    let dry = if turn.plan.analysis.is_dry_run(check) { " (dry run)" } else { "" };
    let message = format!("{}{dry}", no_bound.say(check)).into();
    turn.tell(EventKind::Measured { check: Arc::clone(check.text()), verdict: "Error".into(), message });
}

fn take_temper(
    state: &mut SequentialState,
    judge: &SequentialJudge,
    replicas: Option<&Reading>,
    has_stable: bool,
) {
    let none = Vec::new();
    match (judge.rules.temper, replicas) {
        _ if state.temper.is_some() => {}
        (Tempering::Fixed(eta), _) => state.temper_given(eta),
        (Tempering::Measured, Some(Reading::Replicas(replicas))) => {
            state.take_temper(judge.question, replicas)
        }
        // nobody can tell its replicas apart, or there is none
        (Tempering::Measured, Some(_)) => state.take_temper(judge.question, &none),
        (Tempering::Measured, None) if !has_stable => state.take_temper(judge.question, &none),
        (Tempering::Measured, None) => {}
    }
}

/// Is everything known that has to be, before the canary gets its first request?
pub(super) fn is_prepared(judges: &Judges, state: &State, at: usize, check: &Check) -> bool {
    let Some(judge) = judges.of(check) else { return true };
    if !judge.question.needs_stable() && !is_tempered_by_stable(&judge.rules) {
        return true;
    }
    let known = state.progress.checks.get(at).and_then(|check| check.sequential.as_deref());
    known.is_some_and(|known| known.is_prepared(judge.question))
}

/// Does every sequential check rule out what the early pass shall rule out?
pub(super) fn may_pass_early(plan: &Plan, state: &State) -> bool {
    let analysis = &*plan.analysis;
    if analysis.sequential.is_none_or(|rules| rules.early_pass.is_none()) {
        return false;
    }
    let checks = analysis.checks.iter().zip(&state.progress.checks);
    let judges = Judges::new(plan, state);
    let decides = |check: &Check| {
        judges.of(check).is_some() && applies(check, plan, state) && !analysis.is_dry_run(check)
    };
    let mut certified = checks
        .filter(|(check, _)| decides(check))
        .map(|(_, state)| state.sequential.as_ref().is_some_and(|known| known.certified))
        .peekable();
    certified.peek().is_some() && certified.all(|certified| certified)
}

/// Is a look that is due now one of the canary and stable at once?
pub(super) fn with_stable(plan: &Plan, state: &State, judge: &SequentialJudge) -> bool {
    judge.question.is_relative() && has_traffic(plan, state, state.stable)
}

fn requests(reading: &Reading) -> u64 {
    match reading {
        Reading::Counts { requests, .. } => *requests,
        Reading::Histogram(histogram) => histogram.total(),
        Reading::NoData | Reading::Scalar(_) | Reading::Increase(_) | Reading::Replicas(_) => 0,
    }
}
