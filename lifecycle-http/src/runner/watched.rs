//! What is known of one of the targets of a runner.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::monitor::HealthStatus;

/// One target that a [`Runner`](crate::Runner) probes, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the probes"]
pub struct Watched {
    name: Arc<str>,
    receiver: watch::Receiver<HealthStatus>,
    task: AbortHandle,
}

impl Watched {
    pub(super) const fn new(
        name: Arc<str>,
        receiver: watch::Receiver<HealthStatus>,
        task: AbortHandle,
    ) -> Self {
        Self { name, receiver, task }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known now. Nothing, when the runner was dropped.
    #[must_use]
    pub fn status(&self) -> HealthStatus {
        self.receiver.borrow().clone()
    }

    /// What is known once the verdict has changed since this was last called; `None` when it will not change
    /// any more, because the runner was dropped. Changes that come faster than this is called are one.
    ///
    /// Cancel safe: a call that is dropped loses no change.
    pub async fn changed(&mut self) -> Option<HealthStatus> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}
