//! The simulated backends: one handle a trait.
//!
//! Every call answers at once in real time. The one exception is a write at which the writer is to
//! die: it never answers, and whoever polls its future once and then drops it has crashed.

use std::future::pending;

use async_trait::async_trait;
use lifecycle_core::backend::{
    Alert, BackendError, BackendResult, ErrorKind, GroupStatus, HealthCapabilities, HealthQuery,
    HealthSource, Hook, HookCall, HookOutcome, Increase, Mark, Notifier, Reading, Record, RolloutStore,
    Route, RouteStatus, RouteWish, RouterCapabilities, ScaleWish, Signal, Span, Splitting, StoreVersion,
    Stored, TrafficRouter, Workload,
};

use crate::properties::Fact;

use super::Cluster;
use super::faults::BACKEND;
use super::inner::Inner;
use super::queue::Work;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub(super) Cluster);

        impl $name {
            /// Does the writer die at this write?
            #[allow(dead_code, reason = "the health source never writes")]
            async fn begin_write(&self) {
                if self.0.lock().faults.write_kills() {
                    pending::<()>().await;
                }
            }
        }
    };
}

handle! {
    /// The replica groups of a simulated cluster.
    SimWorkload
}
handle! {
    /// The traffic router of a simulated cluster.
    SimRouter
}
handle! {
    /// The measurements of a simulated cluster.
    SimHealth
}
handle! {
    /// The store of a simulated cluster.
    SimStore
}
handle! {
    /// Runs no hook, but says how it went.
    SimHooks
}
handle! {
    /// Keeps alerts.
    SimNotifier
}

#[async_trait]
impl Workload for SimWorkload {
    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        let inner = &mut *self.0.lock();
        inner.faults.reach(inner.now, "observe")?;
        let groups = inner.seen_groups();
        inner.see(Fact::Observed(&groups));
        Ok(groups)
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        self.begin_write().await;
        let inner = &mut *self.0.lock();
        inner.see(Fact::Scale(wish));
        inner.faults.collide(inner.now, "scale")?;
        inner.submit_scale(wish);
        Ok(())
    }
}

#[async_trait]
impl TrafficRouter for SimRouter {
    fn capabilities(&self) -> RouterCapabilities {
        RouterCapabilities::new(self.0.lock().config.splitting)
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        let inner = &mut *self.0.lock();
        inner.faults.reach(inner.now, "observe")?;
        let route = inner.seen_route();
        inner.see(Fact::RouteObserved(route.as_ref()));
        Ok(route)
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        self.begin_write().await;
        let inner = &mut *self.0.lock();
        inner.see(Fact::Route(wish));
        if let (Splitting::Switch, Route::Split { weight, .. }) = (inner.config.splitting, &wish.route)
            && !matches!(weight.get(), 0 | 100)
        {
            let message = format!("a switch cannot split: a weight of {weight} is neither 0% nor 100%");
            return Err(BackendError::new(BACKEND, "set", ErrorKind::Unsupported, message));
        }
        inner.faults.collide(inner.now, "set")?;
        inner.submit_route(wish);
        Ok(())
    }
}

#[async_trait]
impl HealthSource for SimHealth {
    fn capabilities(&self) -> HealthCapabilities {
        HealthCapabilities::default().increases().replicas()
    }

    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let inner = &mut *self.0.lock();
        inner.settle();
        let readings: Vec<_> = queries.iter().map(|query| Ok(answer(inner, query))).collect();
        inner.see(Fact::Measured { queries, readings: &readings });
        readings
    }
}

fn answer(inner: &mut Inner, query: &HealthQuery) -> Reading {
    let group = inner.groups.find(query.revision.number);
    let (Some(at), false) = (group, inner.faults.has_no_data(inner.now)) else { return Reading::NoData };
    if query.signal == Signal::CriticalAlerts {
        return Reading::Scalar(inner.faults.alerts(inner.now, &query.revision.version) as f64);
    }
    let now = inner.now.as_millis() as i64;
    let group = &inner.groups.list[at];
    let latency = match query.signal {
        Signal::Requests => false,
        Signal::Latency if inner.config.measure_latency => true,
        _ => return Reading::NoData,
    };
    match query.span {
        Span::Window(window) => {
            let from = now - i64::try_from(window.get()).unwrap_or(i64::MAX / 2);
            if latency { group.stats.latency(from) } else { group.stats.counts(from) }
        }
        Span::Since(mark) => {
            let counted = mark.filter(|mark| mark.0 <= now).map(|mark| group.stats.increase(mark.0, latency));
            Reading::Increase(Increase::new(Mark(now), counted))
        }
        Span::Replicas { width, bins } => {
            let width = i64::try_from(width.get()).unwrap_or(i64::MAX / 2);
            let replicas = group.ready as usize;
            Reading::Replicas(group.stats.by_replica(
                &mut inner.chance,
                now,
                (width, bins),
                replicas,
                latency,
            ))
        }
        _ => Reading::NoData,
    }
}

#[async_trait]
impl RolloutStore for SimStore {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        let inner = &mut *self.0.lock();
        inner.faults.reach(inner.now, "load")?;
        Ok(inner.record.as_ref().map(|(record, n)| Stored::new(record.clone(), StoreVersion(n.to_string()))))
    }

    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        self.begin_write().await;
        let inner = &mut *self.0.lock();
        inner.faults.collide(inner.now, "save")?;
        let current = inner.record.as_ref().map(|(_, n)| *n);
        if current.map(|n| n.to_string()) != expected.map(|version| version.0) {
            let message = "the state was changed by somebody else";
            return Err(BackendError::new(BACKEND, "save", ErrorKind::Conflict, message));
        }
        let n = current.unwrap_or(0) + 1;
        inner.record = Some((record.clone(), n));
        inner.see(Fact::Saved(record));
        Ok(StoreVersion(n.to_string()))
    }
}

#[async_trait]
impl Hook for SimHooks {
    async fn run(&self, call: &HookCall) -> BackendResult<HookOutcome> {
        self.begin_write().await;
        let inner = &mut *self.0.lock();
        inner.see(Fact::Hook(call));
        if !inner.hooks.answers(&call.url) {
            return Err(BackendError::new(BACKEND, "run hook", ErrorKind::Transient, "no answer"));
        }
        let (outcome, end) = inner.hooks.run(call, inner.now);
        // an answer is something to act on, and so is the end of a hook that runs
        let at = end.unwrap_or(inner.now + inner.config.api_latency);
        inner.queue.push(at, Work::Notice);
        Ok(outcome)
    }
}

#[async_trait]
impl Notifier for SimNotifier {
    async fn notify(&self, alert: &Alert) -> BackendResult<()> {
        self.begin_write().await;
        let inner = &mut *self.0.lock();
        inner.see(Fact::Alert(alert));
        inner.hooks.notify(alert);
        inner.queue.push(inner.now + inner.config.api_latency, Work::Notice);
        Ok(())
    }
}
