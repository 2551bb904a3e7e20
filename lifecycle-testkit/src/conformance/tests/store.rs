use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle_core::backend::store::{FileStore, MemoryStore};
use lifecycle_core::backend::{BackendResult, Record, RolloutStore, StoreVersion, Stored};
use tempfile::TempDir;

use super::super::{Able, StoreBench, Unable, rollout_store};
use super::{assert_conforms, assert_found, run};
use crate::cluster::{Cluster, ClusterConfig};

/// One store that every process shares.
struct Shared(Arc<dyn RolloutStore>);

#[async_trait]
impl StoreBench for Shared {
    async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>> {
        Ok(Arc::clone(&self.0))
    }

    fn outlives_the_process(&self) -> Able<()> {
        Err(Unable::new("the record is kept in memory"))
    }
}

const ONLY_IN_MEMORY: &[&str] = &["a_saved_record_is_there_for_the_next_process"];

#[test]
fn the_store_in_memory_conforms() {
    let report = run(rollout_store(|| async { Ok(Shared(Arc::new(MemoryStore::new()))) }));
    assert_conforms(report, ONLY_IN_MEMORY);
}

#[test]
fn the_simulated_store_conforms() {
    let report =
        run(rollout_store(|| async { Ok(Shared(Cluster::new(ClusterConfig::default(), 0).store())) }));
    assert_conforms(report, ONLY_IN_MEMORY);
}

struct InFile(TempDir);

#[async_trait]
impl StoreBench for InFile {
    async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>> {
        Ok(Arc::new(FileStore::new(self.0.path().join("agent.json"))))
    }
}

#[test]
fn the_store_in_a_file_conforms() {
    let report = run(rollout_store(|| async { Ok(InFile(tempfile::tempdir().unwrap())) }));
    assert_conforms(report, &[]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    HasARecord,
    LosesWhatIsSaved,
    UsesVersionsAgain,
    LosesThePlan,
    IgnoresStaleVersions,
    IgnoresNone,
    SavesOnConflict,
    ComparesTooEarly,
    SavesInTwoParts,
    HasOnePerHandle,
}

/// A store with a defect: what is stored, and how often it was saved.
#[derive(Clone, Debug)]
struct Broken {
    held: Arc<Mutex<(Option<Record>, u32)>>,
    defect: Defect,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let record = (defect == Defect::HasARecord).then(Record::default);
        Self { held: Arc::new(Mutex::new((record, 0))), defect }
    }

    fn version(&self) -> Option<StoreVersion> {
        let (record, saves) = &*self.held.lock().unwrap();
        let saves = if self.defect == Defect::UsesVersionsAgain { saves % 2 } else { *saves };
        record.as_ref().map(|_| StoreVersion(saves.to_string()))
    }
}

/// Lets others take a turn.
pub(super) async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[async_trait]
impl RolloutStore for Broken {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        let record = self.held.lock().unwrap().0.clone();
        Ok(record.zip(self.version()).map(|(record, version)| Stored::new(record, version)))
    }

    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        use lifecycle_core::backend::{BackendError, ErrorKind};
        let mut record = record.clone();
        let fits = match self.defect {
            Defect::IgnoresStaleVersions => expected.is_some() || self.version().is_none(),
            Defect::IgnoresNone => expected.is_none() || expected == self.version(),
            _ => expected == self.version(),
        };
        let conflict = BackendError::new("test", "save", ErrorKind::Conflict, "changed");
        match self.defect {
            Defect::SavesOnConflict if !fits => {
                self.held.lock().unwrap().0 = Some(record);
                return Err(conflict);
            }
            Defect::LosesThePlan => record.plan = None,
            Defect::ComparesTooEarly => turn().await,
            _ => {}
        }
        if !fits {
            return Err(conflict);
        }
        if self.defect != Defect::LosesWhatIsSaved || self.version().is_none() {
            self.held.lock().unwrap().0 = Some(record);
        }
        if self.defect == Defect::SavesInTwoParts {
            turn().await;
        }
        self.held.lock().unwrap().1 += 1;
        Ok(self.version().unwrap())
    }
}

struct OnePerHandle;

#[async_trait]
impl StoreBench for OnePerHandle {
    async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>> {
        Ok(Arc::new(MemoryStore::new()))
    }
}

#[test]
fn every_defect_of_a_store_is_found() {
    for (defect, case) in [
        (Defect::HasARecord, "nothing_is_stored_at_first"),
        (Defect::LosesWhatIsSaved, "what_was_saved_is_loaded"),
        (Defect::UsesVersionsAgain, "every_save_has_another_version"),
        (Defect::LosesThePlan, "a_record_comes_back_as_it_was"),
        (Defect::IgnoresStaleVersions, "a_stale_version_is_a_conflict"),
        (Defect::IgnoresNone, "none_is_a_conflict_once_something_is_stored"),
        (Defect::IgnoresStaleVersions, "a_version_that_never_was_is_a_conflict"),
        (Defect::SavesOnConflict, "a_conflict_leaves_record_and_version"),
        (Defect::ComparesTooEarly, "of_savers_at_the_same_time_exactly_one_wins"),
        (Defect::SavesInTwoParts, "a_save_that_is_dropped_is_done_or_not_done"),
    ] {
        let report = run(rollout_store(|| async { Ok(Shared(Arc::new(Broken::new(defect)))) }));
        assert_found(defect, &report, case);
    }
    let report = run(rollout_store(|| async { Ok(OnePerHandle) }));
    for case in ["every_handle_sees_the_same_record", "a_saved_record_is_there_for_the_next_process"] {
        assert_found(Defect::HasOnePerHandle, &report, case);
    }
}
