//! What is known at the boundary: the ground on which every property is judged. Kept apart from the
//! machine's own bookkeeping, so that a mistake there is seen here.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::backend::{GroupStatus, Record, Route, RouteStatus, RouteWish, ScaleWish, Token};
use lifecycle_core::driver::Target;
use lifecycle_core::machine::{Phase, State};
use lifecycle_core::plan::{Mode, Plan, Weight};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Revision;

use super::World;

/// Identity of a revision.
pub(crate) type Hash = Arc<str>;

/// What is known of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupView {
    pub(crate) status: Option<GroupStatus>,
    /// Sizes that may still come about: the last acknowledged one, and every later wish.
    pub(crate) wishes: Vec<(Token, u32)>,
    /// Since when the group certainly has had no traffic.
    pub(crate) quiet_since: Option<Timestamp>,
}

impl GroupView {
    pub(crate) fn lowest(&self) -> u32 {
        let wishes = self.wishes.iter().map(|(_, size)| *size).min();
        wishes.or(self.status.as_ref().map(|s| s.desired)).unwrap_or(0)
    }

    pub(crate) fn highest(&self) -> u32 {
        let wished = self.wishes.iter().map(|(_, size)| *size).max().unwrap_or(0);
        wished.max(self.status.as_ref().map_or(0, |s| s.created))
    }

    pub(crate) fn available(&self) -> u32 {
        self.status.as_ref().map_or(0, |s| s.available)
    }

    pub(crate) fn ready(&self) -> u32 {
        self.status.as_ref().map_or(0, |s| s.ready)
    }

    pub(crate) fn surely_ready(&self) -> u32 {
        self.ready().min(self.lowest())
    }

    /// Available replicas that no wish can take away, if one more wish is for this size.
    pub(crate) fn available_after(&self, wish: Option<u32>) -> u32 {
        self.available().min(self.lowest()).min(wish.unwrap_or(u32::MAX))
    }
}

/// All that is known at the boundary.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) now: Timestamp,
    pub(crate) target: Option<Target>,
    pub(crate) record: Option<Record>,
    pub(crate) before: Option<Record>,
    pub(crate) groups: BTreeMap<Hash, GroupView>,
    pub(crate) route: Option<RouteStatus>,
    /// Route wishes that are not acknowledged.
    pub(crate) routes: Vec<RouteWish>,
    /// The newest route wish.
    pub(crate) asked: Option<RouteWish>,
    pub(crate) world: World,
    pub(crate) faults_over: Option<Timestamp>,
}

impl View {
    pub(crate) fn state(&self) -> Option<&State> {
        self.record.as_ref().map(|record| &record.state)
    }

    pub(crate) fn plan(&self) -> Option<&Plan> {
        self.record.as_ref().and_then(|record| record.plan.as_deref())
    }

    pub(crate) fn both(&self) -> Option<(&Plan, &State)> {
        Some((self.plan()?, self.state()?))
    }

    pub(crate) fn is_mode(&self, mode: fn(Mode) -> bool) -> bool {
        self.plan().is_some_and(|plan| mode(plan.mode()))
    }

    pub(crate) fn is_routed(&self) -> bool {
        self.is_mode(|mode| matches!(mode, Mode::Routed { .. }))
    }

    pub(crate) fn is_exclusive(&self) -> bool {
        self.is_mode(|mode| mode == Mode::Exclusive)
    }

    /// The abort of a first deployment: there is nothing to go back to.
    pub(crate) fn gives_up(&self) -> bool {
        self.state().is_some_and(|state| state.stable.is_none() && state.phase == Phase::Aborting)
    }

    pub(crate) fn stable(&self) -> Option<&Revision> {
        let state = self.state()?;
        state.stable.and_then(|number| state.revision(number))
    }

    pub(crate) fn canary(&self) -> Option<&Revision> {
        let state = self.state()?;
        state.canary.and_then(|number| state.revision(number))
    }

    pub(crate) fn group(&self, revision: Option<&Revision>) -> Option<&GroupView> {
        self.groups.get(&revision?.hash)
    }

    /// The most traffic that a revision may have: by the acknowledged route, and by every wish that
    /// is not acknowledged.
    pub(crate) fn highest_weight(&self, hash: &str) -> Weight {
        let known = self.route.iter().map(|status| &status.route);
        let wished = self.routes.iter().map(|wish| &wish.route);
        known.chain(wished).map(|route| share(route, hash)).max().unwrap_or(Weight::FULL)
    }

    pub(crate) fn quiet_for(&self, hash: &str) -> Millis {
        let since = self.groups.get(hash).and_then(|group| group.quiet_since);
        since.map_or(Millis::ZERO, |since| self.now.since(since))
    }

    pub(crate) fn observe(&mut self, statuses: &[GroupStatus]) {
        for status in statuses {
            let group = self.groups.entry(Arc::clone(&status.revision.hash)).or_default();
            if group.status.as_ref().is_some_and(|known| known.token > status.token) {
                continue;
            }
            group.wishes.retain(|(token, _)| *token > status.token);
            group.wishes.insert(0, (status.token, status.desired));
            group.status = Some(status.clone());
        }
        for (hash, group) in &mut self.groups {
            if !statuses.iter().any(|status| status.revision.hash == *hash)
                && let Some(status) = &mut group.status
            {
                (status.created, status.ready, status.available, status.terminating) = (0, 0, 0, 0);
            }
        }
        self.count_quiet();
    }

    pub(crate) fn observe_route(&mut self, status: Option<&RouteStatus>) {
        let Some(status) = status else { return };
        if self.route.as_ref().is_some_and(|known| known.token > status.token) {
            return;
        }
        self.routes.retain(|wish| wish.token > status.token);
        self.route = Some(status.clone());
        self.count_quiet();
    }

    pub(crate) fn wish(&mut self, wish: &ScaleWish) {
        // a group that was not there before had no traffic either
        let never = GroupView { quiet_since: Some(Timestamp::ZERO), ..GroupView::default() };
        let group = self.groups.entry(Arc::clone(&wish.revision.hash)).or_insert(never);
        if group.wishes.iter().all(|(token, _)| *token != wish.token) {
            group.wishes.push((wish.token, wish.replicas));
        }
        self.count_quiet();
    }

    pub(crate) fn wish_route(&mut self, wish: &RouteWish) {
        if self.routes.iter().all(|known| known.token != wish.token) {
            self.routes.push(wish.clone());
        }
        self.asked = Some(wish.clone());
        self.count_quiet();
    }

    /// Starts and stops the clocks of groups without traffic.
    fn count_quiet(&mut self) {
        let hashes: Vec<Hash> = self.groups.keys().cloned().collect();
        for hash in hashes {
            let quiet = self.route.is_some() && self.highest_weight(&hash).is_zero();
            let now = self.now;
            if let Some(group) = self.groups.get_mut(&hash) {
                group.quiet_since = if quiet { group.quiet_since.or(Some(now)) } else { None };
            }
        }
    }
}

/// The share of a revision; under the balanced route any revision may have all of it.
pub(crate) fn share(route: &Route, hash: &str) -> Weight {
    match route {
        Route::Split { canary: Some(canary), weight, .. } if &*canary.hash == hash => *weight,
        Route::Split { stable: Some(stable), weight, .. } if &*stable.hash == hash => weight.rest(),
        Route::Split { .. } => Weight::ZERO,
        _ => Weight::FULL,
    }
}
