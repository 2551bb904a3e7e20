//! Where the state of a rollout is kept.

mod file;
mod memory;

use std::fmt::Debug;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use file::FileStore;
pub use memory::MemoryStore;

use super::BackendResult;
use crate::machine::{Event, Look, State};
use crate::plan::Plan;
use crate::report::Status;

/// Keeps the state of one rollout target, with compare-and-swap.
///
/// # Contract
/// - [`save`](Self::save) replaces the state only if the stored version is still `expected` (`None`:
///   nothing is stored yet); otherwise it fails with [`ErrorKind::Conflict`] and changes nothing.
/// - A state that was saved is still there after a crash at any point; a save that was cut off
///   leaves the state before it.
///
/// [`ErrorKind::Conflict`]: super::ErrorKind::Conflict
#[async_trait]
pub trait RolloutStore: Send + Sync + Debug {
    /// What is stored, and its version, `None` when there is none.
    async fn load(&self) -> BackendResult<Option<Stored>>;

    /// Replaces what is stored; answers with its new version.
    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion>;

    /// The same, with what people are shown of it: a store whose record is part of an object that people
    /// look at writes both at once. The news are no part of the record.
    async fn save_with_news(
        &self,
        record: &Record,
        expected: Option<StoreVersion>,
        news: News<'_>,
    ) -> BackendResult<StoreVersion> {
        let _ = news;
        self.save(record, expected).await
    }
}

/// What a tick decided, for people.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct News<'a> {
    /// How things stand with this record.
    pub status: &'a Status,
    /// What was decided.
    pub events: &'a [Event],
    /// What the looks said, where the driver tells
    /// ([`Driver::explained`](crate::driver::Driver::explained)).
    pub looks: &'a [Look],
}

impl<'a> News<'a> {
    /// This standing after these decisions.
    #[must_use]
    pub const fn new(status: &'a Status, events: &'a [Event]) -> Self {
        Self { status, events, looks: &[] }
    }

    /// With what the looks said.
    #[must_use]
    pub const fn looks(self, looks: &'a [Look]) -> Self {
        Self { looks, ..self }
    }
}

/// Changes with every save. Compared for equality only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct StoreVersion(pub String);

/// What is kept of a rollout target: its state, and the plan of the rollout that is on its way. An
/// edited spec waits for the next rollout, so the plan must outlive a crash too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The state.
    pub state: State,
    /// The plan of the rollout that is on its way, or of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Arc<Plan>>,
}

impl Record {
    /// A state without a plan: no rollout was ever started.
    #[must_use]
    pub const fn of(state: State) -> Self {
        Self { state, plan: None }
    }

    /// A state with the plan it is on.
    #[must_use]
    pub const fn new(state: State, plan: Option<Arc<Plan>>) -> Self {
        Self { state, plan }
    }
}

/// A record with the version under which it is stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// What is kept.
    pub record: Record,
    /// Its version.
    pub version: StoreVersion,
}

impl Stored {
    /// A record stored under this version.
    #[must_use]
    pub const fn new(record: Record, version: StoreVersion) -> Self {
        Self { record, version }
    }
}
