//! The cluster itself: what every handle shares.

use std::collections::BTreeMap;

use lifecycle_core::backend::{GroupStatus, Record, Route, RouteStatus, RouteWish, ScaleWish, Token};
use lifecycle_core::report::Requests;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::{Revision, Version};

use crate::properties::{Fact, Monitor, World};

use super::ClusterConfig;
use super::faults::{Fate, Fault, Faults, LATE_BY, STALE_BY};
use super::groups::Groups;
use super::hooks::Hooks;
use super::profile::Profile;
use super::queue::{Queue, Work};
use super::rng::Chance;
use super::traffic::{Arm, Traffic};
use super::views::Views;

/// How long the first revision has served before the origin of time.
pub(crate) const HISTORY: Millis = Millis::from_secs(600);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: ClusterConfig,
    pub(super) now: Timestamp,
    pub(super) chance: Chance,
    pub(super) queue: Queue,
    pub(super) groups: Groups,
    profiles: BTreeMap<Version, Profile>,
    traffic: Traffic,
    /// The route in effect.
    pub(super) route: Option<RouteStatus>,
    /// Up to here the fate of every request is drawn.
    drawn: i64,
    pub(super) faults: Faults,
    pub(super) hooks: Hooks,
    pub(super) record: Option<(Record, u64)>,
    pub(super) monitor: Option<Monitor>,
    world: World,
    views: Views,
    pub(super) min_available: u32,
    pub(super) max_total: u32,
    /// Something happened that a watch would tell.
    pub(super) noticed: bool,
}

impl Inner {
    pub(super) fn new(config: ClusterConfig, seed: u64) -> Self {
        Self {
            now: Timestamp::ZERO,
            chance: Chance::new(seed),
            queue: Queue::default(),
            groups: Groups::new(config.pod_start, config.probe),
            profiles: BTreeMap::new(),
            traffic: Traffic::new(config.traffic, 0),
            route: None,
            drawn: 0,
            faults: Faults::default(),
            hooks: Hooks::default(),
            record: None,
            monitor: None,
            world: World::default(),
            views: Views::default(),
            min_available: 0,
            max_total: 0,
            noticed: false,
            config,
        }
    }

    pub(super) fn see(&mut self, fact: Fact<'_>) {
        if let Some(monitor) = &mut self.monitor {
            monitor.see(self.now, fact);
        }
    }

    fn profile(&self, version: &Version) -> Profile {
        self.profiles
            .get(version)
            .copied()
            .unwrap_or_else(|| Profile::default().capacity(self.config.capacity))
    }

    /// This version behaves so from now on.
    pub(super) fn set_profile(&mut self, version: &Version, profile: Profile) {
        self.settle();
        self.profiles.insert(version.clone(), profile);
        for at in 0..self.groups.list.len() {
            if self.groups.list[at].revision.version == *version {
                self.groups.set_profile(at, profile, self.now, &mut self.queue);
            }
        }
        self.reroute();
    }

    /// This revision serves already, and has for ten minutes.
    pub(super) fn deploy(&mut self, revision: &Revision, replicas: u32) {
        let known = HISTORY.get().min(self.config.retention.get()) as i64;
        let at = self.groups.add(revision, self.profile(&revision.version), -known);
        self.groups.add_veterans(at, replicas, HISTORY, &mut self.queue);
        self.min_available = self.groups.totals().1;
        self.traffic.at = -known;
        self.drawn = -known;
        self.reroute();
        self.settle();
        self.traffic.counted = Requests::default();
        self.groups.list[at].stats.forget_failed();
        self.changed();
    }

    // ---- time ----------------------------------------------------------------------------------

    /// Lets everything happen up to this time; stops early at the end of an instant in which
    /// something happened that a watch would tell.
    pub(super) fn advance(&mut self, to: Timestamp, stop_when_noticed: bool) {
        while let Some((at, work)) = self.queue.pop(to) {
            if at > self.now {
                self.show();
            }
            self.now = at.max(self.now);
            self.happen(work);
            if stop_when_noticed && self.noticed && self.queue.next().is_none_or(|next| next > self.now) {
                return;
            }
        }
        self.show();
        self.now = to.max(self.now);
    }

    fn happen(&mut self, work: Work) {
        if !matches!(work, Work::Notice) {
            self.serve_until_now();
        }
        match work {
            Work::Notice => self.noticed = true,
            Work::Scale(wish) => {
                let now = self.now.as_millis() as i64;
                let at = self.groups.add(&wish.revision, self.profile(&wish.revision.version), now);
                if self.groups.record(at, &wish) {
                    self.groups.reconcile(at, self.now, &mut self.queue);
                    self.changed();
                }
            }
            Work::Route(wish) => {
                if self.route.as_ref().is_none_or(|route| route.token < wish.token) {
                    self.route = Some(RouteStatus::new(wish.route, wish.token));
                    self.changed();
                }
            }
            Work::Start(id) => {
                if self.groups.start(id, self.now, &mut self.queue) {
                    self.changed();
                }
            }
            Work::Probe(id, generation) => match self.groups.probe(id, generation, self.now, &mut self.queue)
            {
                Some(true) => self.changed(),
                Some(false) => self.notice(),
                None => {}
            },
            Work::Gone(id) => {
                if self.groups.gone(id) {
                    self.changed();
                }
            }
            Work::Reconcile(at) => {
                self.groups.reconcile(at, self.now, &mut self.queue);
                self.changed();
            }
        }
    }

    /// The world is not what it was.
    pub(super) fn changed(&mut self) {
        // a window that begins with this change is known exactly
        self.settle();
        self.reroute();
        let (created, ready) = self.groups.totals();
        self.min_available = self.min_available.min(ready);
        self.max_total = self.max_total.max(created);
        if let Some(monitor) = &mut self.monitor {
            self.groups.world(&mut self.world.groups);
            self.world.route = self.route.as_ref().map(|status| status.route.clone());
            monitor.see(self.now, Fact::World(&self.world));
        }
        self.views.change(self.now);
        self.notice();
    }

    /// Whoever watches looks, as soon as the watch tells.
    fn notice(&mut self) {
        if self.faults.is_stale(self.now) {
            self.queue.push(self.now + STALE_BY, Work::Notice);
        }
        self.noticed = true;
    }

    // ---- what is to be seen --------------------------------------------------------------------

    /// At the end of an instant: what is to be seen from it on.
    fn show(&mut self) {
        if let Some(from) = self.views.take_change() {
            self.views.show(from, self.groups.statuses(from), self.route.clone());
        }
    }

    pub(super) fn seen_groups(&mut self) -> Vec<GroupStatus> {
        if self.faults.is_stale(self.now) {
            self.show();
            return self.views.stale(self.now).map_or_else(Vec::new, |view| view.groups.clone());
        }
        self.groups.statuses(self.now)
    }

    pub(super) fn seen_route(&mut self) -> Option<RouteStatus> {
        if self.faults.is_stale(self.now) {
            self.show();
            return self.views.stale(self.now).and_then(|view| view.route.clone());
        }
        self.route.clone()
    }

    pub(super) fn world(&mut self) -> &World {
        self.groups.world(&mut self.world.groups);
        self.world.route = self.route.as_ref().map(|status| status.route.clone());
        &self.world
    }

    // ---- writes and faults ---------------------------------------------------------------------

    pub(super) fn submit_scale(&mut self, wish: &ScaleWish) {
        self.submit(|| Work::Scale(wish.clone()));
    }

    pub(super) fn submit_route(&mut self, wish: &RouteWish) {
        self.submit(|| Work::Route(wish.clone()));
    }

    /// A write is on its way.
    fn submit(&mut self, work: impl Fn() -> Work) {
        if self.faults.fate(self.now) == Fate::IsLost {
            return;
        }
        let mut at = self.now + self.config.api_latency;
        if self.faults.delays(self.now) {
            at = at + Millis(self.chance.below(LATE_BY.get() + 1));
        }
        self.queue.push(at, work());
        if self.faults.repeats(self.now) {
            let later = Millis(self.chance.below(LATE_BY.get() + 1));
            self.queue.push(at + later, work());
        }
    }

    pub(super) fn begin(&mut self, fault: Fault, span: Millis) {
        let until = self.now + span;
        if fault == Fault::PodKill {
            self.serve_until_now();
            if let Some(at) = self.groups.kill_newest() {
                self.queue.push(self.now + self.config.api_latency, Work::Reconcile(at));
                self.changed();
            }
            return;
        }
        if matches!(fault, Fault::StaleWatch | Fault::ApiUnavailable) {
            // a watch that is back tells everything that it missed
            self.queue.push(until, Work::Notice);
        }
        self.faults.begin(fault, until);
    }

    // ---- traffic -------------------------------------------------------------------------------

    fn reroute(&mut self) {
        let list = &self.groups.list;
        let arms: Vec<Arm> =
            list.iter().map(|group| Arm { ready: group.ready, capacity: group.profile.capacity }).collect();
        let find = |number| list.iter().position(|group| group.revision.number.0 == number);
        self.traffic.reroute(self.route.as_ref().map(|status| &status.route), &arms, find);
    }

    /// Hands out every request up to now, before something changes.
    pub(super) fn serve_until_now(&mut self) {
        self.serve(self.now.as_millis() as i64);
    }

    /// Hands out every request up to this time. Long stretches are cut, so that any window within
    /// the retention is known to one grain.
    fn serve(&mut self, to: i64) {
        let (grain, retention) = (self.config.grain.get() as i64, self.config.retention.get() as i64);
        let list = &mut self.groups.list;
        let mut cut = self.drawn.max(to - retention - grain);
        while cut + grain < to {
            cut += grain;
            if cut >= self.traffic.at {
                self.traffic.advance(cut, |at, n| list[at].stats.served(n));
                for group in list.iter_mut() {
                    let latency = self.config.measure_latency.then_some(&group.latency);
                    group.stats.draw(&mut self.chance, group.profile.error_rate, latency);
                    group.stats.snapshot(cut, retention);
                }
                self.drawn = cut;
            }
        }
        self.traffic.advance(to, |at, n| list[at].stats.served(n));
    }

    /// Draws the fate of every request up to now.
    pub(super) fn settle(&mut self) {
        let now = self.now.as_millis() as i64;
        self.serve(now);
        let retention = self.config.retention.get() as i64;
        for group in &mut self.groups.list {
            let latency = self.config.measure_latency.then_some(&group.latency);
            group.stats.draw(&mut self.chance, group.profile.error_rate, latency);
            group.stats.snapshot(now, retention);
        }
        self.drawn = now;
    }

    pub(super) fn requests(&mut self) -> Requests {
        self.settle();
        let mut requests = self.traffic.counted;
        requests.failed = self.groups.list.iter().map(|group| group.stats.failed()).sum();
        requests
    }

    /// This route is in effect, without a wish for it.
    pub(super) fn set_route(&mut self, route: Route) {
        self.route = Some(RouteStatus::new(route, Token::default()));
        self.changed();
    }
}
