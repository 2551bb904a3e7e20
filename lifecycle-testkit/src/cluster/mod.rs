//! A simulated cluster in virtual time: replicas that start, get ready, drain and die; requests that
//! are split, served, failed and refused; and everything that can go wrong.
//!
//! Every call answers at once in real time and nothing sleeps: the caller moves the clock. A write
//! takes effect [`ClusterConfig::api_latency`] of virtual time after it was made.
//!
//! # Example
//! ```
//! # use lifecycle_testkit::cluster::{Cluster, ClusterConfig, at_once};
//! # use lifecycle_core::backend::{ScaleWish, Token, Workload};
//! # use lifecycle_core::time::Millis;
//! # use lifecycle_core::version::{Revision, RevisionNumber, Version};
//! let cluster = Cluster::new(ClusterConfig::default(), 0);
//! let workload = cluster.workload();
//! let revision = Revision::new(RevisionNumber(1), "abc", Version::new(1, 4, 0));
//! at_once(workload.scale(&ScaleWish::new(revision, 3, Token(1), Millis::from_secs(5)))).unwrap().unwrap();
//!
//! cluster.advance(Millis::from_secs(19));
//! assert_eq!(at_once(workload.observe()).unwrap().unwrap()[0].ready, 0);
//! cluster.advance(Millis::from_secs(2));
//! assert_eq!(at_once(workload.observe()).unwrap().unwrap()[0].ready, 3);
//! ```

mod faults;
mod groups;
mod handles;
mod hooks;
mod inner;
mod others;
mod pod;
mod profile;
mod queue;
mod rng;
mod stats;
#[cfg(test)]
mod tests;
mod traffic;
mod views;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lifecycle_core::backend::{Alert, Backends, Record, Route, Splitting};
use lifecycle_core::machine::State;
use lifecycle_core::report::Requests;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::{Revision, Version};

pub use faults::{Fault, LATE_BY, STALE_BY};
pub use handles::{SimHealth, SimHooks, SimNotifier, SimRouter, SimStore, SimWorkload};
pub use hooks::HookBehaviour;
pub(crate) use inner::HISTORY;
pub use pod::Probe;
pub use profile::{Profile, Rate, Readiness};

use crate::properties::{Fact, Monitor, Sometimes, Violation, World};
use inner::Inner;

/// What a cluster is like. The defaults are those of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// From the creation of a replica until its process runs. Default 20 s.
    pub pod_start: Millis,
    /// From a write until it takes effect. Default 20 ms.
    pub api_latency: Millis,
    /// Requests that come in. Default 500 a second.
    pub traffic: Rate,
    /// How finely the router splits. Default [`Splitting::Weighted`].
    pub splitting: Splitting,
    /// The most that one replica takes, of versions whose profile was not set. Default no limit.
    pub capacity: Option<Rate>,
    /// How readiness is probed.
    pub probe: Probe,
    /// The longest window that the health source knows. Default 5 min.
    pub retention: Millis,
    /// A window may begin up to this much later than it was asked to. Default 10 s.
    pub grain: Millis,
    /// Are request durations measured? Leaving it out saves time. Default yes.
    pub measure_latency: bool,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            pod_start: Millis::from_secs(20),
            api_latency: Millis(20),
            traffic: Rate::per_second(500),
            splitting: Splitting::Weighted,
            capacity: None,
            probe: Probe::default(),
            retention: Millis::from_secs(300),
            grain: Millis::from_secs(10),
            measure_latency: true,
        }
    }
}

/// A simulated cluster. Cheap to clone: every clone is the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    inner: Arc<Mutex<Inner>>,
}

impl Cluster {
    /// An empty cluster at time 0.
    #[must_use]
    pub fn new(mut config: ClusterConfig, seed: u64) -> Self {
        config.grain = Millis(config.grain.get().max(1));
        Self { inner: Arc::new(Mutex::new(Inner::new(config, seed))) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // a poisoned lock means that a test has failed already
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This revision serves already with these many ready replicas, has done so for ten minutes, and
    /// the store knows it.
    pub fn deploy(&self, revision: &Revision, replicas: u32) {
        let inner = &mut *self.lock();
        inner.deploy(revision, replicas);
        let state = State::serving(revision.version.clone(), Arc::clone(&revision.hash), replicas);
        inner.record = Some((Record::of(state), 1));
    }

    /// This version behaves so from now on, replicas that run included.
    pub fn set_profile(&self, version: &Version, profile: Profile) {
        self.lock().set_profile(version, profile);
    }

    /// A hook with this URL goes this way.
    pub fn set_hook(&self, url: impl Into<Arc<str>>, behaviour: HookBehaviour) {
        self.lock().hooks.behave(url.into(), behaviour);
    }

    /// This route is in effect from now on, as if somebody else had set it before the first wish.
    pub fn set_route(&self, route: Route) {
        self.lock().set_route(route);
    }

    /// Something goes wrong from now on, for this long.
    pub fn begin(&self, fault: Fault, span: Millis) {
        self.lock().begin(fault, span);
    }

    /// The writer dies at the write after this many more: that call never answers, nor does any
    /// after it, until this is taken back with `None`. Writes are saves, sizes, routes, hooks and
    /// alerts.
    pub fn crash_after(&self, writes: Option<u64>) {
        let faults = &mut self.lock().faults;
        faults.crash_after = writes.map(|n| faults.writes + n);
    }

    /// Writes that were begun so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().faults.writes
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Lets this much time pass.
    pub fn advance(&self, span: Millis) {
        let inner = &mut *self.lock();
        inner.advance(inner.now + span, false);
    }

    /// Lets time pass up to this time, or to the end of an instant in which something happened that
    /// a watch would tell. Answers with the time and with whether there was such a thing.
    #[must_use]
    pub fn advance_until_noticed(&self, to: Timestamp) -> (Timestamp, bool) {
        let inner = &mut *self.lock();
        if !inner.noticed {
            inner.advance(to, true);
        }
        (inner.now, std::mem::take(&mut inner.noticed))
    }

    /// Is a wish, a start or a stop on its way?
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.lock().queue.is_moving()
    }

    /// Every replica group.
    #[must_use]
    pub fn workload(&self) -> Arc<SimWorkload> {
        Arc::new(SimWorkload(self.clone()))
    }

    /// The router.
    #[must_use]
    pub fn router(&self) -> Arc<SimRouter> {
        Arc::new(SimRouter(self.clone()))
    }

    /// The measurements.
    #[must_use]
    pub fn health(&self) -> Arc<SimHealth> {
        Arc::new(SimHealth(self.clone()))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<SimStore> {
        Arc::new(SimStore(self.clone()))
    }

    /// All backends at once, for a driver.
    #[must_use]
    pub fn backends(&self) -> Backends {
        Backends::new(self.workload(), self.store())
            .router(self.router())
            .health(self.health())
            .hooks(Arc::new(SimHooks(self.clone())))
            .notifier(Arc::new(SimNotifier(self.clone())))
    }

    /// From here on every property is checked.
    pub fn watch(&self, monitor: Monitor) {
        self.lock().monitor = Some(monitor);
    }

    /// Tells the properties something that the cluster cannot see by itself.
    pub fn see(&self, fact: Fact<'_>) {
        self.lock().see(fact);
    }

    /// Properties that were broken so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().monitor.as_ref().map_or_else(Vec::new, |monitor| monitor.violations().to_vec())
    }

    /// The rare paths that were taken so far.
    #[must_use]
    pub fn sometimes(&self) -> Sometimes {
        self.lock().monitor.as_ref().map_or_else(Sometimes::default, Monitor::sometimes)
    }

    /// How the world really is.
    #[must_use]
    pub fn world(&self) -> World {
        self.lock().world().clone()
    }

    /// What is stored.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        self.lock().record.as_ref().map(|(record, _)| record.clone())
    }

    /// Alerts that were delivered, each once.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.lock().hooks.alerts.clone()
    }

    /// What became of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.lock().requests()
    }

    /// How many replicas were created since the start, those included that served at the start.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.lock().groups.created()
    }

    /// The lowest number of ready replicas and the highest number of replicas that were not asked to
    /// stop, over all revisions, so far.
    #[must_use]
    pub fn extremes(&self) -> (u32, u32) {
        let inner = self.lock();
        (inner.min_available, inner.max_total)
    }
}

/// Polls a future once. `None` when it has no answer yet: a call of a simulated backend answers at
/// once, unless its writer died in it.
pub fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
