//! The liveness properties L1 to L8, judged at the end of a run or while time passes.

use lifecycle_core::machine::{Outcome, Phase, State, Way};
use lifecycle_core::plan::{Mode, Weight};
use lifecycle_core::time::Millis;

use super::End;
use super::safety::Finding;
use super::view::View;

/// L1, L6: once nothing is left to do, the newest spec was acted on, stable has its replicas, and nothing
/// else runs but what is kept.
pub(crate) fn l1_the_desired_state_is_reached(view: &View, end: End) -> Finding {
    let (plan, state) = view.both()?;
    match end {
        End::CutOff => return None,
        // a person was asked for, and that is told
        End::Waits => return state.paused.is_none().then(|| "waits for nobody".to_owned()),
        // (a version that flaps never comes to rest, and stable may be one)
        End::GaveUp if state.paused.is_some() => return None,
        End::GaveUp if state.phase == Phase::Aborting && stable_fails(state) => return None,
        End::GaveUp => {
            return Some(format!("not settled: {:?}, step {}", state.phase, state.progress.step + 1));
        }
        End::Settled => {}
    }
    if state.is_active() || state.next.is_some() {
        return Some(format!("still {:?}", state.phase));
    }
    if let Some(target) = &view.target
        && state.acted_on.as_deref() != Some(&*target.desired.hash)
    {
        return Some(format!("{} was asked for and nothing was done", target.desired.version));
    }
    let promoted = matches!(&state.last, Some(ended) if ended.outcome == Outcome::Promoted);
    if promoted && view.stable().map(|revision| &*revision.hash) != state.acted_on.as_deref() {
        return Some("promoted, but not what was asked for".to_owned());
    }
    let stable = view.stable().map(|revision| revision.hash.clone());
    let kept =
        state.kept.and_then(|kept| state.revision(kept.revision)).map(|revision| revision.hash.clone());
    for group in &view.world.groups {
        let hash = &group.revision.hash;
        if Some(hash) == stable.as_ref() {
            // (whether they stay ready is up to the version: one that flaps may have passed every gate)
            if group.created != state.replicas {
                return Some(format!("stable has {} of {} replicas", group.created, state.replicas));
            }
        } else if Some(hash) != kept.as_ref() && group.created > 0 && (stable.is_some() || group.ready == 0) {
            return Some(format!("{} still has {} replicas", group.revision, group.created));
        }
    }
    let has_stable = view.world.groups.iter().any(|group| Some(&group.revision.hash) == stable.as_ref());
    (stable.is_some() && !has_stable && state.replicas > 0 && plan.history_limit() < u32::MAX)
        .then(|| "stable has no replicas".to_owned())
}

/// Has stable failed its own readiness? The way back then waits for it, and says so.
fn stable_fails(state: &State) -> bool {
    let stable = state.stable.and_then(|number| state.group(number));
    stable.is_some_and(|group| group.seen.failed_attempts > 0)
}

/// L2: no phase stays without progress for ever: at the end of a run that did not settle the rollout
/// waits for a person, or a deadline is still running.
pub(crate) fn l2_every_phase_has_a_deadline(view: &View) -> Finding {
    let (plan, state) = view.both()?;
    let stalled = state.progress.stalled;
    let bound = plan.progress_deadline() + plan.analysis().interval.times(4) + Millis::from_secs(60);
    let forward = matches!(state.phase, Phase::Progressing | Phase::Promoting);
    (forward && state.paused.is_none() && stalled > bound).then(|| format!("no progress for {stalled}"))
}

/// L3: the way back takes at most 4 effects with a router and a whole stable, else 2N + 4. (A stable that
/// shrinks with its weight is not whole.)
pub(crate) fn l3_the_way_back_is_short(view: &View, effects: usize, replicas: u32, whole: bool) -> Finding {
    let plan = view.plan()?;
    let n = replicas as usize;
    let whole = whole && plan.mode() == Mode::Routed { dynamic_stable: false };
    let bound = if whole { 4 } else { 2 * n + 4 };
    (plan.mode() != Mode::Exclusive && effects > bound)
        .then(|| format!("the way back took {effects} effects, at most {bound}"))
}

/// L4: a failed gate changes the wanted split in the same step, if stable can carry it.
pub(crate) fn l4_going_back_is_at_once(view: &View) -> Finding {
    let (before, after) = (&view.before.as_ref()?.state, view.state()?);
    let turned = before.phase != Phase::Aborting && after.phase == Phase::Aborting;
    if !turned || !view.is_routed() || after.stable.is_none() {
        return None;
    }
    let dynamic = view.is_mode(|mode| mode == Mode::Routed { dynamic_stable: true });
    let ready = view.group(view.stable()).map_or(0, super::view::GroupView::surely_ready);
    let able = !dynamic && ready >= after.replicas.div_ceil(2).max(1);
    let wanted = match after.route.wish {
        Some(Way::Split { canary, weight, .. }) if canary == after.canary => weight,
        _ => Weight::ZERO,
    };
    (able && !wanted.is_zero()).then(|| format!("weight {wanted} is still asked for after the gate failed"))
}

/// L5: after convergence, no more writes.
pub(crate) fn l5_no_writes_at_rest(writes_at_rest: usize) -> Finding {
    (writes_at_rest > 0).then(|| format!("{writes_at_rest} writes after everything had settled"))
}

/// L7: without data for five minutes the rollout pauses; it is never promoted on no data.
pub(crate) fn l7_no_data_pauses(view: &View, without_data: Millis) -> Finding {
    let (plan, state) = view.both()?;
    // (a state that is loaded again has lost up to a minute of its clocks, each time)
    let slack = plan.analysis().interval.times(4) + Millis::from_secs(130);
    let bound = plan.analysis().no_data_limit + slack;
    (state.phase == Phase::Progressing && state.paused.is_none() && without_data > bound)
        .then(|| format!("no data for {without_data}, and the rollout goes on"))
}

/// L8: unready old replicas can always be removed: where a rollout has come to its end, no older revision
/// without a single ready replica is left, but for one that is kept.
pub(crate) fn l8_no_unready_revision_is_left(view: &View, end: End) -> Finding {
    let state = view.state()?;
    if end != End::Settled {
        return None;
    }
    let kept = state.kept.and_then(|kept| state.revision(kept.revision)).map(|revision| &revision.hash);
    let stable = view.stable().map(|revision| &revision.hash);
    view.world.groups.iter().find_map(|group| {
        let hash = Some(&group.revision.hash);
        (hash != kept && hash != stable && group.created > 0 && group.ready == 0)
            .then(|| format!("{} has {} replicas, none of them ready", group.revision, group.created))
    })
}
