//! What was observed goes into the state.

use std::sync::Arc;

use super::event::EventKind;
use super::hooks;
use super::io::{EffectOutcome, RouteSeen};
use super::state::{Group, Known, RouteState, Seen, State, Way};
use super::turn::Turn;
use crate::backend::{GroupStatus, Route, RouteStatus, Token};
use crate::time::Millis;
use crate::version::{Revision, RevisionNumber};

pub(super) fn observation(turn: &mut Turn<'_>) {
    let seen = turn.seen;
    clocks(turn);
    if let Some(groups) = &seen.groups {
        adopt(turn, groups);
        for status in groups {
            group(turn, status);
        }
        for at in 0..turn.state.groups.len() {
            let hash = turn.state.revision(turn.state.groups[at].revision).map(|r| Arc::clone(&r.hash));
            if !groups.iter().any(|status| Some(&status.revision.hash) == hash.as_ref()) {
                missing(&mut turn.state.groups[at]);
            }
        }
        trouble(turn, groups);
    }
    match &seen.route {
        RouteSeen::NoRouter => turn.state.route = RouteState::without_router(),
        RouteSeen::Unknown => {}
        // there was no router before: what was taken for granted then is not known of this one
        RouteSeen::At(None) if turn.state.route.token == Token::default() => {
            turn.state.route = RouteState::default();
        }
        RouteSeen::At(None) => {}
        RouteSeen::At(Some(status)) => route(turn, status),
    }
    for outcome in &seen.effects {
        match outcome {
            EffectOutcome::Hook(key, outcome) => hooks::ended(turn, key, outcome),
            EffectOutcome::Alerted(key) => turn.state.alerts.retain(|alert| alert.key != *key),
        }
    }
}

/// Groups that are of no use any more are forgotten, and with them the oldest revisions above the
/// history limit.
pub(super) fn forget(turn: &mut Turn<'_>) {
    let State { stable, canary, kept, groups, revisions, next, .. } = &mut turn.state;
    let kept = kept.map(|kept| kept.revision);
    let named = |number: RevisionNumber| [*stable, *canary, kept].contains(&Some(number));
    for group in groups.iter().filter(|group| !named(group.revision) && group.is_gone()) {
        if let Some(known) =
            Arc::make_mut(revisions).iter_mut().find(|known| known.revision.number == group.revision)
        {
            known.token = group.acked;
        }
    }
    groups.retain(|group| named(group.revision) || !group.is_gone());

    let limit = turn.plan.history_limit as usize;
    let needed = |known: &Known| {
        let number = known.revision.number;
        named(number)
            || groups.iter().any(|group| group.revision == number)
            || *next == Some(super::state::Next::Rollback(number))
    };
    let spare = revisions.iter().filter(|known| !needed(known)).count().saturating_sub(limit);
    if spare > 0 {
        let mut left = spare;
        Arc::make_mut(revisions).retain(|known| {
            let drop = left > 0 && !needed(known);
            left -= usize::from(drop);
            !drop
        });
    }
}

fn clocks(turn: &mut Turn<'_>) {
    let dt = turn.dt;
    let route = &mut turn.state.route;
    route.sent += dt;
    for group in &mut turn.state.groups {
        group.sent += dt;
        let quiet = route.highest(group.revision).is_zero();
        group.idle = if quiet { group.idle + dt } else { Millis::ZERO };
    }
}

/// A state that was lost: what serves is stable.
fn adopt(turn: &mut Turn<'_>, groups: &[GroupStatus]) {
    let fresh = turn.state.epoch == 0 && turn.state.stable.is_none() && turn.state.canary.is_none();
    if !fresh {
        return;
    }
    let routed = match &turn.seen.route {
        RouteSeen::At(Some(RouteStatus { route: Route::Split { stable: Some(stable), .. }, .. })) => {
            Some(&stable.hash)
        }
        _ => None,
    };
    let serving = groups
        .iter()
        .filter(|status| status.ready > 0)
        .max_by_key(|status| (Some(&status.revision.hash) == routed, status.ready, status.revision.number));
    if let Some(status) = serving {
        let number = known(turn, &status.revision);
        turn.state.stable = Some(number);
        turn.state.acted_on = Some(Arc::clone(&status.revision.hash));
        if turn.state.replicas == 0 {
            turn.state.replicas = status.desired.max(1);
            turn.state.spec_replicas = turn.state.replicas;
        }
        if let Some(known) = turn.known_mut(number) {
            known.promoted = 1;
        }
    }
}

/// The number of this revision, a new one when its identity is not known.
fn known(turn: &mut Turn<'_>, revision: &Revision) -> RevisionNumber {
    if let Some(known) = turn.state.by_hash(&revision.hash) {
        return known.revision.number;
    }
    add_revision(&mut turn.state, Arc::clone(&revision.hash), revision.version.clone(), revision.number.0)
}

/// Adds a revision under the next number (or a higher one that is wished for).
pub(super) fn add_revision(
    state: &mut State,
    hash: Arc<str>,
    version: crate::version::Version,
    at_least: u32,
) -> RevisionNumber {
    let number = RevisionNumber(state.next_revision.max(at_least).max(1));
    state.next_revision = number.0 + 1;
    Arc::make_mut(&mut state.revisions).push(Known {
        revision: Revision::new(number, hash, version),
        promoted: 0,
        token: Token::default(),
        failed: false,
        left: false,
    });
    number
}

fn group(turn: &mut Turn<'_>, status: &GroupStatus) {
    let number = known(turn, &status.revision);
    turn.state.token = turn.state.token.max(status.token);
    let is_new = turn.group(number).is_none();
    let forgotten = turn.state.known(number).map_or(Token::default(), |known| known.token);
    if is_new && (status.token < forgotten || is_empty(status)) {
        // as it was before it was gone, or what is left of it: a record
        return;
    }
    let group = turn.group_mut(number);
    if is_new {
        (group.wish, group.low, group.high) = (status.desired, status.desired, status.desired);
        group.token = status.token;
    }
    if status.token < group.acked {
        // older than what was acknowledged before: nothing to learn from it
        return;
    }
    group.acked = status.token;
    if status.token >= group.token {
        // what may still happen is what was acknowledged, unless somebody else changed the size
        (group.low, group.high) = (group.wish.min(status.desired), group.wish.max(status.desired));
    }
    group.seen = Seen {
        desired: status.desired,
        created: status.created,
        ready: status.ready.min(status.created),
        available: status.available.min(status.created),
        terminating: status.terminating,
        failed_attempts: status.failed_attempts,
    };
}

fn is_empty(status: &GroupStatus) -> bool {
    (status.desired, status.created, status.terminating) == (0, 0, 0)
}

/// The backend does not know the group (any more).
fn missing(group: &mut Group) {
    group.seen = Seen::default();
    group.low = 0;
    // What was acknowledged stays so: a stale watch may show the group again, as it was before.
    // A group that is to be empty and was never acknowledged stays unacknowledged: an earlier wish for
    // replicas may still come, and only a recorded token fences it off.
}

fn trouble(turn: &mut Turn<'_>, groups: &[GroupStatus]) {
    let found = groups.iter().find_map(|status| status.trouble.as_deref().map(|text| (status, text)));
    match found {
        Some((status, text)) if turn.state.trouble.as_deref() != Some(text) => {
            let message: Arc<str> = text.into();
            turn.state.trouble = Some(Arc::clone(&message));
            turn.tell(EventKind::Trouble { revision: status.revision.clone(), message });
        }
        Some(_) => {}
        None => turn.state.trouble = None,
    }
}

fn route(turn: &mut Turn<'_>, status: &RouteStatus) {
    turn.state.token = turn.state.token.max(status.token);
    let way = way(turn, &status.route);
    let route = &mut turn.state.route;
    if route.wish.is_none() {
        // set before the engine came, or by an engine whose state was lost
        route.wish = Some(way);
        route.token = status.token;
    }
    if status.token < route.acked {
        return;
    }
    route.acked = status.token;
    let before = route.acknowledged.replace(way);
    if status.token >= route.token {
        route.pending.clear();
    }
    if let (Way::Split { canary: Some(canary), weight, .. }, true) = (way, before != Some(way))
        && Some(canary) == turn.state.canary
        && !weight.is_zero()
    {
        turn.tell(EventKind::WeightReached { weight });
    }
}

fn way(turn: &mut Turn<'_>, route: &Route) -> Way {
    match route {
        Route::Balanced => Way::Balanced,
        Route::Split { stable, canary, weight } => Way::Split {
            stable: stable.as_ref().map(|revision| known(turn, revision)),
            canary: canary.as_ref().map(|revision| known(turn, revision)),
            weight: *weight,
        },
    }
}
