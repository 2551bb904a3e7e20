//! Where everything is in a state directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::LocalError;
use crate::files::{DirLock, LockError, create_private_dir};

/// How long another supervisor may take to be gone after it was killed.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Where everything is in a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) dir: PathBuf,
}

impl Paths {
    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.join("processes.json")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    pub(crate) fn proxy(&self) -> PathBuf {
        self.dir.join("proxy")
    }

    pub(crate) fn alerts(&self) -> PathBuf {
        self.dir.join("alerts.log")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    /// Of a directory that is there.
    pub(crate) fn existing(dir: &Path) -> Result<Self, LocalError> {
        let dir = dir.canonicalize().map_err(|source| LocalError::file("open", dir, source))?;
        Ok(Self { dir })
    }

    /// The directory as an absolute path: the proxy may run somewhere else.
    pub(crate) fn create(dir: &Path) -> Result<Self, LocalError> {
        create_private_dir(dir)?;
        let paths = Self::existing(dir)?;
        create_private_dir(&paths.logs())?;
        create_private_dir(&paths.proxy())?;
        Ok(paths)
    }

    pub(crate) fn lock(&self) -> Result<DirLock, LocalError> {
        DirLock::take(self.lock_file(), LOCK_PATIENCE).map_err(|error| match error {
            LockError::Held(holder) => LocalError::InUse { dir: self.dir.clone(), holder },
            LockError::File(error) => error,
        })
    }
}
