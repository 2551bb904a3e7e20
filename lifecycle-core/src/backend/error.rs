//! The one shape of a backend's error.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It may work the next time: timeouts, connection errors, overload.
    Transient,
    /// Somebody else wrote first; observe again and decide again.
    Conflict,
    /// The object is not there.
    NotFound,
    /// The backend refused the caller's identity.
    Unauthorized,
    /// The backend cannot do this at all.
    Unsupported,
    /// The request or the answer makes no sense; repeating it will not help.
    Invalid,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Conflict => "conflict",
            Self::NotFound => "not found",
            Self::Unauthorized => "unauthorized",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
        })
    }
}

/// A backend could not do what it was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackendError {
    /// Which backend: `local`, `kubernetes`, `prometheus`.
    pub backend: &'static str,
    /// What it was doing: `scale`, `observe`.
    pub operation: &'static str,
    /// What a caller can do about it.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The result of a call to a backend.
pub type BackendResult<T> = Result<T, BackendError>;

impl BackendError {
    /// An error of this backend, operation and kind.
    #[must_use]
    pub fn new(
        backend: &'static str,
        operation: &'static str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { backend, operation, kind, message: message.into(), source: None }
    }

    /// With the error that caused it.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} ({})", self.backend, self.operation, self.message, self.kind)
    }
}

impl StdError for BackendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
