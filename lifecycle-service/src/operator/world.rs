//! The backends of the operator that are not Kubernetes.

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::analysis::AnalysisPlan;
use lifecycle_core::backend::{
    BackendResult, EffectKey, HealthSource, Hook, HookCall, HookOutcome, Notifier,
};
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

/// The hooks of one object. A key names a deployment, and two namespaces may have one of the same name; one that is
/// deleted and made again begins its counts anew.
#[derive(Debug)]
struct HooksOf {
    uid: String,
    hooks: Arc<HttpHook>,
}

#[async_trait]
impl Hook for HooksOf {
    async fn run(&self, call: &HookCall) -> BackendResult<HookOutcome> {
        let mut call = call.clone();
        call.key = EffectKey(format!("{}/{}", self.uid, call.key.0).into());
        self.hooks.run(&call).await
    }

    fn accepts(&self, url: &str) -> Result<(), String> {
        self.hooks.accepts(url)
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

    fn hooks(&self, owner: &Owner) -> Option<Arc<dyn Hook>> {
        Some(Arc::new(HooksOf { uid: owner.uid.clone(), hooks: Arc::clone(&self.hooks) }))
    }

    fn notifier(&self) -> Option<Arc<dyn Notifier>> {
        let notifier: Arc<LogNotifier> = Arc::clone(&self.notifier);
        Some(notifier)
    }
}
