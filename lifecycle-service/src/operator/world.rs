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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifecycle_core::backend::HookPoint;
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{Revision, RevisionNumber, Version};
    use lifecycle_k8s::crd::AgentDeployment;
    use serde_json::json;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Until the hook has ended.
    async fn outcome(hook: &dyn Hook, call: &HookCall) -> HookOutcome {
        loop {
            match hook.run(call).await.unwrap() {
                HookOutcome::Pending => tokio::time::sleep(Duration::from_millis(5)).await,
                ended => return ended,
            }
        }
    }

    #[tokio::test]
    async fn the_hook_of_one_object_does_not_answer_for_another_of_the_same_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            // the first call passes, every later one does not
            for status in ["200 OK"].into_iter().chain(std::iter::repeat("503 Service Unavailable")) {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        let revision = Revision::new(RevisionNumber(1), "abc", Version::new(1, 5, 0));
        let call = HookCall::new(
            EffectKey("edge-agent/1/0/pre-deploy/0".into()),
            HookPoint::PreDeploy,
            url.into(),
            Millis::from_secs(5),
            revision,
        );
        let world = World::new(None);
        let of = |uid: &str| {
            let object = json!({
                "metadata": {"name": "edge-agent", "namespace": "shop", "uid": uid}, "spec": {"version": "1.5.0"},
            });
            let object: AgentDeployment = serde_json::from_value(object).unwrap();
            world.hooks(&Owner::of(&object).unwrap()).unwrap()
        };
        assert_eq!(outcome(&*of("u1"), &call).await, HookOutcome::Passed);
        assert_eq!(outcome(&*of("u1"), &call).await, HookOutcome::Passed, "it is remembered");
        assert!(matches!(outcome(&*of("u2"), &call).await, HookOutcome::Failed(_)));
    }
}
