//! Is a rolling replacement complete, does it move, is it late?
//!
//! Source: the Deployment controller of Kubernetes (`DeploymentComplete`, `DeploymentProgressing`,
//! `DeploymentTimedOut`).

use crate::time::Millis;

/// Replicas of all groups of a replacement, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "plain input of the arithmetic, made in place by callers")]
pub struct Counts {
    /// Replicas of every revision.
    pub instances: u32,
    /// Of these, replicas of the new revision.
    pub updated: u32,
    /// Of all, ready ones.
    pub ready: u32,
    /// Of all, available ones.
    pub available: u32,
}

impl Counts {
    fn old(self) -> i64 {
        i64::from(self.instances) - i64::from(self.updated)
    }
}

/// Complete: every replica is new and available, there are exactly `n`, and what was counted already
/// takes the newest spec into account (`is_current`).
#[must_use]
pub const fn complete(n: u32, counts: Counts, is_current: bool) -> bool {
    is_current && counts.updated == n && counts.instances == n && counts.available == n
}

/// Progress: there are more new, more ready or more available replicas than before, or fewer old ones.
#[must_use]
pub fn progressed(before: Counts, after: Counts) -> bool {
    after.updated > before.updated
        || after.old() < before.old()
        || after.ready > before.ready
        || after.available > before.available
}

/// What was reported last about the progress of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LastReport {
    /// It moved this long ago.
    Progress(Millis),
    /// The new group was available: complete, and never late again.
    Available,
    /// It was late: stays so until it moves.
    DeadlineExceeded,
}

/// Late: the last progress is longer ago than the deadline. Without a deadline or a report nothing is
/// ever late.
#[must_use]
pub fn deadline_exceeded(deadline: Option<Millis>, last: Option<LastReport>) -> bool {
    match (deadline, last) {
        (None, _) | (_, None | Some(LastReport::Available)) => false,
        (_, Some(LastReport::DeadlineExceeded)) => true,
        (Some(deadline), Some(LastReport::Progress(age))) => age > deadline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_for_an_older_spec_is_not_complete() {
        let counts = Counts { instances: 5, updated: 5, ready: 5, available: 5 };
        assert!(complete(5, counts, true));
        assert!(!complete(5, counts, false));
    }

    #[test]
    fn exactly_at_the_deadline_is_not_late() {
        let last = |s| Some(LastReport::Progress(Millis::from_secs(s)));
        assert!(!deadline_exceeded(Some(Millis::from_secs(600)), last(600)));
        assert!(deadline_exceeded(Some(Millis::from_secs(600)), last(601)));
    }

    #[test]
    fn nothing_is_late_without_a_deadline_or_a_report() {
        assert!(!deadline_exceeded(None, Some(LastReport::DeadlineExceeded)));
        assert!(!deadline_exceeded(Some(Millis::ZERO), None));
    }
}
