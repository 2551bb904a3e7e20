//! What a rollout is asked for, and why it may not be followed.

use std::sync::Arc;

use lifecycle_core::backend::{Backends, HealthSource, Hook, Notifier};
use lifecycle_core::driver::Refused;
use lifecycle_core::plan::PlanError;
use lifecycle_core::spec::RolloutSpec;
use thiserror::Error;

use crate::object::TemplateError;

/// What shall run, and with which backends beside those of Kubernetes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wanted<'a> {
    /// What shall run, and how it is rolled out.
    pub spec: &'a RolloutSpec,
    /// Does the rollout wait for its Service while that is missing? Without it a rollout that only moves replicas
    /// goes on without a Service, because a worker has none. Default: no.
    pub needs_service: bool,
    /// Where health is measured. Default: nowhere, so a plan with checks is refused.
    pub health: Option<Arc<dyn HealthSource>>,
    /// Who runs hooks. Default: nobody, so a plan with hooks is refused.
    pub hooks: Option<Arc<dyn Hook>>,
    /// Who is alerted. Default: nobody.
    pub notifier: Option<Arc<dyn Notifier>>,
}

impl<'a> Wanted<'a> {
    /// This, with the backends of Kubernetes alone.
    #[must_use]
    pub const fn new(spec: &'a RolloutSpec) -> Self {
        Self { spec, needs_service: false, health: None, hooks: None, notifier: None }
    }

    /// Waits for its Service, or does not.
    #[must_use]
    pub const fn needs_service(mut self, needs: bool) -> Self {
        self.needs_service = needs;
        self
    }

    /// Measured here.
    #[must_use]
    pub fn health(mut self, health: Arc<dyn HealthSource>) -> Self {
        self.health = Some(health);
        self
    }

    /// With hooks run by this.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn Hook>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Alerting this.
    #[must_use]
    pub fn notifier(mut self, notifier: Arc<dyn Notifier>) -> Self {
        self.notifier = Some(notifier);
        self
    }

    pub(super) fn others(&self, mut backends: Backends) -> Backends {
        backends.health.clone_from(&self.health);
        backends.hooks.clone_from(&self.hooks);
        backends.notifier.clone_from(&self.notifier);
        backends
    }
}

/// What is asked for cannot be done; what was followed before still is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotFollowed {
    /// The template makes no pod.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The strategy has no plan for it.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The Service would not send requests to the new pods.
    #[error("{0}")]
    Service(String),
    /// The plan needs what the backends cannot do.
    #[error(transparent)]
    Backends(#[from] Refused),
}
