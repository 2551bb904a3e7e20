//! The world of the model: groups, a route, and writes on their way.

use std::collections::BTreeMap;

use lifecycle_core::backend::{GroupStatus, Route, RouteStatus, RouteWish, ScaleWish, Token};
use lifecycle_core::plan::Weight;
use lifecycle_core::version::{Revision, RevisionNumber, Version};

use super::hash;

/// A write on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Scale(ScaleWish),
    Route(RouteWish),
}

impl Write {
    pub(super) const fn token(&self) -> Token {
        match self {
            Self::Scale(wish) => wish.token,
            Self::Route(wish) => wish.token,
        }
    }
}

/// One replica group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) revision: Revision,
    pub(super) token: Token,
    pub(super) created: u32,
    pub(super) ready: u32,
    pub(super) terminating: u32,
    /// Ticks for which no route, in effect or on its way, has given it traffic.
    pub(super) quiet: u8,
}

/// The world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Env {
    pub(super) groups: BTreeMap<u8, Group>,
    pub(super) route: Option<RouteStatus>,
    pub(super) writes: Vec<Write>,
}

impl Env {
    pub(super) fn serving(n: u32, version: Version) -> Self {
        let revision = Revision::new(RevisionNumber(1), hash(1), version);
        let group =
            Group { revision, token: Token::default(), created: n, ready: n, terminating: 0, quiet: 0 };
        Self { groups: BTreeMap::from([(1, group)]), ..Self::default() }
    }

    pub(super) fn group(&mut self, number: u8) -> Option<&mut Group> {
        self.groups.get_mut(&number)
    }

    pub(super) fn statuses(&self) -> Vec<GroupStatus> {
        self.groups
            .values()
            .map(|group| {
                let mut status = GroupStatus::empty(group.revision.clone());
                status.token = group.token;
                (status.desired, status.created) = (group.created, group.created);
                (status.ready, status.available) = (group.ready, group.ready);
                status.terminating = group.terminating;
                status
            })
            .collect()
    }

    pub(super) fn send(&mut self, write: Write) {
        // the same wish twice on its way is one wish: repetition is a fault of its own
        if !self.writes.contains(&write) {
            self.writes.push(write);
        }
    }

    /// Lets the write at this place take effect (and stay on its way, when it repeats).
    pub(super) fn deliver(&mut self, at: usize, stays: bool) {
        let write = if stays { self.writes[at].clone() } else { self.writes.remove(at) };
        match write {
            Write::Scale(wish) => self.scale(&wish),
            Write::Route(wish) => {
                if self.route.as_ref().is_none_or(|status| status.token <= wish.token) {
                    self.route = Some(RouteStatus::new(wish.route, wish.token));
                }
            }
        }
    }

    fn scale(&mut self, wish: &ScaleWish) {
        let group = self.groups.entry(number(&wish.revision)).or_insert_with(|| Group {
            revision: wish.revision.clone(),
            token: Token::default(),
            created: 0,
            ready: 0,
            terminating: 0,
            quiet: 0,
        });
        if wish.token < group.token {
            return;
        }
        group.token = wish.token;
        if wish.replicas < group.created {
            // the machine asks whether any is left, not how many
            group.terminating = 1;
            group.ready = group.ready.min(wish.replicas);
        }
        group.created = wish.replicas;
    }

    /// Is a route wish with this token too late to take effect?
    pub(super) fn is_fenced_off(&self, token: Token) -> bool {
        self.route.as_ref().is_some_and(|status| status.token > token)
    }

    /// Writes that would change nothing any more, whenever they come: older ones than what is in effect,
    /// and the one that is.
    pub(super) fn forget_what_is_fenced_off(&mut self) {
        let (groups, route) = (&self.groups, &self.route);
        self.writes.retain(|write| match write {
            Write::Scale(wish) => {
                let group = groups.get(&number(&wish.revision));
                group.is_none_or(|group| group.token < wish.token)
            }
            Write::Route(wish) => route.as_ref().is_none_or(|status| status.token < wish.token),
        });
    }

    pub(super) fn each_token(&mut self, each: &mut impl FnMut(&mut Token)) {
        self.groups.values_mut().for_each(|group| each(&mut group.token));
        if let Some(status) = &mut self.route {
            each(&mut status.token);
        }
        for write in &mut self.writes {
            match write {
                Write::Scale(wish) => each(&mut wish.token),
                Write::Route(wish) => each(&mut wish.token),
            }
        }
    }

    /// The most traffic that a revision may have, now or by a write on its way.
    pub(super) fn highest(&self, hash: &str) -> Weight {
        let share = |route: &Route| crate::properties::share_of(route, hash);
        let coming = self.writes.iter().filter_map(|write| match write {
            Write::Route(wish) if !self.is_fenced_off(wish.token) => Some(share(&wish.route)),
            _ => None,
        });
        let now = self.route.as_ref().map_or(Weight::FULL, |status| share(&status.route));
        coming.fold(now, Weight::max)
    }

    pub(super) fn pass_a_tick(&mut self) {
        let quiet: Vec<(u8, bool)> = self
            .groups
            .iter()
            .map(|(&number, group)| (number, self.highest(&group.revision.hash).is_zero()))
            .collect();
        for (number, is_quiet) in quiet {
            if let Some(group) = self.groups.get_mut(&number) {
                group.quiet = if is_quiet { (group.quiet + 1).min(3) } else { 0 };
            }
        }
    }

    pub(super) fn all_ready_and_gone(&mut self) {
        for group in self.groups.values_mut() {
            group.ready = group.created;
            group.terminating = 0;
        }
    }
}

/// The versions of the model are 1.0.0, 2.0.0 and 3.0.0.
fn number(revision: &Revision) -> u8 {
    revision.version.major as u8
}
