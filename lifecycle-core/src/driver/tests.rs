//! What a driver refuses, and one that goes on with what is stored.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;

use super::*;
use crate::backend::store::MemoryStore;
use crate::backend::{
    BackendResult, GroupStatus, HealthSource, Reading, RolloutStore, RouteStatus, RouteWish,
    RouterCapabilities, ScaleWish, Signal, Splitting, TrafficRouter, Workload, WorkloadCapabilities,
};
use crate::machine::{CommandKind, Phase};
use crate::spec::Manifest;
use crate::strategy::{self, PlanContext};

/// Replicas that are ready at once.
#[derive(Debug, Default)]
struct Instant(Mutex<Vec<GroupStatus>>);

#[async_trait]
impl Workload for Instant {
    fn capabilities(&self) -> WorkloadCapabilities {
        WorkloadCapabilities::default()
    }

    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        let mut groups = self.0.lock().unwrap();
        groups.retain(|group| group.revision != wish.revision);
        let mut group = GroupStatus::empty(wish.revision.clone());
        group.token = wish.token;
        (group.desired, group.created) = (wish.replicas, wish.replicas);
        (group.ready, group.available) = (wish.replicas, wish.replicas);
        groups.push(group);
        Ok(())
    }
}

/// Requests that go where they were asked to go at once.
#[derive(Debug, Default)]
struct Switch(Mutex<Option<RouteStatus>>);

#[async_trait]
impl TrafficRouter for Switch {
    fn capabilities(&self) -> RouterCapabilities {
        RouterCapabilities::new(Splitting::Switch)
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        *self.0.lock().unwrap() = Some(RouteStatus::new(wish.route.clone(), wish.token));
        Ok(())
    }
}

fn done<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("these backends wait for nothing"),
    }
}

fn target(version: &str, checks: &str) -> Target {
    let manifest = Manifest::from_yaml(&format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {{version: {version}, \
         strategy: canary, replicas: 4, canary: {{steps: [{{setWeight: 25, bake: 30s}}, {{setWeight: 100, bake: 30s}}]}}, \
         analysis: {{checks: {checks}}}}}}}"
    ));
    strategy::compile(&manifest.unwrap().spec, &PlanContext::default()).unwrap()
}

/// Where a program was cut off, and what the next one finds.
struct Scene {
    workload: Arc<Instant>,
    store: Arc<MemoryStore>,
    now: Timestamp,
}

impl Scene {
    fn new() -> Self {
        Self { workload: Arc::default(), store: Arc::new(MemoryStore::new()), now: Timestamp::ZERO }
    }

    fn backends(&self) -> Backends {
        Backends::new(Arc::clone(&self.workload) as _, Arc::clone(&self.store) as _)
    }

    fn stored(&self) -> Stored {
        done(self.store.load()).unwrap().unwrap()
    }

    /// Ticks until that is so, or nothing is left to do.
    fn drive(&mut self, driver: &mut Driver, until: impl Fn(&State) -> bool) -> State {
        for _ in 0..2000 {
            let tick = done(driver.tick(self.now)).unwrap();
            let state = driver.state().unwrap();
            if until(state) {
                return state.clone();
            }
            let Some(wake) = tick.wake_at else { return state.clone() };
            self.now = wake;
        }
        panic!("it does not end: {:?}", driver.state());
    }

    /// 1.4.0 serves and 1.5.0 is on its first step.
    fn interrupted() -> Self {
        let mut scene = Self::new();
        let mut driver = Driver::new(target("1.4.0", "[]"), scene.backends()).unwrap();
        scene.drive(&mut driver, |_| false);
        driver.set_target(target("1.5.0", "[]")).unwrap();
        scene.drive(&mut driver, |state| state.canary.is_some() && state.groups.len() == 2);
        scene
    }

    fn version_of(state: &State, number: Option<crate::version::RevisionNumber>) -> Option<String> {
        number.and_then(|number| state.revision(number)).map(|revision| revision.version.to_string())
    }
}

#[test]
fn the_stored_rollout_is_ended_as_it_was_planned() {
    let mut scene = Scene::interrupted();
    let planned = scene.stored().record.plan.unwrap();
    let mut driver = Driver::resume(scene.stored(), scene.backends()).unwrap().unwrap();
    assert_eq!(
        (driver.plan(), driver.state().map(|state| state.phase)),
        (&planned, Some(Phase::Progressing))
    );
    let state = scene.drive(&mut driver, |_| false);
    assert_eq!(
        (state.phase, Scene::version_of(&state, state.stable).as_deref()),
        (Phase::Healthy, Some("1.5.0"))
    );
}

#[test]
fn what_somebody_else_has_saved_is_loaded_once_it_has_forgotten() {
    let mut scene = Scene::interrupted();
    let mut driver = Driver::resume(scene.stored(), scene.backends()).unwrap().unwrap();
    let mut other = Driver::resume(scene.stored(), scene.backends()).unwrap().unwrap();
    assert_eq!(driver.version(), Some(&Some(scene.stored().version)));
    let ended = scene.drive(&mut other, |_| false);
    assert_ne!(driver.version(), other.version());

    driver.forget();
    assert_eq!((driver.version(), driver.state()), (None, None));
    assert_eq!(scene.drive(&mut driver, |_| false).phase, ended.phase);
    assert_eq!(driver.version(), other.version());
}

#[test]
fn commands_are_obeyed_that_need_no_spec() {
    let mut scene = Scene::interrupted();
    let mut driver = Driver::resume(scene.stored(), scene.backends()).unwrap().unwrap();
    driver.command(Command::new("1", CommandKind::Abort));
    let state = scene.drive(&mut driver, |_| false);
    assert_eq!(Scene::version_of(&state, state.stable).as_deref(), Some("1.4.0"));
    assert!(!state.is_active());

    driver.command(Command::new("2", CommandKind::Retry));
    let tick = done(driver.tick(scene.now)).unwrap();
    let refused = tick.events.iter().find(|event| event.kind.name() == "CommandRefused");
    assert!(refused.is_some_and(|event| event.kind.message().contains("could not be read")), "{tick:?}");
}

#[test]
fn nothing_begins_until_somebody_says_what_shall_run() {
    let mut scene = Scene::interrupted();
    let mut driver = Driver::resume(scene.stored(), scene.backends()).unwrap().unwrap();
    let ended = scene.drive(&mut driver, |_| false);
    assert_eq!(scene.drive(&mut driver, |_| false).epoch, ended.epoch);

    driver.set_target(target("1.6.0", "[]")).unwrap();
    let state = scene.drive(&mut driver, |_| false);
    assert_eq!(Scene::version_of(&state, state.stable).as_deref(), Some("1.6.0"));
}

#[test]
fn a_stored_plan_that_cannot_be_carried_out_is_refused_and_none_is_no_driver() {
    let scene = Scene::interrupted();
    let mut stored = scene.stored();
    stored.record.plan = Some(target("1.5.0", "[\"error_rate < 5%\"]").plan);
    let refused = Driver::resume(stored.clone(), scene.backends()).unwrap_err();
    assert!(refused.lack.starts_with("there is no health source"), "{}", refused.lack);
    stored.record.plan = None;
    assert!(Driver::resume(stored, scene.backends()).unwrap().is_none());
}

/// Measures what sources measure that say nothing about it, and knows one query.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl HealthSource for Plain {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        vec![Ok(Reading::NoData); queries.len()]
    }

    fn knows(&self, name: &str) -> bool {
        name == "depth"
    }
}

/// The same without latencies.
#[derive(Debug)]
struct WithoutLatency;

#[async_trait]
impl HealthSource for WithoutLatency {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        Plain.measure(queries).await
    }

    fn measures(&self, signal: &Signal) -> bool {
        *signal != Signal::Latency && Plain.measures(signal)
    }

    fn lack(&self, signal: &Signal) -> Option<String> {
        (*signal == Signal::Restarts).then(|| "there is a flag for it".to_owned())
    }
}

#[test]
fn a_check_that_the_source_cannot_measure_is_refused_before_anything_moves() {
    let refused = |check: &str, health: Arc<dyn HealthSource>| {
        let target =
            target("1.5.0", &format!("[\"error_rate < 5%\", \"{check}\"], queries: {{depth: x, age: y}}"));
        Driver::new(target, Scene::new().backends().health(health)).err().map(|refused| refused.to_string())
    };
    for check in ["error_rate < 5%", "p95_latency < 1s", "no_critical_alerts", "depth < 5"] {
        assert_eq!(refused(check, Arc::new(Plain)), None, "{check}");
    }
    for (check, health, sentence) in [
        (
            "age < 5",
            Arc::new(Plain) as Arc<dyn HealthSource>,
            "the check \"age < 5\" asks for the query age, and the health source knows no such query",
        ),
        (
            "p95_latency < 1s",
            Arc::new(WithoutLatency),
            "the check \"p95_latency < 1s\" asks for latency, and the health source does not measure that; take one \
             that does, or leave the check away",
        ),
        (
            "restarts < 3",
            Arc::new(WithoutLatency),
            "the check \"restarts < 3\" asks for restarts, and there is a flag for it",
        ),
    ] {
        assert_eq!(refused(check, health).as_deref(), Some(sentence));
    }
}

#[test]
fn a_rollout_that_splits_traffic_is_not_left_without_its_router() {
    let mut scene = Scene::new();
    let routed = |version| {
        let manifest = Manifest::from_yaml(&format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {{version: {version}, \
             strategy: blue-green, replicas: 4, analysis: {{checks: []}}}}}}"
        ));
        strategy::compile(&manifest.unwrap().spec, &PlanContext::new(Some(Splitting::Switch))).unwrap()
    };
    let router: Arc<Switch> = Arc::default();
    let mut driver = Driver::new(routed("1.4.0"), scene.backends().router(router)).unwrap();
    scene.drive(&mut driver, |_| false);
    driver.set_target(routed("1.5.0")).unwrap();
    scene.drive(&mut driver, |state| state.canary.is_some());

    let refused = driver.set_target_with(target("1.6.0", "[]"), scene.backends()).unwrap_err();
    assert!(refused.need.contains("splits traffic"), "{refused}");
    let state = scene.drive(&mut driver, |_| false);
    assert_eq!(Scene::version_of(&state, state.stable).as_deref(), Some("1.5.0"));
    driver.set_target_with(target("1.6.0", "[]"), scene.backends()).unwrap();
    let state = scene.drive(&mut driver, |_| false);
    assert_eq!(Scene::version_of(&state, state.stable).as_deref(), Some("1.6.0"));
}
