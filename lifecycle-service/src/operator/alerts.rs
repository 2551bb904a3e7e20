//! Alerts in the log: each is a Kubernetes Event and a metric too, which is where people are woken up from.

use async_trait::async_trait;
use lifecycle_core::backend::{Alert, BackendResult, Notifier, Severity};

/// Writes alerts to the log.
#[derive(Debug)]
pub(super) struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    async fn notify(&self, alert: &Alert) -> BackendResult<()> {
        let (key, deployment, strategy) = (&*alert.key.0, &*alert.deployment, &*alert.strategy);
        match alert.severity {
            Severity::Critical => tracing::error!(key, deployment, strategy, "alert: {}", alert.message),
            _ => tracing::warn!(key, deployment, strategy, "alert: {}", alert.message),
        }
        Ok(())
    }
}
