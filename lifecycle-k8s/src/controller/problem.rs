//! What stands in the way of a rollout and is for somebody to mend.

use lifecycle_core::backend::{BackendError, ErrorKind};

/// A problem, as conditions and Events tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// One word.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
}

impl Problem {
    /// The spec says what cannot be done.
    #[must_use]
    pub fn spec(message: impl Into<String>) -> Self {
        Self { reason: "SpecRefused", message: message.into() }
    }

    /// A command cannot be understood.
    #[must_use]
    pub fn command(message: impl Into<String>) -> Self {
        Self { reason: "CommandRefused", message: message.into() }
    }

    /// Replicas do not come up.
    #[must_use]
    pub fn replicas(message: impl Into<String>) -> Self {
        Self { reason: "ReplicasFailing", message: message.into() }
    }

    /// Requests do not go where they should.
    #[must_use]
    pub fn traffic(message: impl Into<String>) -> Self {
        Self { reason: "TrafficFailing", message: message.into() }
    }

    /// Something was not as it should be, and is put back.
    #[must_use]
    pub fn repaired(message: impl Into<String>) -> Self {
        Self { reason: "Repaired", message: message.into() }
    }

    /// The one of these errors that most needs somebody. Errors that another try mends are none.
    #[must_use]
    pub fn worst(errors: &[BackendError]) -> Option<Self> {
        let rank = |error: &&BackendError| match error.kind {
            ErrorKind::Unauthorized => 4,
            ErrorKind::Invalid => 3,
            ErrorKind::NotFound => 2,
            ErrorKind::Unsupported => 1,
            _ => 0,
        };
        let worst = errors.iter().filter(|error| rank(error) > 0).max_by_key(rank)?;
        Some(Self::of(worst))
    }

    /// A call that failed.
    #[must_use]
    pub fn of(error: &BackendError) -> Self {
        let reason = match error.kind {
            ErrorKind::Unauthorized => "Forbidden",
            ErrorKind::Invalid => "Refused",
            ErrorKind::NotFound => "NotFound",
            ErrorKind::Unsupported => "Unsupported",
            ErrorKind::Conflict => "Conflict",
            _ => "Unreachable",
        };
        Self { reason, message: error.message.clone() }
    }
}
