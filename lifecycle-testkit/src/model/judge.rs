//! Holds every decision of the model against the safety properties.

use std::sync::Arc;

use lifecycle_core::backend::{Record, RouteWish};
use lifecycle_core::machine::{Action, State, Way};
use lifecycle_core::time::{Millis, Timestamp};

use super::env::{Env, Write};
use super::{RolloutModel, TICK};
use crate::properties::safety as s;
use crate::properties::view::{GroupView, View};

/// What a saved state says.
pub(super) fn saved(before: &Record, after: &Record, overruled: bool) -> Option<String> {
    let view = View { before: Some(before.clone()), record: Some(after.clone()), ..View::default() };
    let _ = overruled;
    named("S7", s::s7_numbers_only_grow(&view)).or_else(|| named("S9", s::s9_failed_is_sticky(&view)))
}

/// What one action does, in a world in which the writes before it are on their way.
pub(super) fn action(
    model: &RolloutModel,
    old: &State,
    after: &Record,
    env: &Env,
    action: &Action,
) -> Option<String> {
    let view = view(model, old, after, env);
    match action {
        Action::Scale(wish) => named("S1", s::s1_available_stay_above_the_floor(&view, wish))
            .or_else(|| named("S2", s::s2_creates_stay_below_the_ceiling(&view, wish)))
            .or_else(|| named("S6", s::s6_drained_before_it_shrinks(&view, wish)))
            .or_else(|| named("S8", s::s8_replicas_keep_their_step(&view, wish)))
            .or_else(|| named("S10", s::s10_the_way_back_stays(&view, wish))),
        Action::Route(wish) => named("S5", s::s5_weight_follows_readiness(&view, wish))
            .or_else(|| named("S8", s::s8_weight_keeps_its_step(&view, wish)))
            .or_else(|| named("S11", s::s11_blue_green_switches_once(&view, wish))),
        _ => None,
    }
}

fn named(name: &str, finding: s::Finding) -> Option<String> {
    finding.map(|message| format!("{name}: {message}"))
}

/// The world as the properties see it: acknowledged sizes, and every write on its way.
fn view(model: &RolloutModel, old: &State, after: &Record, env: &Env) -> View {
    let now = Timestamp::from_millis(1_000_000);
    let mut view = View { now, record: Some(after.clone()), route: env.route.clone(), ..View::default() };
    for (status, group) in env.statuses().into_iter().zip(env.groups.values()) {
        let coming = env.writes.iter().filter_map(|write| match write {
            Write::Scale(wish)
                if wish.revision.hash == status.revision.hash && wish.token >= status.token =>
            {
                Some((wish.token, wish.replicas))
            }
            _ => None,
        });
        let wishes = std::iter::once((status.token, status.desired)).chain(coming).collect();
        let quiet = TICK.times(u64::from(group.quiet));
        let since = Timestamp::from_millis(now.as_millis() - quiet.get());
        let quiet_since = (quiet > Millis::ZERO).then_some(since);
        view.groups.insert(
            Arc::clone(&status.revision.hash),
            GroupView { status: Some(status), wishes, quiet_since },
        );
    }
    view.routes = env
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::Route(wish) if !env.is_fenced_off(wish.token) => Some(wish.clone()),
            _ => None,
        })
        .collect();
    view.asked = old.route.wish.map(|way| RouteWish::new(route(old, way), old.route.token));
    let _ = model;
    view
}

fn route(state: &State, way: Way) -> lifecycle_core::backend::Route {
    use lifecycle_core::backend::Route;
    match way {
        Way::Balanced => Route::Balanced,
        Way::Split { stable, canary, weight, .. } => Route::Split {
            stable: stable.and_then(|number| state.revision(number)).cloned(),
            canary: canary.and_then(|number| state.revision(number)).cloned(),
            weight,
        },
    }
}
