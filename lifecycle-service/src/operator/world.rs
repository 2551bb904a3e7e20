//! The backends of the operator that are not Kubernetes.

use std::sync::Arc;

use lifecycle_core::analysis::AnalysisPlan;
use lifecycle_core::backend::{HealthSource, Hook, Notifier};
use lifecycle_k8s::controller::Surroundings;
use lifecycle_k8s::object::Owner;
use lifecycle_local::HttpHook;
use lifecycle_prom::{PrometheusSource, Target};

use super::alerts::LogNotifier;

/// Prometheus for measurements, HTTP for hooks, the log for alerts.
#[derive(Debug)]
pub(super) struct World {
    prometheus: Option<PrometheusSource>,
    hooks: Arc<HttpHook>,
    notifier: Arc<LogNotifier>,
}

impl World {
    /// With this Prometheus, or without one.
    pub(super) fn new(prometheus: Option<PrometheusSource>) -> Self {
        Self { prometheus, hooks: Arc::new(HttpHook::new()), notifier: Arc::new(LogNotifier) }
    }
}

impl Surroundings for World {
    fn health(
        &self,
        owner: &Owner,
        analysis: &AnalysisPlan,
    ) -> Result<Option<Arc<dyn HealthSource>>, String> {
        let target = Target::new(&*owner.namespace, &*owner.name)
            .with_queries(&analysis.queries)
            .map_err(|error| error.to_string())?;
        Ok(self.prometheus.as_ref().map(|prometheus| prometheus.for_target(target)))
    }

    fn hooks(&self) -> Option<Arc<dyn Hook>> {
        let hooks: Arc<HttpHook> = Arc::clone(&self.hooks);
        Some(hooks)
    }

    fn notifier(&self) -> Option<Arc<dyn Notifier>> {
        let notifier: Arc<LogNotifier> = Arc::clone(&self.notifier);
        Some(notifier)
    }
}
