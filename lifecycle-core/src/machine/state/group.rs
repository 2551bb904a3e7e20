//! One replica group: the newest wish, the range of all wishes that may still take effect, and what was
//! seen last.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::backend::Token;
use crate::time::Millis;
use crate::version::RevisionNumber;

/// One replica group: the newest wish, the range of all wishes that may still take effect, and what
/// was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Group {
    /// Which revision it runs.
    pub revision: RevisionNumber,
    /// The newest wish.
    pub wish: u32,
    /// Token of the newest wish.
    pub token: Token,
    /// Token that was acknowledged last; what carries a lower one is stale.
    #[serde(default, skip_serializing_if = "is_default")]
    pub acked: Token,
    /// Smallest size that a wish may still bring about.
    pub low: u32,
    /// Largest size that a wish may still bring about.
    pub high: u32,
    /// Time since the newest wish was sent; a wish that is not acknowledged is repeated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sent: Millis,
    /// Time for which the group has certainly had no traffic.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idle: Millis,
    /// What was seen last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seen: Seen,
}

/// A replica group as it was seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields of backend::GroupStatus, which documents them")]
pub struct Seen {
    pub desired: u32,
    pub created: u32,
    pub ready: u32,
    pub available: u32,
    pub terminating: u32,
    pub failed_attempts: u32,
}

impl Group {
    pub(in super::super) fn empty(revision: RevisionNumber) -> Self {
        Self {
            revision,
            wish: 0,
            token: Token::default(),
            acked: Token::default(),
            low: 0,
            high: 0,
            sent: Millis::ZERO,
            idle: Millis::ZERO,
            seen: Seen::default(),
        }
    }

    /// Has the newest wish taken effect?
    pub(in super::super) fn is_acknowledged(&self) -> bool {
        self.acked >= self.token && self.seen.desired == self.wish
    }

    /// The most replicas that may be there or come (property S2).
    pub(in super::super) fn most(&self) -> u32 {
        self.high.max(self.seen.created)
    }

    /// Available replicas that no wish can still take away (property S1).
    pub(in super::super) fn surely_available(&self) -> u32 {
        self.seen.available.min(self.low)
    }

    /// Ready replicas that no wish can still take away (property S5).
    pub(in super::super) fn surely_ready(&self) -> u32 {
        self.seen.ready.min(self.low)
    }

    /// Is nothing left, and can nothing come back?
    pub(in super::super) fn is_gone(&self) -> bool {
        self.wish == 0
            && self.high == 0
            && self.seen.created == 0
            && self.seen.terminating == 0
            && self.acked >= self.token
    }
}
