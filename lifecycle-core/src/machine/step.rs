//! One step: absorb, follow, obey, decide, move.

use super::io::{Arm, Observation, Transition};
use super::state::{Group, Phase, Progress, RouteState, State};
use super::turn::Turn;
use super::{absorb, follow, gate, hooks, obey, phase};
use crate::analysis::CheckState;
use crate::backend::HealthQuery;
use crate::plan::Plan;
use crate::time::Timestamp;

/// Phases that may follow each other within one step: going back, being back, starting anew.
const MAX_PHASES: usize = 4;

/// One step of the machine. Pure and total: the same arguments always give the same transition.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use lifecycle_core::machine::{self, Desired, Observation, Phase, State};
/// # use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
/// # use lifecycle_core::time::{Millis, Timestamp};
/// # use lifecycle_core::version::parse_version;
/// let plan = PlanBuilder::new("rolling", Mode::Ratio).step(Hold::new(Weight::FULL, Millis::ZERO)).build().unwrap();
/// let state = State::serving(parse_version("1.4.0").unwrap(), "old", 3);
/// let mut observation = Observation::default();
/// observation.desired = Some(Desired::new("new".into(), parse_version("1.5.0").unwrap(), 3, Mode::Ratio));
/// let transition = machine::step(&plan, &state, Timestamp::ZERO, &observation);
/// assert_eq!(transition.state.phase, Phase::Progressing);
/// ```
#[must_use]
pub fn step(plan: &Plan, state: &State, now: Timestamp, observation: &Observation) -> Transition {
    take(Turn::new(plan, state, now, observation), state)
}

/// The same step, with what each look said about each check in [`Transition::looks`]. Nothing else differs.
#[must_use]
pub fn step_explained(plan: &Plan, state: &State, now: Timestamp, observation: &Observation) -> Transition {
    take(Turn::new(plan, state, now, observation).explained(), state)
}

fn take(mut turn: Turn<'_>, before: &State) -> Transition {
    absorb::observation(&mut turn);
    follow::spec(&mut turn);
    obey::commands(&mut turn);
    // (a command may have cleared the way for what waits)
    follow::begin(&mut turn);
    for _ in 0..MAX_PHASES {
        let phase = turn.state.phase;
        phase::decide(&mut turn);
        if turn.state.phase == phase {
            break;
        }
    }
    absorb::forget(&mut turn);
    hooks::deliver_alerts(&mut turn);
    finish(turn, before)
}

/// What a health source must be asked before the next step, and for whom; empty when no look is due.
#[must_use]
pub fn queries(plan: &Plan, state: &State, now: Timestamp) -> Vec<(Arm, HealthQuery)> {
    if state.phase != Phase::Progressing {
        return Vec::new();
    }
    gate::queries(plan, state, now)
}

fn finish(turn: Turn<'_>, before: &State) -> Transition {
    // (a wish that is repeated was saved when it was made)
    let save = !turn.events.is_empty() || turn.save_clocks() || !same_but_clocks(before, &turn.state);
    let wake_at = turn.wake_at();
    let Turn { mut state, actions, events, looks, .. } = turn;
    if save {
        state.unsaved = crate::time::Millis::ZERO;
    }
    Transition { state, actions, events, looks: looks.unwrap_or_default(), wake_at, save }
}

/// Do the two differ in nothing but clocks and in what the next observation tells again? Every field
/// is named, so that a new one cannot be forgotten.
fn same_but_clocks(a: &State, b: &State) -> bool {
    let State {
        name,
        epoch,
        phase,
        paused,
        replicas,
        spec_replicas,
        spec_paused,
        acted_on,
        revisions,
        next_revision,
        stable,
        canary,
        groups,
        route,
        token,
        progress,
        back,
        next,
        kept,
        last,
        hook,
        alerts,
        alerted,
        seen_commands,
        trouble,
        unsaved: _,
        clock: _,
    } = a;
    (epoch, phase, paused, replicas, spec_replicas, spec_paused)
        == (&b.epoch, &b.phase, &b.paused, &b.replicas, &b.spec_replicas, &b.spec_paused)
        && (acted_on, revisions, next_revision, stable, canary)
            == (&b.acted_on, &b.revisions, &b.next_revision, &b.stable, &b.canary)
        && (token, back, next, kept, last) == (&b.token, &b.back, &b.next, &b.kept, &b.last)
        && hook.as_ref().map(|hook| &hook.key) == b.hook.as_ref().map(|hook| &hook.key)
        && (name, alerts, alerted) == (&b.name, &b.alerts, &b.alerted)
        && (seen_commands, trouble) == (&b.seen_commands, &b.trouble)
        && groups.len() == b.groups.len()
        && groups.iter().zip(&b.groups).all(|(a, b)| same_group(a, b))
        && same_route(route, &b.route)
        && same_progress(progress, &b.progress)
}

fn same_group(a: &Group, b: &Group) -> bool {
    // a range that is wider than need be is safe, and observed again
    let Group { revision, wish, token, acked: _, low: _, high: _, sent: _, idle: _, seen: _ } = a;
    (revision, wish, token) == (&b.revision, &b.wish, &b.token)
}

fn same_route(a: &RouteState, b: &RouteState) -> bool {
    let RouteState { wish, token, acked: _, acknowledged: _, pending: _, sent: _ } = a;
    (wish, token) == (&b.wish, &b.token)
}

fn same_progress(a: &Progress, b: &Progress) -> bool {
    let Progress {
        step,
        entered,
        in_step: _,
        in_traffic: _,
        baked: _,
        best_baked: _,
        stalled: _,
        best: _,
        since_look: _,
        no_data: _,
        settled: _,
        promoted,
        full,
        overruled,
        rollback,
        wrapping_up,
        frozen,
        hooks_done,
        hook_failure,
        checks,
    } = a;
    (step, entered, promoted, full, overruled) == (&b.step, &b.entered, &b.promoted, &b.full, &b.overruled)
        && (rollback, wrapping_up, frozen) == (&b.rollback, &b.wrapping_up, &b.frozen)
        && (hooks_done, hook_failure) == (&b.hooks_done, &b.hook_failure)
        && checks.len() == b.checks.len()
        && checks.iter().zip(&b.checks).all(|(a, b)| same_check(a, b))
}

fn same_check(a: &CheckState, b: &CheckState) -> bool {
    (a.failures, a.inconclusive, a.errors) == (b.failures, b.inconclusive, b.errors)
}
