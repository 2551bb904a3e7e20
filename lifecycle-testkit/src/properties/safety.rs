//! The safety properties S1 to S12 and S16, one function each. Each answers with a sentence when a
//! fact breaks it.

use lifecycle_core::analysis::{Arm, Bound, Check};
use lifecycle_core::backend::{HookCall, Route, RouteWish, ScaleWish};
use lifecycle_core::machine::{BackReason, Phase, State};
use lifecycle_core::plan::{Mode, Plan, Size, Weight, replicas};
use lifecycle_core::time::Millis;

use super::view::{View, share};

/// What a property says of a fact: nothing, or what is wrong.
pub(crate) type Finding = Option<String>;

/// S1 (not recreate): no effect takes available replicas below N - maxUnavailable, counting what was
/// already asked to die.
pub(crate) fn s1_available_stay_above_the_floor(view: &View, wish: &ScaleWish) -> Finding {
    let (plan, state) = view.both()?;
    if plan.mode() == Mode::Exclusive || view.gives_up() {
        return None;
    }
    let n = state.replicas;
    let floor = n - plan.limits(n).unavailable;
    let sum = |wish: Option<&ScaleWish>| -> u32 {
        let one = |(hash, group): (&super::view::Hash, &super::view::GroupView)| {
            group.available_after(wish.filter(|wish| wish.revision.hash == *hash).map(|wish| wish.replicas))
        };
        view.groups.iter().map(one).sum()
    };
    let (before, after) = (sum(None), sum(Some(wish)));
    (after < before && after < floor).then(|| {
        format!("{} to {} leaves {after} available of {before}, floor {floor}", wish.revision, wish.replicas)
    })
}

/// S2: no create takes replicas above the plan's ceiling.
pub(crate) fn s2_creates_stay_below_the_ceiling(view: &View, wish: &ScaleWish) -> Finding {
    let (plan, state) = view.both()?;
    let now = view.groups.get(&wish.revision.hash).map_or(0, super::view::GroupView::highest);
    if wish.replicas <= now {
        return None;
    }
    let others: u32 = view
        .groups
        .iter()
        .filter(|(hash, _)| **hash != wish.revision.hash)
        .map(|(_, group)| group.highest())
        .sum();
    let total = others + wish.replicas;
    let ceiling = ceiling(view, plan, state);
    (total > ceiling)
        .then(|| format!("{} to {} makes {total}, ceiling {ceiling}", wish.revision, wish.replicas))
}

fn ceiling(view: &View, plan: &Plan, state: &State) -> u32 {
    let n = state.replicas;
    let stable = view.stable().map(|revision| &revision.hash);
    let older: u32 =
        view.groups.iter().filter(|(hash, _)| Some(*hash) != stable).map(|(_, group)| group.highest()).sum();
    match (plan.mode(), state.phase) {
        (Mode::Ratio, _) => n + plan.limits(n).surge,
        (Mode::Exclusive, _) => n,
        (Mode::Routed { .. }, Phase::Progressing | Phase::Aborting) => n + state.hold(plan).size.of(n),
        (Mode::Routed { .. }, Phase::Promoting) => n + n,
        // stable keeps its size; what is left of older revisions counts on top
        (_, _) => n + older,
    }
}

/// S3: maxSurge and maxUnavailable of zero and zero cannot be built.
pub(crate) fn s3_something_can_move(plan: &Plan, n: u32) -> Finding {
    let limits = plan.limits(n);
    (n > 0 && limits.surge == 0 && limits.unavailable == 0).then(|| "nothing can move".to_owned())
}

/// S4: what routes requests is one of the vectors that were wished for, whole.
pub(crate) fn s4_routes_are_atomic(view: &View, wished: &[Route]) -> Finding {
    let route = view.world.route.as_ref()?;
    let initial = view.asked.is_none();
    (!initial && !wished.contains(route)).then(|| format!("{route:?} was never wished for"))
}

/// S5: the canary's weight rises only when enough of its replicas are ready; the way back needs half
/// of stable.
pub(crate) fn s5_weight_follows_readiness(view: &View, wish: &RouteWish) -> Finding {
    let (plan, state) = view.both()?;
    let canary = view.canary()?;
    let (before, after) = (asked_share(view, &canary.hash)?, share(&wish.route, &canary.hash));
    let n = state.replicas;
    let ready = |revision| view.group(revision).map_or(0, super::view::GroupView::surely_ready);
    if matches!(wish.route, Route::Balanced) || !view.is_routed() {
        return None;
    }
    if after > before {
        let hold = state.hold(plan);
        let explicit = hold.size != Size::Share(hold.weight) && after < Weight::FULL;
        let need = if explicit { after.of(n).min(hold.size.of(n)) } else { after.of(n) }.max(1);
        let have = ready(Some(canary));
        return (have < need)
            .then(|| format!("weight {before} to {after} with {have} of {need} canary replicas ready"));
    }
    if after < before && state.stable.is_some() {
        let dynamic = plan.mode() == Mode::Routed { dynamic_stable: true };
        let need = if dynamic { after.rest().of(n) } else { n.div_ceil(2).max(1) };
        let have = ready(view.stable());
        return (have < need)
            .then(|| format!("weight {before} to {after} with {have} of {need} stable replicas ready"));
    }
    None
}

fn asked_share(view: &View, hash: &str) -> Option<Weight> {
    match &view.asked {
        Some(wish) => match &wish.route {
            Route::Balanced => None,
            route => Some(share(route, hash)),
        },
        None => Some(Weight::ZERO),
    }
}

/// S6: a revision shrinks only when its traffic is certainly gone and drained, or the rest carries it.
pub(crate) fn s6_drained_before_it_shrinks(view: &View, wish: &ScaleWish) -> Finding {
    let (plan, state) = view.both()?;
    let group = view.groups.get(&wish.revision.hash)?;
    let split = matches!(view.route.as_ref().map(|status| &status.route), Some(Route::Split { .. }));
    if wish.replicas >= group.lowest() || !split || view.is_exclusive() || view.gives_up() {
        return None;
    }
    let weight = view.highest_weight(&wish.revision.hash);
    let n = state.replicas;
    if weight.is_zero() {
        let quiet = view.quiet_for(&wish.revision.hash);
        let empty = group.highest() == 0 || group.status.as_ref().is_none_or(|status| status.created == 0);
        return (quiet < plan.drain() && !empty)
            .then(|| format!("{} shrinks {quiet} after its traffic, drain {}", wish.revision, plan.drain()));
    }
    let hold = state.hold(plan);
    let is_canary = view.canary().is_some_and(|canary| canary.hash == wish.revision.hash);
    let explicit = is_canary && hold.size != Size::Share(hold.weight) && weight < Weight::FULL;
    let need = if explicit { weight.of(n).min(hold.size.of(n)) } else { weight.of(n) }.max(1);
    (wish.replicas < need).then(|| {
        format!("{} to {} cannot carry its weight of {weight} ({need})", wish.revision, wish.replicas)
    })
}

/// S7: epochs and tokens grow, older acknowledgements are ignored, revision numbers are never reused.
pub(crate) fn s7_numbers_only_grow(view: &View) -> Finding {
    let (before, after) = (&view.before.as_ref()?.state, view.state()?);
    if after.epoch < before.epoch || after.token < before.token || after.next_revision < before.next_revision
    {
        return Some(format!(
            "epoch {} to {}, token {} to {}",
            before.epoch, after.epoch, before.token, after.token
        ));
    }
    let older = before.groups.iter().find_map(|old| {
        let new = after.group(old.revision)?;
        (new.acked < old.acked)
            .then(|| format!("{}: {} is believed after {}", old.revision, new.acked, old.acked))
    });
    let older_route = (after.route.acked < before.route.acked)
        .then(|| format!("route: {} is believed after {}", after.route.acked, before.route.acked));
    if let Some(finding) = older.or(older_route) {
        return Some(finding);
    }
    before.revisions.iter().find_map(|known| {
        let now = after.revision(known.revision.number)?;
        (now.hash != known.revision.hash)
            .then(|| format!("{} is {} and was {}", now.number, now.hash, known.revision.hash))
    })
}

/// S8: the asked-for weight never falls before the way back, never exceeds its step, never grows after.
pub(crate) fn s8_weight_keeps_its_step(view: &View, wish: &RouteWish) -> Finding {
    let (plan, state) = view.both()?;
    let canary = view.canary()?;
    let (before, after) = (asked_share(view, &canary.hash)?, share(&wish.route, &canary.hash));
    if matches!(wish.route, Route::Balanced) || !view.is_routed() {
        return None;
    }
    match state.phase {
        Phase::Progressing if after > state.hold(plan).weight => {
            Some(format!("weight {after} in a step of {}", state.hold(plan).weight))
        }
        Phase::Progressing | Phase::Promoting if after < before => {
            Some(format!("weight falls from {before} to {after}"))
        }
        Phase::Aborting if after > before => {
            Some(format!("weight grows from {before} to {after} on the way back"))
        }
        _ => None,
    }
}

/// S8 without a router: the canary grows to the replicas of its step's weight, not further.
pub(crate) fn s8_replicas_keep_their_step(view: &View, wish: &ScaleWish) -> Finding {
    let (plan, state) = view.both()?;
    let is_canary = view.canary().is_some_and(|canary| canary.hash == wish.revision.hash);
    let before = view.groups.get(&wish.revision.hash).map_or(0, super::view::GroupView::highest);
    let steps = plan.mode() == Mode::Ratio && state.phase == Phase::Progressing && state.stable.is_some();
    // a replacement that is paused in its middle is scaled in proportion , as a paused Deployment is
    let frozen = state.paused.is_some() && state.hold(plan).weight == Weight::FULL;
    if frozen || !steps || !is_canary || wish.replicas <= before {
        return None;
    }
    let (n, weight) = (state.replicas, state.hold(plan).weight);
    let split = replicas::split(n, weight.get(), 100, plan.limits(n).surge).canary;
    // (where the table would send a rising canary back to 0, it keeps the whole replicas of its weight)
    let most = split.max((weight.get() * n / 100).max(1));
    (wish.replicas > most)
        .then(|| format!("{} to {} in a step of {weight}, at most {most}", wish.revision, wish.replicas))
}

/// S9: a revision that failed in its epoch is not promoted in it.
pub(crate) fn s9_failed_is_sticky(view: &View) -> Finding {
    let (before, after) = (&view.before.as_ref()?.state, view.state()?);
    let went_back = before.phase == Phase::Aborting && before.epoch == after.epoch;
    let forward = matches!(after.phase, Phase::Progressing | Phase::Promoting);
    if went_back && forward {
        return Some("goes forward again in the epoch in which it went back".to_owned());
    }
    (went_back && after.stable.is_some() && after.stable == before.canary)
        .then(|| "promoted after it failed".to_owned())
}

/// S9: no data is never a pass: a step with checks and traffic ends by a measurement with data, or by a
/// command.
pub(crate) fn s9_no_data_is_never_a_pass(view: &View, with_data: bool, overruled: bool) -> Finding {
    let (before, after) = (view.before.as_ref()?, view.record.as_ref()?);
    let (old, plan) = (&before.state, before.plan.as_deref()?);
    if !leaves_a_step(old, &after.state) || overruled || with_data {
        return None;
    }
    let hold = old.hold(plan);
    // (what is measured of stable is no data of the canary)
    let applies = |check: &Check| {
        check.arm() == Arm::Canary && (old.stable.is_some() || matches!(check.bound(), Bound::Value(_)))
    };
    let judged = hold.gate && !hold.weight.is_zero() && plan.analysis().checks.iter().any(applies);
    judged.then(|| format!("step {} ended without data", old.progress.step + 1))
}

/// Did the rollout go on from a step in this save?
fn leaves_a_step(old: &State, new: &State) -> bool {
    old.phase == Phase::Progressing
        && old.epoch == new.epoch
        && (new.phase == Phase::Promoting
            || new.progress.step > old.progress.step
            || new.stable == old.canary)
}

/// S10: the rollback target is kept until promotion; the only ready revision is never deleted.
pub(crate) fn s10_the_way_back_stays(view: &View, wish: &ScaleWish) -> Finding {
    let (plan, state) = view.both()?;
    if plan.mode() == Mode::Exclusive || view.gives_up() {
        return None;
    }
    let is_stable = view.stable().is_some_and(|stable| stable.hash == wish.revision.hash);
    if is_stable && wish.replicas == 0 && view.is_routed() && state.canary.is_some() {
        return Some(format!("the rollback target {} is deleted before promotion", wish.revision));
    }
    let group = view.groups.get(&wish.revision.hash)?;
    let others = view.groups.iter().filter(|(hash, _)| **hash != wish.revision.hash);
    let alone = others.map(|(_, group)| group.surely_ready()).sum::<u32>() == 0;
    // maxUnavailable may allow that nobody serves
    let allowed = plan.mode() == Mode::Ratio && plan.limits(state.replicas).unavailable >= state.replicas;
    if wish.replicas == 0 && group.surely_ready() > 0 && alone && !allowed {
        return Some(format!("the only ready revision {} is deleted", wish.revision));
    }
    let kept = state
        .kept
        // (what is decided in the step that promotes is decided before it is kept)
        .filter(|kept| view.before.as_ref().is_none_or(|before| before.state.kept == Some(*kept)))
        .filter(|kept| state.revision(kept.revision).is_some_and(|r| r.hash == wish.revision.hash))?;
    let quiet = view.quiet_for(&wish.revision.hash);
    (wish.replicas < group.lowest() && quiet < kept.after)
        .then(|| format!("{} shrinks after {quiet}, it is kept for {}", wish.revision, kept.after))
}

/// S11: blue-green weights are 0 or 100, one switch, after green is fully available.
pub(crate) fn s11_blue_green_switches_once(view: &View, wish: &RouteWish) -> Finding {
    let (plan, state) = view.both()?;
    if plan.strategy() != "blue-green" {
        return None;
    }
    let canary = view.canary()?;
    let after = share(&wish.route, &canary.hash);
    if !matches!(after.get(), 0 | 100) {
        return Some(format!("weight {after}"));
    }
    let rises = after == Weight::FULL && asked_share(view, &canary.hash) == Some(Weight::ZERO);
    let ready = view.group(Some(canary)).map_or(0, super::view::GroupView::surely_ready);
    (rises && ready < state.replicas)
        .then(|| format!("switched with {ready} of {} green replicas ready", state.replicas))
}

/// S12: recreate never runs old and new together.
pub(crate) fn s12_recreate_is_exclusive(view: &View) -> Finding {
    let state = view.state()?;
    if !view.is_exclusive() || !state.is_active() {
        return None;
    }
    let running: Vec<String> = view
        .world
        .groups
        .iter()
        .filter(|group| group.created + group.terminating > 0)
        .map(|group| group.revision.to_string())
        .collect();
    (running.len() > 1).then(|| running.join(" and ") + " run together")
}

/// S16: no clock jump shortens a bake: a step takes at least its bake of true time, unless a person
/// promoted it. (Drain and keep windows: S6 and S10, which are judged by true time too.)
pub(crate) fn s16_steps_take_their_time(view: &View, entered: Option<Millis>, overruled: bool) -> Finding {
    let (before, after) = (view.before.as_ref()?, view.record.as_ref()?);
    let (old, new) = (&before.state, &after.state);
    if !leaves_a_step(old, new) || overruled {
        return None;
    }
    let bake = old.hold(before.plan.as_deref()?).bake;
    let spent = entered?;
    (spent < bake).then(|| format!("a bake of {bake} took {spent}"))
}

/// S16: nor does anything shorten a deadline: a rollout that goes back for want of progress has had at
/// least that time, in truth, since it started.
pub(crate) fn s16_deadlines_take_their_time(view: &View, since_start: Millis) -> Finding {
    let (before, plan) = (view.before.as_ref()?, view.plan()?);
    let state = view.state()?;
    let turned = before.state.phase != Phase::Aborting && state.phase == Phase::Aborting;
    let in_vain = matches!(state.back, Some(BackReason::ProgressDeadlineExceeded { .. }));
    (turned && in_vain && since_start < plan.progress_deadline())
        .then(|| format!("no progress for {}, {since_start} after the start", plan.progress_deadline()))
}

/// Hooks run for the revision that is rolled out (or was just promoted), never for another.
pub(crate) fn s9_hooks_are_for_the_canary(view: &View, call: &HookCall) -> Finding {
    let subject = view.canary().or(view.stable())?;
    (subject.hash != call.revision.hash).then(|| format!("{} is called for {}", call.key, call.revision))
}
