//! One object, with the driver that rolls it out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use lifecycle_core::backend::{BackendResult, Backends, Splitting};
use lifecycle_core::driver::{Driver, Target as Wanted, Tick};
use lifecycle_core::machine::State;
use lifecycle_core::plan::Mode;
use lifecycle_core::spec::{Manifest, TrafficProvider};
use lifecycle_core::strategy::{self, PlanContext};
use lifecycle_core::time::Timestamp;

use super::damage::Damage;
use super::shown::Shown;
use super::{Context, Key, Problem, command};
use crate::client::{KubeRouter, KubeWorkload, StatusStore, Writer};
use crate::crd::AgentDeployment;
use crate::object::{Owner, PodSettings, pod_template};

/// The rollouts of one object. Everything in here can be lost: what counts is in the object's status.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) owner: Owner,
    pub(super) writer: Writer,
    pub(super) workload: Arc<KubeWorkload>,
    pub(super) router: Option<Arc<KubeRouter>>,
    /// The router that there would be if its Service were there.
    spare: Option<Arc<KubeRouter>>,
    pub(super) store: Arc<StatusStore<AgentDeployment>>,
    /// What the store shows beside the record.
    pub(super) shown: Arc<Mutex<Shown>>,
    pub(super) driver: Option<Driver>,
    /// Generation of the spec that the driver follows.
    generation: Option<i64>,
    /// Why the newest spec is not followed.
    refused: Option<Problem>,
    /// The annotation that was handed on last.
    commanded: Option<String>,
    /// The problem that was told last.
    pub(super) told: Option<Problem>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Since when shown numbers differ from what is written.
    pub(super) moved: Option<Instant>,
    /// Since when requests do not go where they should.
    pub(super) lost: Option<Instant>,
    /// What failed last and was not done since.
    pub(super) failing: Option<Problem>,
    /// What somebody else changed and was put back.
    pub(super) damage: Damage,
    /// Was the finalizer written, though the cache may not show it yet?
    pub(super) has_finalizer: bool,
}

impl Target {
    /// The target that this object is. Nothing was looked at yet.
    pub(crate) fn new(context: &Context, owner: Owner, object: &AgentDeployment) -> Self {
        let writer = Writer::new(context.client.clone(), owner.namespace.clone());
        let workload = KubeWorkload::new(owner.clone(), writer.clone(), Arc::clone(&context.caches));
        let shown = Arc::new(Mutex::new(Shown::default()));
        let show = super::shown::show(&owner, Arc::clone(&shown));
        let store = StatusStore::new(writer.clone(), owner.name.clone(), owner.uid.clone())
            .known(object.clone())
            .show(show);
        Self {
            owner,
            writer,
            workload: Arc::new(workload),
            router: None,
            spare: None,
            store: Arc::new(store),
            shown,
            driver: None,
            generation: None,
            refused: None,
            commanded: None,
            told: None,
            failures: 0,
            moved: None,
            lost: None,
            failing: None,
            damage: Damage::default(),
            has_finalizer: false,
        }
    }

    /// Follows the newest spec and command, and ticks. `None` when there is nothing to tick: no spec was ever
    /// accepted.
    pub(super) async fn tick(
        &mut self,
        context: &Context,
        key: &Key,
        object: &AgentDeployment,
        now: Timestamp,
    ) -> BackendResult<Option<Tick>> {
        self.follow(context, key, object);
        let mut misunderstood = None;
        if let Some(text) = object.annotations().get(crate::names::COMMAND)
            && self.commanded.as_ref() != Some(text)
        {
            match (command::parse(text), &mut self.driver) {
                (Ok(command), Some(driver)) => driver.command(command),
                (Ok(_), None) => {}
                (Err(problem), _) => misunderstood = Some(problem),
            }
            self.commanded = self.driver.is_some().then(|| text.clone());
        }
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.generation = object.metadata.generation;
            if let Some(problem) = misunderstood {
                shown.refuse(problem);
            }
        }
        match &mut self.driver {
            Some(driver) => driver.tick(now).await.map(Some),
            None => Ok(None),
        }
    }

    /// The state of the engine, once there is one.
    pub(super) fn state(&self) -> Option<&State> {
        self.driver.as_ref().and_then(Driver::state)
    }

    /// Why the newest spec is not followed.
    pub(super) const fn refused(&self) -> Option<&Problem> {
        self.refused.as_ref()
    }

    /// Gives the Service back as it was found, also when no spec was followed since this process started.
    pub(super) async fn release_service(
        &self,
        context: &Context,
        object: &AgentDeployment,
    ) -> BackendResult<()> {
        if let Some(router) = &self.router {
            return router.release().await;
        }
        let Ok(manifest) = object.manifest() else { return Ok(()) };
        let service = Arc::clone(&manifest.spec.traffic().service);
        let caches = Arc::clone(&context.caches);
        KubeRouter::new(self.owner.clone(), service, self.writer.clone(), caches).release().await
    }

    /// Takes over a spec that was not looked at yet. One that is refused leaves everything as it is.
    fn follow(&mut self, context: &Context, key: &Key, object: &AgentDeployment) {
        let is_new = self.generation != object.metadata.generation || self.generation.is_none();
        // a Service that came, went or was changed may mend what was refused, or change which backends there are
        let has_come = self.spare.as_ref().is_some_and(|router| router.exists());
        let is_waiting = self.driver.is_none() || has_come || self.refused.is_some();
        if !is_new && !is_waiting {
            return;
        }
        self.generation = object.metadata.generation;
        self.refused = self.accept(context, key, object).err();
    }

    fn accept(&mut self, context: &Context, key: &Key, object: &AgentDeployment) -> Result<(), Problem> {
        let manifest = object.manifest().map_err(|error| Problem::spec(error.to_string()))?;
        let spec = &manifest.spec;
        if spec.traffic().provider != TrafficProvider::Service {
            let message = "spec.traffic.provider: only service is supported by this operator";
            return Err(Problem::spec(message));
        }
        if spec.adopt().is_some() {
            return Err(Problem::spec("spec.adopt: is not supported by this operator yet"));
        }
        let hash = spec.revision_hash();
        let template =
            pod_template(spec.template().map(|t| &**t), &self.owner.name, &hash, &PodSettings::of(spec))
                .map_err(|error| Problem::spec(error.to_string()))?;
        let wanted = strategy::compile(spec, &PlanContext::new(Some(Splitting::Switch)))
            .map_err(|error| Problem::spec(error.to_string()))?;
        let router = self.router_for(context, key, object, &manifest, &wanted);
        if let Some(why) = router.as_ref().and_then(|router| router.misses(&template)) {
            return Err(Problem::spec(why));
        }
        let readiness = spec.health_check();
        let verdict = Duration::from(readiness.interval) * readiness.failure_threshold;
        let backends = self.backends(context, &manifest, router.clone());
        let refused = match &mut self.driver {
            Some(driver) => driver.set_target_with(wanted, backends).err(),
            None => match Driver::new(wanted, backends) {
                Ok(driver) => {
                    self.driver = Some(driver);
                    None
                }
                Err(refused) => Some(refused),
            },
        };
        if let Some(refused) = refused {
            return Err(Problem::spec(refused.to_string()));
        }
        self.router = router;
        self.workload.register(hash, template, verdict);
        Ok(())
    }

    /// A rollout that only moves replicas needs no Service, unless one is named: a worker has none.
    fn router_for(
        &mut self,
        context: &Context,
        key: &Key,
        object: &AgentDeployment,
        manifest: &Manifest,
        wanted: &Wanted,
    ) -> Option<Arc<KubeRouter>> {
        let service = Arc::clone(&manifest.spec.traffic().service);
        context.follow_service(key, &service);
        let caches = Arc::clone(&context.caches);
        let router = Arc::new(KubeRouter::new(self.owner.clone(), service, self.writer.clone(), caches));
        let is_needed = matches!(wanted.plan.mode(), Mode::Routed { .. }) || object.spec.traffic.is_some();
        self.spare = None;
        match &self.router {
            Some(same) if same.service() == router.service() => Some(Arc::clone(same)),
            _ if is_needed || router.exists() => Some(router),
            _ => {
                self.spare = Some(router);
                None
            }
        }
    }

    fn backends(&self, context: &Context, manifest: &Manifest, router: Option<Arc<KubeRouter>>) -> Backends {
        let workload: Arc<KubeWorkload> = Arc::clone(&self.workload);
        let store: Arc<StatusStore<AgentDeployment>> = Arc::clone(&self.store);
        let mut backends = Backends::new(workload, store);
        if let Some(router) = router {
            backends = backends.router(router);
        }
        let surroundings = &context.options.surroundings;
        if let Some(health) = surroundings.health(manifest) {
            backends = backends.health(health);
        }
        if let Some(hooks) = surroundings.hooks() {
            backends = backends.hooks(hooks);
        }
        if let Some(notifier) = surroundings.notifier() {
            backends = backends.notifier(notifier);
        }
        backends
    }
}
