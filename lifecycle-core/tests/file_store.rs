//! The file store: what a crash, a second writer, a full disk and a damaged file do to it.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which may fail by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{now, record};
use lifecycle_core::backend::store::FileStore;
use lifecycle_core::backend::{BackendError, ErrorKind, RolloutStore, StoreVersion};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn in_folder(folder: &TempDir) -> FileStore {
    FileStore::new(folder.path().join("agent.json"))
}

/// A store that has saved this many records, of epochs 1, 2, ...
fn saved(folder: &TempDir, records: u32) -> (FileStore, StoreVersion) {
    let store = in_folder(folder);
    let mut version = None;
    for epoch in 1..=records {
        version = Some(now(store.save(&record(epoch), version)).unwrap());
    }
    (store, version.unwrap())
}

fn epoch(store: &FileStore) -> u32 {
    now(store.load()).unwrap().unwrap().record.state.epoch
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// The error has this kind and names the file.
fn assert_names(error: &BackendError, kind: ErrorKind, path: &Path) {
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn what_was_saved_is_loaded_by_another_store() {
    let folder = folder();
    let (store, version) = saved(&folder, 3);
    let stored = now(FileStore::new(store.path()).load()).unwrap().unwrap();
    assert_eq!((stored.record, stored.version), (record(3), version));
}

#[test]
fn nothing_is_loaded_before_the_first_save() {
    assert!(now(in_folder(&folder()).load()).unwrap().is_none());
}

#[test]
fn a_stale_version_is_a_conflict_and_changes_nothing() {
    let folder = folder();
    let (store, version) = saved(&folder, 1);
    now(store.save(&record(2), Some(version.clone()))).unwrap();
    let before = fs::read(store.path()).unwrap();
    for expected in [None, Some(version), Some(StoreVersion("other".to_owned()))] {
        let error = now(store.save(&record(9), expected)).unwrap_err();
        assert_names(&error, ErrorKind::Conflict, store.path());
    }
    assert_eq!(fs::read(store.path()).unwrap(), before);
}

#[test]
fn a_version_is_not_used_again_after_the_file_was_removed() {
    let folder = folder();
    let (store, version) = saved(&folder, 1);
    fs::remove_file(store.path()).unwrap();
    now(store.save(&record(7), None)).unwrap();
    let error = now(store.save(&record(8), Some(version))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
}

#[test]
fn the_same_record_saved_twice_has_two_versions() {
    let folder = folder();
    let (store, first) = saved(&folder, 1);
    let second = now(store.save(&record(1), Some(first.clone()))).unwrap();
    assert_ne!(first, second);
}

#[test]
fn a_save_that_was_cut_off_at_any_byte_leaves_the_record_before() {
    let whole = {
        let folder = folder();
        let (store, _) = saved(&folder, 2);
        fs::read(store.path()).unwrap()
    };
    let folder = folder();
    let (store, version) = saved(&folder, 1);
    let before = fs::read(store.path()).unwrap();
    for end in 0..=whole.len() {
        fs::write(beside(store.path(), ".tmp"), &whole[..end]).unwrap();
        assert_eq!(epoch(&store), 1, "cut off after {end} bytes");
        // the next save is not in the way of what is left over
        let next = now(store.save(&record(2), Some(version.clone()))).unwrap();
        assert_eq!(now(store.load()).unwrap().unwrap().version, next, "cut off after {end} bytes");
        assert!(!beside(store.path(), ".tmp").exists());
        fs::write(store.path(), &before).unwrap();
    }
}

#[test]
fn a_damaged_file_is_reported_and_never_overwritten() {
    let folder = folder();
    let (store, version) = saved(&folder, 2);
    let whole = fs::read(store.path()).unwrap();
    let truncated = (0..whole.len()).map(|end| whole[..end].to_vec());
    let flipped = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    let longer = [[&whole[..], b"{}\n"].concat(), [&whole[..], b"\n"].concat()];
    let foreign = [
        b"{}\n".to_vec(),
        b"\0\xff".to_vec(),
        b"{\"format\":2,\"sequence\":1,\"sha256\":\"\"}\n{}\n".to_vec(),
    ];
    for damaged in truncated.chain(flipped).chain(longer).chain(foreign) {
        fs::write(store.path(), &damaged).unwrap();
        assert_names(&now(store.load()).unwrap_err(), ErrorKind::Invalid, store.path());
        for expected in [None, Some(version.clone())] {
            assert_names(
                &now(store.save(&record(9), expected)).unwrap_err(),
                ErrorKind::Invalid,
                store.path(),
            );
        }
        assert_eq!(fs::read(store.path()).unwrap(), damaged);
    }
}

#[test]
fn a_file_that_is_far_too_large_is_not_read() {
    let folder = folder();
    let store = in_folder(&folder);
    fs::File::create(store.path()).unwrap().set_len(1 << 40).unwrap();
    let error = now(store.load()).unwrap_err();
    assert_names(&error, ErrorKind::Invalid, store.path());
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[test]
fn a_folder_in_the_place_of_the_file_is_refused() {
    let folder = folder();
    let store = in_folder(&folder);
    fs::create_dir(store.path()).unwrap();
    assert_names(&now(store.load()).unwrap_err(), ErrorKind::Invalid, store.path());
    assert_names(&now(store.save(&record(1), None)).unwrap_err(), ErrorKind::Invalid, store.path());
}

#[test]
fn a_missing_folder_is_an_error_and_is_not_created() {
    let folder = folder();
    let store = FileStore::new(folder.path().join("missing/agent.json"));
    assert!(now(store.load()).unwrap().is_none());
    assert_names(&now(store.save(&record(1), None)).unwrap_err(), ErrorKind::NotFound, store.path());
    assert!(!folder.path().join("missing").exists());
}

/// The temporary file leads to the device that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_changes_nothing() {
    let folder = folder();
    let (store, version) = saved(&folder, 1);
    let before = fs::read(store.path()).unwrap();
    std::os::unix::fs::symlink("/dev/full", beside(store.path(), ".tmp")).unwrap();
    let error = now(store.save(&record(2), Some(version.clone()))).unwrap_err();
    assert_names(&error, ErrorKind::Transient, store.path());
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(fs::read(store.path()).unwrap(), before);
    // and once there is space again it goes on
    now(store.save(&record(2), Some(version))).unwrap();
    assert_eq!(epoch(&store), 2);
}

#[test]
fn a_lock_that_somebody_keeps_is_a_transient_error() {
    let folder = folder();
    let (store, version) = saved(&folder, 1);
    let held = fs::File::open(beside(store.path(), ".lock")).unwrap();
    held.lock().unwrap();
    let error = now(store.save(&record(2), Some(version.clone()))).unwrap_err();
    assert_names(&error, ErrorKind::Transient, store.path());
    assert_eq!(epoch(&store), 1);
    drop(held);
    now(store.save(&record(2), Some(version))).unwrap();
}

#[test]
fn of_many_savers_exactly_one_wins_each_version() {
    const SAVERS: usize = 8;
    const WINS: u32 = 25;
    let folder = folder();
    let (store, _) = saved(&folder, 1);
    let saver = || {
        let store = FileStore::new(store.path());
        let mut won = Vec::new();
        while u32::try_from(won.len()).unwrap() < WINS {
            let stored = now(store.load()).unwrap().unwrap();
            let next = stored.record.state.epoch + 1;
            match now(store.save(&record(next), Some(stored.version))) {
                Ok(_) => won.push(next),
                // transient: on a slow disk the others may keep the lock for longer than it is waited for
                Err(error) => {
                    assert!(matches!(error.kind, ErrorKind::Conflict | ErrorKind::Transient), "{error}");
                }
            }
        }
        won
    };
    let mut won: Vec<u32> = std::thread::scope(|scope| {
        let savers: Vec<_> = (0..SAVERS).map(|_| scope.spawn(saver)).collect();
        savers.into_iter().flat_map(|saver| saver.join().unwrap()).collect()
    });
    won.sort_unstable();
    let all = 1 + WINS * u32::try_from(SAVERS).unwrap();
    assert_eq!(won, (2..=all).collect::<Vec<_>>());
    assert_eq!(epoch(&store), all);
}
