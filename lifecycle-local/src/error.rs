//! What can go wrong when a state directory is opened or closed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the local backend could not be opened, or could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LocalError {
    /// A field of the configuration or of a template makes no sense.
    #[error("{path}: {problem}")]
    Invalid {
        /// Where, as a person wrote it: `spec.template.command`.
        path: String,
        /// What is wrong and what is accepted.
        problem: String,
    },
    /// Another program supervises this state directory.
    #[error("the state directory {} is in use by process {holder}; stop that one first, or use another directory", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The pid in the lock file, or `unknown`.
        holder: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `create`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the state directory is damaged.
    #[error("{} is damaged: {problem}; move it away to start without what it recorded", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy did not start.
    #[error("the proxy did not start: {0}")]
    Proxy(String),
    /// Processes that were killed are still there.
    #[error("{0} processes did not end")]
    Alive(usize),
}

impl LocalError {
    pub(crate) fn invalid(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { path: path.into(), problem: problem.into() }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }
}
