//! Traffic by the selector of a Service.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Service;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, RouteStatus, RouteWish, RouterCapabilities, Splitting, Token,
    TrafficRouter,
};
use serde_json::Value;

use super::api::Writer;
use super::caches::{Caches, read_service};
use crate::look::{DeploymentSeen, RecordedRoute, RouteRecord, ServiceSeen};
use crate::names;
use crate::object::{self, Owner};

/// All or nothing: the Service's selector is pinned to one revision, or to none for an equal share of every ready
/// pod.
///
/// A route is reported once the EndpointSlices of the Service hold what it asks for: every ready pod of the
/// revision, and no pod of another. (What kube-proxy or a mesh makes of them a moment later is not
/// visible in the API; the drain of a pod that is stopped covers it.)
#[derive(Debug)]
pub struct KubeRouter {
    owner: Owner,
    service: Arc<str>,
    writer: Writer,
    caches: Arc<Caches>,
    /// The newest route that was seen in effect: pods that come and go afterwards do not take it back.
    in_effect: Mutex<Option<RecordedRoute>>,
}

impl KubeRouter {
    /// The router of this target by this Service in its namespace.
    #[must_use]
    pub fn new(owner: Owner, service: Arc<str>, writer: Writer, caches: Arc<Caches>) -> Self {
        Self { owner, service, writer, caches, in_effect: Mutex::default() }
    }

    /// The name of the Service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Is there such a Service?
    #[must_use]
    pub fn exists(&self) -> bool {
        self.seen().is_some()
    }

    /// Why requests do not go where they should, when that is for somebody to mend.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let service = self.seen()?;
        let record = service.record.as_ref().filter(|record| self.is_owner(record))?;
        let wanted = self.wanted(&record.now);
        let reached = self.endpoints();
        let lost =
            !wanted.is_empty() && !wanted.iter().any(|pod| reached.iter().any(|(name, _)| name == pod));
        lost.then(|| {
            format!(
                "Service {} has none of the {} ready pods among its endpoints: does its selector fit their labels?",
                self.service,
                wanted.len()
            )
        })
    }

    /// Why pods of this template would get no request by the Service. `None` also when there is none yet, or one
    /// that selects nothing by itself.
    #[must_use]
    pub fn misses(&self, template: &Value) -> Option<String> {
        let service = self.seen()?;
        let labels = template.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let mut own = service.selector.iter().filter(|(key, _)| *key != names::REVISION);
        let (key, value) = own.find(|(key, value)| label(key) != Some(value.as_str()))?;
        let has = label(key).map_or_else(|| format!("has no {key}"), |other| format!("has {key}={other}"));
        Some(format!(
            "Service {} selects pods with {key}={value}, and spec.template.metadata.labels {has}: the new pods would \
             get no request; change one of them",
            self.service
        ))
    }

    /// Puts back a selector that somebody else has changed, or a whole route that somebody else took away (with the
    /// Service that it was written to), and says so.
    ///
    /// # Errors
    /// When the write failed.
    pub async fn repair(&self) -> BackendResult<Option<String>> {
        let Some(service) = self.seen() else { return Ok(None) };
        let Some(record) = service.record.clone() else {
            let Some(route) = self.in_effect().clone() else { return Ok(None) };
            self.write(&service, route, None).await?;
            let done = format!(
                "the route of Service {} was taken away by somebody else; it is as it was again",
                self.service
            );
            return Ok(Some(done));
        };
        if is_pinned_for(&service, &record.now) || !self.is_owner(&record) {
            return Ok(None);
        }
        self.write(&service, record.now, record.before).await?;
        Ok(Some(format!(
            "the selector of Service {} was changed by somebody else; it is as it was again",
            self.service
        )))
    }

    /// Writes the route of the Service that was followed before to this one, under the same token, unless it has a
    /// newer one: requests go by this Service like they went by that one.
    ///
    /// # Errors
    /// When the write failed, or this Service cannot route.
    pub async fn take_over(&self, former: &Self) -> BackendResult<()> {
        let Some(service) = self.seen() else { return Ok(()) };
        let record = former.seen().and_then(|service| service.record.clone());
        let (now, before) = match record.filter(|record| self.is_owner(record)) {
            Some(record) => (Some(record.now), record.before),
            // it is gone
            None => (former.in_effect().clone(), None),
        };
        let Some(now) = now else { return Ok(()) };
        if service.record.as_ref().is_some_and(|own| self.is_owner(own) && own.now.token >= now.token) {
            return Ok(());
        }
        self.has_selector(&service, "take over")?;
        self.is_free(&service, "take over")?;
        self.write(&service, now, before).await
    }

    /// This route was in effect before this process: it can be put back when somebody takes it away.
    pub fn recall(&self, route: &RouteStatus) {
        let wish = RouteWish::new(route.route.clone(), route.token);
        let mut in_effect = self.in_effect();
        if in_effect.is_none() {
            *in_effect = RecordedRoute::of(&wish);
        }
    }

    /// Was a route seen in effect?
    #[must_use]
    pub fn is_in_effect(&self) -> bool {
        self.in_effect().is_some()
    }

    /// Gives the Service back as it was found.
    ///
    /// # Errors
    /// When the write failed.
    pub async fn release(&self) -> BackendResult<()> {
        let is_ours = |service: &Arc<ServiceSeen>| {
            let is_marked = service.is_marked || service.pinned().is_some();
            is_marked && service.record.as_ref().is_none_or(|record| self.is_owner(record))
        };
        let Some(service) = self.seen().filter(is_ours) else { return Ok(()) };
        let written: Service = self.writer.json_patch(&self.service, &object::release(&service)).await?;
        self.take_in(&written);
        Ok(())
    }

    fn seen(&self) -> Option<Arc<ServiceSeen>> {
        self.caches.services.group(&self.owner.namespace, &self.service).into_iter().next()
    }

    fn find(&self, operation: &'static str) -> BackendResult<Arc<ServiceSeen>> {
        self.caches.check(operation)?;
        self.seen().ok_or_else(|| {
            let message = format!(
                "Service {} in namespace {} does not exist; create it, or name another in spec.traffic.service",
                self.service, self.owner.namespace
            );
            BackendError::new("kubernetes", operation, ErrorKind::NotFound, message)
        })
    }

    /// Endpoints of the Service: pods, and whether each gets requests.
    fn endpoints(&self) -> Vec<(String, bool)> {
        let slices = self.caches.endpoints.group(&self.owner.namespace, &self.service);
        let pods = slices.iter().flat_map(|slice| &slice.pods);
        pods.map(|(name, ready)| (name.clone(), *ready)).collect()
    }

    /// Names of the ready pods that shall get requests.
    fn wanted(&self, route: &RecordedRoute) -> Vec<String> {
        let pods = self.caches.pods_of(&self.owner, &self.caches.deployments_of(&self.owner));
        let target = route.target().map(|revision| &*revision.hash);
        let ready = pods.into_iter().filter(|pod| pod.is_ready());
        ready
            .filter(|pod| route.balanced || Some(&*pod.revision) == target)
            .map(|pod| pod.name.clone())
            .collect()
    }

    /// Do the endpoints hold what this route asks for?
    fn is_reached(&self, service: &ServiceSeen, route: &RecordedRoute) -> bool {
        let (wanted, endpoints) = (self.wanted(route), self.endpoints());
        let gets = |pod: &String| endpoints.iter().any(|(name, ready)| *ready && name == pod);
        let all_there = wanted.iter().all(gets);
        let no_other =
            route.balanced || endpoints.iter().all(|(name, ready)| !ready || wanted.contains(name));
        is_pinned_for(service, route) && all_there && no_other
    }

    async fn write(
        &self,
        service: &ServiceSeen,
        now: RecordedRoute,
        before: Option<RecordedRoute>,
    ) -> BackendResult<()> {
        let written: Service =
            self.writer.json_patch(&self.service, &object::route(&self.owner, service, now, before)).await?;
        self.take_in(&written);
        Ok(())
    }

    fn is_owner(&self, record: &RouteRecord) -> bool {
        record.owner.as_deref().is_none_or(|uid| uid == self.owner.uid)
    }

    fn has_selector(&self, service: &ServiceSeen, operation: &'static str) -> BackendResult<()> {
        if service.selector.is_empty() {
            let message = format!("Service {} has no selector to switch", self.service);
            return Err(BackendError::new("kubernetes", operation, ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// A Service has one route: that of whoever set it first, for as long as that one runs anything.
    fn is_free(&self, service: &ServiceSeen, operation: &'static str) -> BackendResult<()> {
        let other = service.record.as_ref().filter(|record| !self.is_owner(record));
        let Some(uid) = other.and_then(|record| record.owner.as_deref()) else { return Ok(()) };
        let is_theirs = |deployment: &DeploymentSeen| deployment.owner.as_deref() == Some(uid);
        let agents = self.caches.deployments.groups_with(&self.owner.namespace, is_theirs);
        let Some(agent) = agents.first() else { return Ok(()) };
        let message = format!(
            "Service {} carries the route of {agent} (uid {uid}) already; name another Service in \
             spec.traffic.service, or delete {agent}",
            self.service
        );
        Err(BackendError::new("kubernetes", operation, ErrorKind::Invalid, message))
    }

    fn take_in(&self, written: &Service) {
        let (meta, group, facts) = read_service(written);
        self.caches.services.put(&meta, group.as_deref(), facts);
    }

    fn in_effect(&self) -> MutexGuard<'_, Option<RecordedRoute>> {
        self.in_effect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_pinned_for(service: &ServiceSeen, route: &RecordedRoute) -> bool {
    match service.pinned() {
        None => route.balanced,
        Some(hash) => !route.balanced && hash == route.target().map_or("none", |revision| &*revision.hash),
    }
}

#[async_trait]
impl TrafficRouter for KubeRouter {
    fn capabilities(&self) -> RouterCapabilities {
        RouterCapabilities::new(Splitting::Switch)
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        let service = self.find("observe")?;
        let record = service.record.as_ref().filter(|record| self.is_owner(record));
        let Some(record) = record else { return Ok(None) };
        let mut in_effect = self.in_effect();
        if in_effect.as_ref() == Some(&record.now) {
            if !is_pinned_for(&service, &record.now) {
                let message =
                    format!("the selector of Service {} was changed by somebody else", self.service);
                return Err(BackendError::new("kubernetes", "observe", ErrorKind::Conflict, message));
            }
        } else if self.is_reached(&service, &record.now) {
            *in_effect = Some(record.now.clone());
        }
        Ok(in_effect.as_ref().or(record.before.as_ref()).map(RecordedRoute::status))
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        let unsupported =
            |message: String| Err(BackendError::new("kubernetes", "set", ErrorKind::Unsupported, message));
        let Some(now) = RecordedRoute::of(wish) else {
            return unsupported("a Service cannot route like this".to_owned());
        };
        if !matches!(now.weight, 0 | 100) {
            let message = format!(
                "the selector of a Service is all or nothing: a weight of {}% needs a mesh",
                now.weight
            );
            return unsupported(message);
        }
        let service = self.find("set")?;
        self.has_selector(&service, "set")?;
        self.is_free(&service, "set")?;
        let record = service.record.as_ref().filter(|record| self.is_owner(record));
        let recorded = record.map(|record| Token(record.now.token));
        let is_done = recorded == Some(wish.token) && is_pinned_for(&service, &now);
        if is_done || recorded.is_some_and(|recorded| recorded > wish.token) {
            return Ok(());
        }
        let before = self.in_effect().clone().or(record.and_then(|record| record.before.clone()));
        self.write(&service, now, before).await
    }
}
