//! One object, with the driver that rolls it out.

use std::fmt;
use std::sync::Arc;

use lifecycle_core::backend::{
    BackendError, BackendResult, Backends, ErrorKind, RolloutStore as _, Splitting,
};
use lifecycle_core::driver::{Driver, Tick};
use lifecycle_core::machine::State;
use lifecycle_core::plan::{Mode, Plan};
use lifecycle_core::strategy::{self, PlanContext};
use lifecycle_core::time::Timestamp;

use super::patience::{PatientRouter, PatientWorkload};
use super::{Cluster, NotFollowed, Wanted, key};
use crate::client::{KubeRouter, KubeWorkload, Show, StatusStore, WithStatus, Writer};
use crate::object::{Owner, PodSettings, pod_template};

/// The rollouts of one object of the resource `K`: the engine with its replicas, its Service and its record.
///
/// Everything in here can be lost: what counts is in the object's `status.rollout`. A look is two calls: where
/// [`is_behind`](Self::is_behind), [`follow`](Self::follow) what the object asks for now; then [`tick`](Self::tick).
pub struct Rollout<K> {
    cluster: Arc<Cluster>,
    pub(crate) owner: Owner,
    pub(crate) writer: Writer,
    pub(crate) workload: Arc<KubeWorkload>,
    pub(crate) store: Arc<StatusStore<K>>,
    pub(crate) router: Option<Arc<KubeRouter>>,
    /// The router that there would be if its Service were there.
    spare: Option<Arc<KubeRouter>>,
    /// Of Services that were followed before and were not given back yet.
    former: Vec<Arc<KubeRouter>>,
    pub(crate) driver: Option<Driver>,
    /// Generation of the object that the driver follows.
    followed: Option<Option<i64>>,
}

impl<K> fmt::Debug for Rollout<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollout")
            .field("owner", &self.owner)
            .field("router", &self.router)
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}

impl<K: WithStatus> Rollout<K> {
    /// The rollouts of this object, with what people are shown in its status. Nothing was looked at yet.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, owner: Owner, object: Arc<K>, show: Arc<Show<K>>) -> Self {
        let writer = Writer::new(cluster.client().clone(), owner.namespace.clone());
        let workload = KubeWorkload::new(owner.clone(), writer.clone(), Arc::clone(cluster.caches()));
        let store = StatusStore::new(writer.clone(), owner.name.clone(), owner.uid.clone());
        Self {
            cluster,
            owner,
            writer,
            workload: Arc::new(workload),
            store: Arc::new(store.known(object).show(show)),
            router: None,
            spare: None,
            former: Vec::new(),
            driver: None,
            followed: None,
        }
    }

    /// Whose rollouts they are.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The state of the engine, once there is one.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.driver.as_ref().and_then(Driver::state)
    }

    /// Is there something to follow? The object asks for something that is not followed yet, or its Service came.
    #[must_use]
    pub fn is_behind(&self, object: &K) -> bool {
        self.followed != Some(object.meta().generation)
            || self.spare.as_ref().is_some_and(|router| router.exists())
    }

    /// Follows what this object, as it is now, asks for. A Service that was followed before and is named no more is
    /// given back as it was found, once the one that is named now routes like it did.
    ///
    /// # Errors
    /// When it cannot be done. All stays as it was, and the rollout stays behind: whether it can be done is found
    /// out again with each look, because a Service that is changed may mend it.
    pub fn follow(&mut self, object: &K, wanted: &Wanted<'_>) -> Result<(), NotFollowed> {
        let spec = wanted.spec;
        let hash = spec.revision_hash();
        let settings = PodSettings::of(spec);
        let template = pod_template(spec.template().map(|t| &**t), &self.owner.name, &hash, &settings)?;
        let target = strategy::compile(spec, &PlanContext::new(Some(Splitting::Switch)))?;
        let is_needed = wanted.needs_service || matches!(target.plan.mode(), Mode::Routed { .. });
        let router = self.router_for(&spec.traffic().service, is_needed);
        if let Some(why) = router.as_ref().and_then(|router| router.misses(&template)) {
            return Err(NotFollowed::Service(why));
        }
        let backends = wanted.others(self.backends(router.as_ref()));
        match &mut self.driver {
            Some(driver) => driver.set_target_with(target, backends)?,
            none => *none = Some(Driver::new(target, backends)?.explained()),
        }
        self.use_router(router);
        self.workload.register(hash, &template);
        self.followed = Some(object.meta().generation);
        Ok(())
    }

    /// Goes on with the rollout that another process has begun, as it was planned, and follows nothing newer: for when
    /// what the object asks for cannot be followed. Its traffic is the Service that carries its route, or the one of
    /// this name. `others` adds the other backends for its plan. Says whether there is one; a driver that is there
    /// stays as it is.
    ///
    /// # Errors
    /// When the record could not be read; [`ErrorKind::Unsupported`] when its plan needs what the backends cannot do.
    pub async fn resume(
        &mut self,
        service: Arc<str>,
        others: impl FnOnce(&Plan, Backends) -> Backends,
    ) -> BackendResult<bool> {
        if self.driver.is_some() {
            return Ok(true);
        }
        let Some(stored) = self.store.load().await? else { return Ok(false) };
        let Some(plan) = stored.record.plan.clone() else { return Ok(false) };
        let marked = self.cluster.caches().services_marked_by(&self.owner);
        let is_needed = matches!(plan.mode(), Mode::Routed { .. }) || !marked.is_empty();
        let service =
            if marked.contains(&service) { None } else { marked.into_iter().next() }.unwrap_or(service);
        let router = self.router_for(&service, is_needed);
        let newest = stored.record.state.canary.or(stored.record.state.stable);
        let newest = newest.and_then(|number| stored.record.state.revision(number)).cloned();
        let backends = others(&plan, self.backends(router.as_ref()));
        let driver = Driver::resume(stored, backends).map_err(|refused| {
            BackendError::new("kubernetes", "resume", ErrorKind::Unsupported, refused.to_string())
        })?;
        self.driver = driver.map(Driver::explained);
        self.router = router;
        let records = self.workload.records();
        if let Some(record) = newest.and_then(|newest| records.into_iter().find(|r| *r.hash == *newest.hash))
        {
            let template = record.template.value();
            self.workload.register(&*record.hash, &template);
        }
        Ok(self.driver.is_some())
    }

    /// Looks once: takes the steps that are due, and answers with them. `None` when there is nothing to look at: no
    /// spec could ever be followed.
    ///
    /// # Errors
    /// When the record could not be read or written: nothing was done. On a conflict somebody else has written; the next look sees it.
    pub async fn tick(&mut self, now: Timestamp) -> BackendResult<Option<Tick>> {
        let Some(driver) = &mut self.driver else { return Ok(None) };
        let mut failed = Vec::new();
        if let Some(router) = &self.router {
            for former in &self.former {
                failed.extend(router.take_over(former).await.err());
            }
        }
        let mut tick = driver.tick(now).await?;
        if let (Some(router), Some(state)) = (&self.router, driver.state())
            && self.former.is_empty()
            && let Some(route) = state.settled_route()
        {
            router.recall(&route);
        }
        tick.errors.extend(failed);
        tick.errors.extend(self.give_back().await);
        Ok(Some(tick))
    }

    /// Gives every Service back as it was found, as far as it is known which ones were followed; and this one.
    ///
    /// # Errors
    /// The first write that failed.
    pub async fn release(&self, named: &str) -> BackendResult<()> {
        let caches = self.cluster.caches();
        let mut services = caches.services_marked_by(&self.owner);
        services.push(named.into());
        services.extend(self.router.iter().chain(&self.former).map(|router| router.service().into()));
        services.sort();
        services.dedup();
        for service in services {
            self.new_router(service).release().await?;
        }
        Ok(())
    }

    /// Gives the Services of before back, once the one that is followed now routes.
    async fn give_back(&mut self) -> Vec<BackendError> {
        let mut failed = Vec::new();
        for former in std::mem::take(&mut self.former) {
            let is_replaced = self.router.as_ref().is_none_or(|router| router.is_in_effect());
            if !is_replaced {
                self.former.push(former);
            } else if let Err(error) = former.release().await {
                failed.push(error);
                self.former.push(former);
            }
        }
        failed
    }

    /// A rollout that only moves replicas needs no Service, unless it is asked to.
    fn router_for(&mut self, service: &Arc<str>, is_needed: bool) -> Option<Arc<KubeRouter>> {
        self.cluster.follow_service(&key(&self.owner), service);
        self.spare = None;
        if let Some(same) = self.router.iter().chain(&self.former).find(|same| same.service() == &**service) {
            return Some(Arc::clone(same));
        }
        let router = Arc::new(self.new_router(Arc::clone(service)));
        if is_needed || router.exists() {
            return Some(router);
        }
        self.spare = Some(router);
        None
    }

    fn use_router(&mut self, router: Option<Arc<KubeRouter>>) {
        let service = router.as_ref().map(|router| router.service());
        self.former.extend(self.router.take());
        if self.followed.is_none() {
            // by another process, before this one looked
            for marked in self.cluster.caches().services_marked_by(&self.owner) {
                if !self.former.iter().any(|former| former.service() == &*marked) {
                    self.former.push(Arc::new(self.new_router(marked)));
                }
            }
        }
        self.former.retain(|former| Some(former.service()) != service);
        self.router = router;
    }

    fn new_router(&self, service: Arc<str>) -> KubeRouter {
        let caches = Arc::clone(self.cluster.caches());
        KubeRouter::new(self.owner.clone(), service, self.writer.clone(), caches)
    }

    fn backends(&self, router: Option<&Arc<KubeRouter>>) -> Backends {
        let workload = PatientWorkload::new(Arc::clone(&self.workload) as _);
        let store: Arc<StatusStore<K>> = Arc::clone(&self.store);
        let backends = Backends::new(Arc::new(workload), store);
        match router {
            Some(router) => backends.router(Arc::new(PatientRouter::new(Arc::clone(router) as _))),
            None => backends,
        }
    }
}
