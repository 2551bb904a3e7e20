//! A store in a file.

#[cfg(unix)]
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Record, RolloutStore, StoreVersion, Stored};
use crate::backend::{BackendError, BackendResult, ErrorKind};

/// Written into every file; a file of another format is refused.
const FORMAT: u32 = 1;

/// A record is a few kilobytes; a file of more than this is something else.
const MAX_BYTES: u64 = 16 << 20;

/// How often and how long to wait for somebody else's write: 2 s in all, far above what one takes.
const LOCK_ATTEMPTS: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Keeps the record of one rollout target in one file.
///
/// A save writes a temporary file in the same folder, flushes it to the disk, renames it over the
/// file and flushes the folder, so a crash at any byte leaves the record before or the record after,
/// whole. A checksum tells a file that was damaged by something else; such a file is reported and
/// never overwritten.
///
/// Several processes may share the file: the compare and the swap are made under a lock on a second
/// file, `FILE.lock`. It stays, like the temporary file `FILE.tmp` of a save that was cut off; the
/// next save reuses both.
///
/// The calls block their thread for the few milliseconds that small files take (at most 2 s while
/// somebody else holds the lock). Being done in one piece, they are safe to cancel.
///
/// # Errors
/// Every error names the file. [`ErrorKind::Transient`]: no space left, or the lock is held;
/// [`ErrorKind::NotFound`]: the folder is not there (it is not created); [`ErrorKind::Unauthorized`]:
/// no permission; [`ErrorKind::Invalid`]: the file is damaged or not ours;
/// [`ErrorKind::Conflict`]: somebody else saved first. When a save fails the file is as it was, except
/// where flushing the folder fails after the rename: then the next save with the old version is a
/// conflict, and loading again shows what is there.
///
/// # Example
/// ```
/// # use lifecycle_core::backend::{Record, RolloutStore, store::FileStore};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = FileStore::new("/var/lib/lifecycle/edge-agent.json");
/// let version = store.load().await?.map(|stored| stored.version);
/// store.save(&Record::default(), version).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

/// The first line of a file; the second is the record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// Counts saves.
    sequence: u64,
    /// Of the sequence and the record's line.
    sha256: String,
}

impl Header {
    fn of(sequence: u64, line: &str) -> Self {
        let digest = Sha256::new().chain_update(sequence.to_le_bytes()).chain_update(line).finalize();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { format: FORMAT, sequence, sha256 }
    }

    /// The counter alone would repeat itself after the file was removed.
    fn version(&self) -> StoreVersion {
        StoreVersion(format!("{}-{}", self.sequence, self.sha256))
    }
}

impl FileStore {
    /// A store in this file. Nothing is read or written yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn failed(&self, operation: &'static str, doing: &str, error: io::Error) -> BackendError {
        use io::ErrorKind as Io;
        let (kind, advice) = match error.kind() {
            Io::NotFound => (ErrorKind::NotFound, " (its folder must exist)"),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => (ErrorKind::Unauthorized, ""),
            Io::InvalidData | Io::IsADirectory | Io::NotADirectory | Io::InvalidFilename => {
                (ErrorKind::Invalid, "")
            }
            Io::Unsupported => (ErrorKind::Unsupported, ""),
            _ => (ErrorKind::Transient, ""),
        };
        let message = format!("cannot {doing} {}: {error}{advice}", self.path.display());
        BackendError::new("file", operation, kind, message).because(error)
    }

    fn damaged(&self, operation: &'static str, problem: impl std::fmt::Display) -> BackendError {
        let path = self.path.display();
        let message = format!("{path} is not a rollout record: {problem}; restore it or move it away");
        BackendError::new("file", operation, ErrorKind::Invalid, message)
    }

    /// The header and the record's line, `None` when there is no file.
    fn read(&self, operation: &'static str) -> BackendResult<Option<(Header, String)>> {
        let text = match read_text(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(operation, "read", error)),
        };
        let mut lines = text.split_inclusive('\n');
        let header = lines.next().unwrap_or_default();
        let header: Header = serde_json::from_str(header)
            .map_err(|error| self.damaged(operation, format!("first line: {error}")))?;
        if header.format != FORMAT {
            let problem = format!("it has format {}, and {FORMAT} is the one known here", header.format);
            return Err(self.damaged(operation, problem));
        }
        let line = lines.next().and_then(|line| line.strip_suffix('\n'));
        let Some(line) = line.filter(|_| lines.next().is_none()) else {
            return Err(self.damaged(operation, "it does not have two whole lines"));
        };
        if Header::of(header.sequence, line).sha256 != header.sha256 {
            return Err(self.damaged(operation, "its checksum is wrong"));
        }
        Ok(Some((header, line.to_owned())))
    }

    fn load_now(&self) -> BackendResult<Option<Stored>> {
        let Some((header, line)) = self.read("load")? else { return Ok(None) };
        let record =
            serde_json::from_str(&line).map_err(|error| self.damaged("load", &error).because(error))?;
        Ok(Some(Stored::new(record, header.version())))
    }

    fn save_now(&self, record: &Record, expected: Option<&StoreVersion>) -> BackendResult<StoreVersion> {
        let line = serde_json::to_string(record).map_err(|error| {
            let message =
                format!("the record for {} cannot be written as JSON: {error}", self.path.display());
            BackendError::new("file", "save", ErrorKind::Invalid, message).because(error)
        })?;
        let _lock = self.lock()?;
        let current = self.read("save")?.map(|(header, _)| header);
        if current.as_ref().map(Header::version).as_ref() != expected {
            let message = format!("{} was changed by somebody else", self.path.display());
            return Err(BackendError::new("file", "save", ErrorKind::Conflict, message));
        }
        let header = Header::of(current.map_or(1, |header| header.sequence.wrapping_add(1)), &line);
        self.replace(&header, &line).map_err(|error| self.failed("save", "write", error))?;
        Ok(header.version())
    }

    /// The lock is released when the file is closed, also by a crash.
    fn lock(&self) -> BackendResult<File> {
        let open = || File::options().create(true).append(true).open(self.beside(".lock"));
        let lock = open().map_err(|error| self.failed("save", "lock", error))?;
        for _ in 0..LOCK_ATTEMPTS {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => pause(),
                Err(TryLockError::Error(error)) => return Err(self.failed("save", "lock", error)),
            }
        }
        let message = format!("{} is locked by another process", self.path.display());
        Err(BackendError::new("file", "save", ErrorKind::Transient, message))
    }

    fn replace(&self, header: &Header, line: &str) -> io::Result<()> {
        let temporary = self.beside(".tmp");
        let written =
            write_through(&temporary, header, line).and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            // best effort: what is left is overwritten by the next save
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        flush_folder(&self.path)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file's lock can only be waited for by blocking; bounded, and documented"
)]
fn pause() {
    std::thread::sleep(LOCK_PAUSE);
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {MAX_BYTES} bytes"),
        ));
    }
    Ok(text)
}

/// Writes a file, all the way to the disk.
fn write_through(path: &Path, header: &Header, line: &str) -> io::Result<()> {
    let text = format!("{}\n{line}\n", serde_json::to_string(header)?);
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A rename is on the disk only when the folder is.
#[cfg(unix)]
fn flush_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| folder.as_os_str() != OsStr::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders cannot be opened for flushing here; the file system orders renames itself.
#[cfg(not(unix))]
fn flush_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[async_trait]
impl RolloutStore for FileStore {
    async fn load(&self) -> BackendResult<Option<Stored>> {
        self.load_now()
    }

    async fn save(&self, record: &Record, expected: Option<StoreVersion>) -> BackendResult<StoreVersion> {
        self.save_now(record, expected.as_ref())
    }
}
