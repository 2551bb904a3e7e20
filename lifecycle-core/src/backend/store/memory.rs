//! A store in memory.

use std::sync::Mutex;

use async_trait::async_trait;

use super::{Record, RolloutStore, StoreVersion, Stored};
use crate::backend::{BackendError, BackendResult, ErrorKind};

/// Keeps the record in memory: for tests, and for programs whose rollouts end with them.
#[derive(Debug, Default)]
pub struct MemoryStore {
    held: Mutex<Option<(Record, u64)>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds this record already.
    #[must_use]
    pub fn holding(record: Record) -> Self {
        Self { held: Mutex::new(Some((record, 1))) }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<(Record, u64)>> {
        // a poisoned lock holds a whole value: it is replaced in one assignment
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl RolloutStore for MemoryStore {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        Ok(self.held().as_ref().map(|(record, n)| Stored::new(record.clone(), StoreVersion(n.to_string()))))
    }

    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        let mut held = self.held();
        let current = held.as_ref().map(|(_, n)| *n);
        if current.map(|n| n.to_string()) != expected.as_ref().map(|version| version.0.clone()) {
            return Err(BackendError::new(
                "memory",
                "save",
                ErrorKind::Conflict,
                "the state was changed by somebody else",
            ));
        }
        let n = current.unwrap_or(0) + 1;
        *held = Some((record.clone(), n));
        Ok(StoreVersion(n.to_string()))
    }
}
