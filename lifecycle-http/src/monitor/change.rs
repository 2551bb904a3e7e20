//! A verdict that has changed.

use std::fmt;
use std::sync::Arc;

use lifecycle_core::time::Timestamp;
use serde::Serialize;

use super::status::Verdict;
use crate::probe::Outcome;

/// The verdict on a target has changed: what it is now, and the numbers it was based on. Displayed it is a
/// sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Change {
    /// The path that is probed.
    pub path: Arc<str>,
    /// When it changed: milliseconds since the caller's origin of time, as all times here.
    pub at: Timestamp,
    /// What it was.
    pub from: Verdict,
    /// Since when it was that.
    pub from_since: Timestamp,
    /// What it is now.
    pub to: Verdict,
    /// How many results in a row it is based on.
    pub count: u32,
    /// How many were needed.
    pub threshold: u32,
    /// When the first of them came.
    pub since: Timestamp,
    /// The last of them.
    pub outcome: Outcome,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, at, from, from_since, to, count, threshold, since, outcome } = self;
        let went = if outcome.is_passed() { "passed" } else { "failed" };
        write!(f, "GET {path} is {to}: {went} ")?;
        match count {
            1 => f.write_str("once")?,
            _ => write!(f, "{count} times in a row for {}", at.since(*since).coarse())?,
        }
        write!(f, " (bound {threshold}), {outcome}")?;
        match from {
            Verdict::Unknown => Ok(()),
            Verdict::Healthy | Verdict::Unhealthy => {
                write!(f, "; it was {from} for {}", at.since(*from_since).coarse())
            }
        }
    }
}
