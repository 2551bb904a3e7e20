//! All that the status ever said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use kube::runtime::{WatchStreamExt as _, watcher};
use lifecycle_k8s::crd::AgentDeployment;
use tokio::task::JoinHandle;

use super::{Agent, NAME, Stage, until, until_within};

/// Every status that the object had since this began to look, also one that lasted for moments.
pub(crate) struct History {
    seen: Arc<Mutex<Vec<Agent>>>,
    task: JoinHandle<()>,
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    /// Begins to look.
    pub(crate) async fn history(&self) -> History {
        let now = Agent::new(self.agent().await);
        let seen = Arc::new(Mutex::new(vec![now]));
        let (api, written) = (self.api::<AgentDeployment>(), Arc::clone(&seen));
        let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let task = tokio::spawn(async move {
            let objects = watcher(api, config).default_backoff().applied_objects();
            pin_mut!(objects);
            while let Some(object) = objects.next().await {
                if let Ok(object) = object {
                    written.lock().unwrap_or_else(PoisonError::into_inner).push(Agent::new(object));
                }
            }
        });
        let history = History { seen, task };
        until("the watch has begun", async || if history.seen().len() > 1 { Ok(()) } else { Err(()) }).await;
        history
    }
}

impl History {
    /// All of them, the oldest first.
    pub(crate) fn seen(&self) -> Vec<Agent> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there was one like this.
    pub(crate) async fn until_within(
        &self,
        within: Duration,
        what: &str,
        is: impl Fn(&Agent) -> bool,
    ) -> Agent {
        until_within(within, what, async || {
            let seen = self.seen();
            seen.iter().find(|agent| is(agent)).cloned().ok_or_else(|| seen.last().cloned())
        })
        .await
    }
}
