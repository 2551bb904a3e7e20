//! A store in a file.
use super::{Record, RolloutStore, StoreVersion, Stored};
use crate::backend::BackendResult;
use async_trait::async_trait;

/// Keeps the state in one file.
#[derive(Debug)]
pub struct FileStore;

#[async_trait]
impl RolloutStore for FileStore {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        Ok(None)
    }
    async fn save(&self, _record: &Record, _expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        Ok(StoreVersion(String::new()))
    }
}
