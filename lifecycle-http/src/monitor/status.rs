//! How a target is, as far as it is known.

use std::fmt;

use lifecycle_core::time::Timestamp;
use serde::Serialize;

use crate::probe::Outcome;

/// How a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_enums, reason = "one has to decide what to do in each of the three")]
pub enum Verdict {
    /// No threshold was reached yet, or nobody probes any more. Never to be taken for a pass.
    Unknown,
    /// So many probes in a row have passed.
    Healthy,
    /// So many probes in a row have failed.
    Unhealthy,
}

/// What is known of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HealthStatus {
    /// How it is.
    pub verdict: Verdict,
    /// Since when the verdict is this one: milliseconds since the caller's origin of time.
    pub since: Timestamp,
    /// The results in a row that came last, and count.
    pub streak: Streak,
    /// The newest result; also one that does not count, of a probe out of turn. It is old when nobody has
    /// probed for a while, and the verdict is as old then.
    pub last: Option<Observed>,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Observed {
    /// When it was known.
    pub at: Timestamp,
    /// What it was.
    pub outcome: Outcome,
}

/// Results of one kind in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_enums, reason = "none, or of one of two kinds")]
pub enum Streak {
    /// No result yet.
    #[default]
    None,
    /// The last results passed.
    Passes {
        /// So many.
        count: u32,
        /// When the first of them came.
        since: Timestamp,
    },
    /// The last results failed.
    Failures {
        /// So many.
        count: u32,
        /// When the first of them came.
        since: Timestamp,
    },
}

impl HealthStatus {
    /// Nothing is known, since this time.
    #[must_use]
    pub const fn unknown(since: Timestamp) -> Self {
        Self { verdict: Verdict::Unknown, since, streak: Streak::None, last: None }
    }

    /// Is it known to be healthy?
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.verdict == Verdict::Healthy
    }

    /// How many failures came last, one after the other; 0 when the last result was a pass.
    #[must_use]
    pub const fn consecutive_failures(&self) -> u32 {
        match self.streak {
            Streak::None | Streak::Passes { .. } => 0,
            Streak::Failures { count, .. } => count,
        }
    }

    /// How many passes came last, one after the other; 0 when the last result was a failure.
    #[must_use]
    pub const fn consecutive_passes(&self) -> u32 {
        match self.streak {
            Streak::None | Streak::Failures { .. } => 0,
            Streak::Passes { count, .. } => count,
        }
    }
}

impl Streak {
    /// With one more result.
    pub(super) const fn grown(self, passed: bool, now: Timestamp) -> Self {
        match (self, passed) {
            (Self::Passes { count, since }, true) => Self::Passes { count: count.saturating_add(1), since },
            (Self::Failures { count, since }, false) => {
                Self::Failures { count: count.saturating_add(1), since }
            }
            (Self::None | Self::Failures { .. }, true) => Self::Passes { count: 1, since: now },
            (Self::None | Self::Passes { .. }, false) => Self::Failures { count: 1, since: now },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}
