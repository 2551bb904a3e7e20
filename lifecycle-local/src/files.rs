//! Files that are whole after a crash at any byte.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LocalError;

/// What a replaced file must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The death of the program. Enough for what is about processes: a power cut ends those too.
    Process,
    /// A power cut.
    Disk,
}

/// Replaces a file: readers see what was there or all of what is new, also after a crash. When the
/// disk is full, what was there stays.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), LocalError> {
    let next = path.with_extension("next");
    let written = (|| {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        if durable == Durable::Disk {
            file.sync_all()?;
        }
        fs::rename(&next, path)?;
        if let (Durable::Disk, Some(dir)) = (durable, path.parent()) {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    })();
    written.map_err(|source| {
        // what is half-written helps nobody, and takes room on a full disk
        let _ = fs::remove_file(&next);
        LocalError::file("write", path, source)
    })
}

/// Replaces a file by a value as JSON.
pub(crate) fn replace_json<T: Serialize>(path: &Path, value: &T, durable: Durable) -> Result<(), LocalError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| LocalError::Damaged { path: path.to_owned(), problem: error.to_string() })?;
    replace(path, &bytes, durable)
}

/// Reads a value from a file of JSON, `None` when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LocalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LocalError::file("read", path, source)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| LocalError::Damaged { path: path.to_owned(), problem: error.to_string() })
}

/// Creates a directory that only its owner can look into.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), LocalError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| LocalError::file("create", path, source))
}

/// A lock that the system takes back when its holder dies.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody has it: the pid in the file, or `unknown`.
    Held(String),
    /// The lock file could not be used.
    File(LocalError),
}

impl DirLock {
    /// Takes the lock of this file, trying for up to `patience`: a holder that was just killed may
    /// take a moment to be gone. A file that may only be read is locked all the same.
    pub(crate) fn take(path: PathBuf, patience: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + patience;
        let failed = |source| LockError::File(LocalError::file("lock", &path, source));
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        if let Err(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) =
            file.as_ref().map_err(io::Error::kind)
        {
            file = File::open(&path);
        }
        let mut file = file.map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        // The pid is for people; the lock holds without it, also on a full disk.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }

    /// Who has the lock of this file now: the pid in it, or `unknown`. Nothing is written; for the
    /// moment of the question others have to wait.
    pub(crate) fn holder(path: &Path) -> Option<String> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = holder.trim();
    if holder.is_empty() { "unknown" } else { holder }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_what_was_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"1", Durable::Disk).unwrap();
        // a directory in the way of the temporary file stands for any failed write, root or not
        fs::create_dir(dir.path().join("state.next")).unwrap();
        let error = replace(&path, b"2", Durable::Disk).unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("state.json"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"1");
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        // writes to /dev/full fail with ENOSPC; the temporary file is a link to it
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace(&path, b"1", Durable::Process).unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("state.next")).unwrap();
        let error = replace(&path, b"2", Durable::Process).unwrap_err().to_string();
        assert!(error.contains("state.json") && error.contains("No space left"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert!(!dir.path().join("state.next").exists());
    }

    #[test]
    fn a_lock_is_held_once_and_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = DirLock::take(path.clone(), Duration::ZERO).unwrap();
        match DirLock::take(path.clone(), Duration::ZERO) {
            Err(LockError::Held(pid)) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        assert_eq!(DirLock::holder(&path), Some(std::process::id().to_string()));
        drop(held);
        assert_eq!(DirLock::holder(&path), None);
        DirLock::take(path, Duration::ZERO).unwrap();
    }
}
