//! A rollout that was begun with measurements, in a process that has none.

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, HealthQuery, HealthSource, Reading, Signal,
};

/// Answers every query with what is missing: the rollout waits at its gate, and obeys.
#[derive(Debug)]
pub(super) struct Unmeasured;

#[async_trait]
impl HealthSource for Unmeasured {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let message = "this operator measures nothing: no health source was given to it";
        let error = BackendError::new("kubernetes", "measure", ErrorKind::Unsupported, message.to_owned());
        vec![Err(error); queries.len()]
    }

    fn knows(&self, _: &str) -> bool {
        true
    }

    fn measures(&self, _: &Signal) -> bool {
        true
    }
}
