//! The tasks of the local backend, owned by everything that needs them.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// Tasks that end when the last owner is dropped.
#[derive(Debug, Default)]
pub(crate) struct Background {
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Background {
    pub(crate) fn new() -> Self {
        Self { tasks: Mutex::new(Some(JoinSet::new())) }
    }

    /// Runs this until all ends.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            tasks.spawn(task);
        }
    }

    /// Has it been ended?
    pub(crate) fn is_over(&self) -> bool {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Ends all tasks, and answers once they are gone.
    pub(crate) async fn end(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
    }
}
