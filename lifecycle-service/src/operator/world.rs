//! The backends of the operator that are not Kubernetes.

use std::sync::Arc;

use lifecycle_core::backend::{HealthSource, Hook, Notifier};
use lifecycle_core::spec::Manifest;
use lifecycle_k8s::controller::Surroundings;
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
    fn health(&self, manifest: &Manifest) -> Option<Arc<dyn HealthSource>> {
        let target = Target::new(&*manifest.namespace, &*manifest.name);
        let target = match target.clone().with_queries(&manifest.spec.analysis().plan(Vec::new()).queries) {
            Ok(with_queries) => with_queries,
            Err(error) => {
                // a check that asks for the query is refused, because the source does not know it
                tracing::warn!(name = &*manifest.name, %error, "spec.analysis.queries is not used");
                target
            }
        };
        Some(self.prometheus.as_ref()?.for_target(target))
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
