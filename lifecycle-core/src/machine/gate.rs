//! When a step may end: bake, checks, hooks, approval. And looking: taking measurements and judging
//! them all along, so that a bad canary is stopped before its bake is over.

use std::sync::Arc;

use super::event::{BackReason, EventKind, PauseCause};
use super::hooks::{self, HookState};
use super::io::{Arm, Measured};
use super::state::State;
use super::turn::{Turn, elapsed};
use crate::analysis::{Bound, Check, CheckState, Measurement, Verdict, explain, judge, value_of};
use crate::backend::{HealthQuery, HookPoint, Reading, Signal};
use crate::plan::{Mode, Plan, Weight};
use crate::time::{Millis, Timestamp};

/// What the gate of a step says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Gate {
    /// Not yet; look again in this long.
    Baking(Millis),
    /// The bake is over, and a check still waits for data.
    Waiting,
    /// Never.
    Failed(BackReason),
    /// A person has to say so.
    Approval,
    /// Go on, by this evidence; `None` by command.
    Passed(Option<Arc<str>>),
}

/// Asks the gate of the current step, whose replicas and weight are in place.
pub(super) fn ask(turn: &mut Turn<'_>, settled_before: bool) -> Gate {
    let hold = turn.hold();
    let interval = turn.plan.analysis.interval;
    if turn.state.paused.is_some() {
        return Gate::Baking(interval);
    }
    if turn.state.progress.promoted {
        return Gate::Passed(None);
    }
    let judged = hold.gate && !hold.weight.is_zero();
    let has_data = !judged || turn.state.progress.checks.iter().all(has_data);
    if settled_before && has_data {
        let dt = turn.dt;
        turn.state.progress.baked += dt;
    }
    if turn.state.progress.step == 0 {
        match hooks::at(turn, &[HookPoint::Smoke, HookPoint::Integration]) {
            HookState::Passed => {}
            HookState::Running => return Gate::Baking(interval),
            HookState::Failed(why) => return Gate::Failed(BackReason::HookFailed(why)),
        }
    }
    let left = hold.bake.left(turn.state.progress.baked);
    if !left.is_zero() {
        return Gate::Baking(if has_data { left.min(next_look(turn)) } else { next_look(turn) });
    }
    let evidence = if judged {
        match evidence(turn) {
            Some(evidence) => evidence,
            None => {
                turn.wake_in(next_look(turn));
                return Gate::Waiting;
            }
        }
    } else {
        format!("ready for {}", hold.bake).into()
    };
    if hold.approval { Gate::Approval } else { Gate::Passed(Some(evidence)) }
}

fn has_data(check: &CheckState) -> bool {
    !matches!(check.last, Some(Measurement::NoData | Measurement::Error(_)))
}

/// Time until the next look. One that is overdue was not answered: it is asked again an interval later.
fn next_look(turn: &Turn<'_>) -> Millis {
    let interval = turn.plan.analysis.interval;
    let left = interval.left(turn.state.progress.since_look);
    if left.is_zero() { interval } else { left }
}

/// What every check said last, when that is a pass for each.
fn evidence(turn: &Turn<'_>) -> Option<Arc<str>> {
    let mut parts = Vec::new();
    for (check, state) in turn.plan.analysis.checks.iter().zip(&turn.state.progress.checks) {
        if !applies(check, &turn.state) {
            continue;
        }
        match state.last {
            Some(Measurement::Pass(_)) => parts.push(check.to_string()),
            _ => return None,
        }
    }
    let known = turn.state.progress.checks.len() >= turn.plan.analysis.checks.len();
    match (known || turn.plan.analysis.checks.is_empty(), parts.is_empty()) {
        (false, _) => None,
        (true, true) => Some(format!("ready for {}", turn.hold().bake).into()),
        (true, false) => Some(parts.join(", ").into()),
    }
}

/// Checks that compare with stable mean nothing when there is none.
fn applies(check: &Check, state: &State) -> bool {
    state.stable.is_some() || matches!(check.bound, Bound::Value(_))
}

/// Is everything measured that the checks will compare with once stable has less traffic or none?
pub(super) fn references_taken(turn: &mut Turn<'_>) -> bool {
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
        wanted && turn.state.progress.checks.get(at).is_none_or(|state| state.reference.is_none())
    });
    if missing && turn.state.progress.stalled >= turn.plan.analysis.no_data_limit {
        turn.pause(PauseCause::NoData);
    }
    if missing {
        turn.wake_in(next_look(turn));
    }
    !missing
}

/// Takes the measurements of this step into account. Says why the rollout must go back, if it must.
pub(super) fn look(turn: &mut Turn<'_>) -> Option<BackReason> {
    let traffic = has_traffic(turn.plan, &turn.state);
    if traffic {
        let dt = turn.dt;
        turn.state.progress.in_traffic += dt;
    } else {
        forget_passes(turn);
    }
    if !is_worth_a_look(turn.plan, &turn.state) {
        turn.state.progress.since_look = Millis::ZERO;
        return None;
    }
    turn.wake_in(next_look(turn));
    if turn.seen.health.is_empty() {
        return None;
    }
    let checks = turn.plan.analysis.checks.len();
    turn.state.progress.checks.resize_with(checks, CheckState::default);
    let since = std::mem::take(&mut turn.state.progress.since_look);
    take_references(turn);
    if !traffic || !turn.hold().gate {
        return None;
    }
    let worst = measure(turn);
    let quiet = turn.state.progress.checks.iter().any(|check| !has_data(check));
    let progress = &mut turn.state.progress;
    if quiet {
        progress.no_data += since;
        progress.baked = progress.baked.left(since);
    } else {
        progress.no_data = Millis::ZERO;
    }
    match worst {
        Verdict::Failed => return failure(turn),
        Verdict::Error => turn.pause(PauseCause::MeasurementErrors),
        Verdict::Inconclusive => turn.pause(PauseCause::Inconclusive),
        _ if turn.state.progress.no_data >= turn.plan.analysis.no_data_limit => {
            turn.pause(PauseCause::NoData)
        }
        _ => {}
    }
    None
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
fn measure(turn: &mut Turn<'_>) -> Verdict {
    let plan = turn.plan;
    let seen = turn.seen;
    let mut worst = Verdict::Running;
    for (at, check) in plan.analysis.checks.iter().enumerate() {
        if !applies(check, &turn.state) {
            continue;
        }
        let signal = check.metric.signal();
        let canary = reading(&seen.health, &signal, Arm::Canary);
        if canary.is_none() {
            continue;
        }
        let stable = reading(&seen.health, &signal, Arm::Stable);
        let state = &mut turn.state.progress.checks[at];
        let measurement = judge(check, &plan.analysis, canary, stable, state.reference);
        let before = state.last.map(kind);
        state.record(measurement, &plan.analysis);
        let verdict = state.verdict(&plan.analysis);
        worst = worst.worse(verdict);
        if before != Some(kind(measurement)) && !matches!(measurement, Measurement::Waiting) {
            let message = explain(check, measurement, state.reference, canary, stable);
            turn.tell(EventKind::Measured {
                check: Arc::clone(check.text()),
                verdict: kind(measurement).into(),
                message: message.into(),
            });
        }
    }
    worst
}

fn kind(measurement: Measurement) -> &'static str {
    match measurement {
        Measurement::Pass(_) => "Pass",
        Measurement::Fail(_) => "Fail",
        Measurement::Waiting => "Waiting",
        Measurement::NoData => "NoData",
        Measurement::Inconclusive => "Inconclusive",
        Measurement::Error(_) => "Error",
    }
}

/// The sentence of the first check that failed.
fn failure(turn: &Turn<'_>) -> Option<BackReason> {
    let plan = turn.plan;
    plan.analysis.checks.iter().zip(&turn.state.progress.checks).find_map(|(check, state)| {
        let measurement = state.last.filter(|_| state.verdict(&plan.analysis) == Verdict::Failed)?;
        let signal = check.metric.signal();
        let canary = reading(&turn.seen.health, &signal, Arm::Canary);
        let stable = reading(&turn.seen.health, &signal, Arm::Stable);
        let sentence = explain(check, measurement, state.reference, canary, stable);
        Some(BackReason::CheckFailed(sentence.into()))
    })
}

/// Remembers what stable measures, for the time when it has no traffic; the baseline only while the
/// canary certainly has none.
fn take_references(turn: &mut Turn<'_>) {
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

fn requests(reading: &Reading) -> Option<u64> {
    match reading {
        Reading::Counts { requests, .. } => Some(*requests),
        Reading::Histogram(histogram) => Some(histogram.total()),
        Reading::NoData | Reading::Scalar(_) | Reading::Increase(_) | Reading::Replicas(_) => None,
    }
}

fn reading<'m>(health: &'m [Measured], signal: &Signal, arm: Arm) -> Option<&'m Result<Reading, String>> {
    health
        .iter()
        .find(|measured| measured.arm == arm && measured.signal == *signal)
        .map(|measured| &measured.reading)
}

/// Does the canary get requests?
fn has_traffic(plan: &Plan, state: &State) -> bool {
    let Some(canary) = state.canary else { return false };
    match plan.mode {
        Mode::Routed { .. } => !state.route.acknowledged_weight(canary).is_zero(),
        Mode::Ratio | Mode::Exclusive => state.group(canary).is_some_and(|group| group.seen.ready > 0),
    }
}

/// Is there anything to measure? Not while the canary has no traffic, but for what stable measures and
/// the canary will be compared with.
fn is_worth_a_look(plan: &Plan, state: &State) -> bool {
    let judged = has_traffic(plan, state) && state.hold(plan).gate;
    let checks = &plan.analysis.checks;
    checks.iter().any(|check| {
        let compared = state.stable.is_some() && !matches!(check.bound, Bound::Value(_));
        compared || (judged && applies(check, state))
    })
}

/// What must be asked before the next step, for whom, over which window: since the canary has had
/// traffic in this step, at most the trailing window; for stable the same, or its full window while
/// the canary has none.
pub(super) fn queries(plan: &Plan, state: &State, now: Timestamp) -> Vec<(Arm, HealthQuery)> {
    let analysis = &plan.analysis;
    let dt = elapsed(plan, state, now);
    let progress = &state.progress;
    let due =
        progress.since_look + dt >= analysis.interval && progress.in_step + dt >= analysis.initial_delay;
    if analysis.checks.is_empty() || !due {
        return Vec::new();
    }
    let traffic = has_traffic(plan, state);
    let since = (progress.in_traffic + dt).min(analysis.window);
    let canary =
        state.canary.filter(|_| traffic && state.hold(plan).gate).and_then(|number| state.revision(number));
    let stable = state.stable.and_then(|number| state.revision(number));
    let mut wanted: Vec<(Arm, HealthQuery)> = Vec::with_capacity(4);
    let mut want = |arm, query: HealthQuery| {
        if !wanted.iter().any(|(other, known)| *other == arm && known.signal == query.signal) {
            wanted.push((arm, query));
        }
    };
    for check in analysis.checks.iter().filter(|check| applies(check, state)) {
        let signal = check.metric.signal();
        if let Some(canary) = canary {
            want(Arm::Canary, HealthQuery::new(signal.clone(), canary.clone(), since));
        }
        if let (Some(stable), false) = (stable, matches!(check.bound, Bound::Value(_))) {
            let window = if canary.is_some() { since } else { analysis.window };
            want(Arm::Stable, HealthQuery::new(signal, stable.clone(), window));
        }
    }
    wanted
}
