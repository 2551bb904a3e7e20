//! What people can say at any time.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::version::Version;

/// A command. Each id is carried out once, however often it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Command {
    /// Tells this command from every other.
    pub id: Arc<str>,
    /// What it asks for.
    pub kind: CommandKind,
}

impl Command {
    /// A command with this id.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, kind: CommandKind) -> Self {
        Self { id: id.into(), kind }
    }
}

/// What a command asks for. (A newer version is not a command: it is a new spec.)
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CommandKind {
    /// Take no further step. Replicas still follow a changed number; going back is not stopped.
    Pause,
    /// Go on.
    Resume,
    /// Pass this step's gate.
    Promote,
    /// Pass every gate that is left.
    PromoteFull,
    /// Go back to stable.
    Abort,
    /// Try the revision that failed once more.
    Retry,
    /// Go back to the newest revision that was promoted before, or to this version.
    Rollback(Option<Version>),
    /// Change the desired number of replicas, 1 or more.
    Scale(u32),
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Promote => f.write_str("promote"),
            Self::PromoteFull => f.write_str("promote-full"),
            Self::Abort => f.write_str("abort"),
            Self::Retry => f.write_str("retry"),
            Self::Rollback(None) => f.write_str("rollback"),
            Self::Rollback(Some(version)) => write!(f, "rollback {version}"),
            Self::Scale(n) => write!(f, "scale {n}"),
        }
    }
}
