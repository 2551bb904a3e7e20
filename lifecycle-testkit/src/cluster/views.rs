//! What was to be seen, for observations that lag behind.

use std::collections::VecDeque;

use lifecycle_core::backend::{GroupStatus, RouteStatus};
use lifecycle_core::time::Timestamp;

use super::faults::STALE_BY;

/// What was to be seen from some time on.
#[derive(Debug)]
pub(super) struct View {
    from: Timestamp,
    pub(super) groups: Vec<GroupStatus>,
    pub(super) route: Option<RouteStatus>,
}

/// What was to be seen for as long as observations may lag behind.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// Oldest first.
    list: VecDeque<View>,
    /// Something changed at this time that no view shows yet: many things may change in one instant.
    changed: Option<Timestamp>,
}

impl Views {
    pub(super) const fn change(&mut self, now: Timestamp) {
        self.changed = Some(now);
    }

    /// The time of a change that no view shows yet.
    pub(super) const fn take_change(&mut self) -> Option<Timestamp> {
        self.changed.take()
    }

    pub(super) fn show(&mut self, from: Timestamp, groups: Vec<GroupStatus>, route: Option<RouteStatus>) {
        // the one that was in effect just before the lag is kept
        while self.list.get(1).is_some_and(|view| view.from + STALE_BY <= from) {
            self.list.pop_front();
        }
        self.list.push_back(View { from, groups, route });
    }

    /// What an observation that lags behind shows.
    pub(super) fn stale(&self, now: Timestamp) -> Option<&View> {
        let shown = self.list.iter().rev().find(|view| view.from + STALE_BY <= now);
        shown.or_else(|| self.list.front())
    }
}
