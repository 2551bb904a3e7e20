//! What earlier answers have ended with.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use lifecycle_core::backend::Mark;

/// How many ends are remembered: those of 1,000 rollouts with two checks of two arms for two minutes of looks.
const LIMIT: usize = 50_000;

/// What is further ahead of the newest end than this was never true: an hour.
const FUTURE_MS: i64 = 3_600_000;

/// The sums of the counters at the marks that were given out.
///
/// An increase is what the counters say now less what they said at its mark. It counts everything once only if what they
/// said at the mark is, number for number, what the answer before has ended with. That it is not happens: a scrape that took
/// long is stored after the mark and under an earlier time; behind a load balancer another Prometheus answers, which
/// has scraped at other times; a database was restored. So each end is remembered, and where the next answer begins with another
/// one, or with one that is not known (whoever asks was started anew), it has no count.
///
/// One of these belongs to all the rollouts that ask one Prometheus, for as long as they do.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    sums: BTreeMap<(Mark, u64), Option<u64>>,
}

/// Whose counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose(u64);

impl Whose {
    pub(super) fn new(of: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Ends {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Did the counters say this at the mark, too, when it was given out? `None` is no counters.
    pub(super) fn agree(&self, mark: Mark, whose: Whose, sum: Option<f64>) -> bool {
        self.sums.get(&(mark, whose.0)) == Some(&sum.map(f64::to_bits))
    }

    /// This is what the counters say at this mark.
    pub(super) fn remember(&mut self, mark: Mark, whose: Whose, sum: Option<f64>) {
        self.sums.insert((mark, whose.0), sum.map(f64::to_bits));
        // a clock that was far ahead and was put right must not keep what comes now from being remembered
        let future = Mark(mark.0.saturating_add(FUTURE_MS));
        self.sums.split_off(&(future, 0));
        while self.sums.len() > LIMIT {
            // the oldest mark first
            self.sums.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_agrees() {
        let (mut ends, a, b) = (Ends::new(), Whose::new(&"a"), Whose::new(&"b"));
        ends.remember(Mark(5), a, Some(3.0));
        ends.remember(Mark(5), b, None);
        for (mark, whose, sum, agrees) in [
            (5, a, Some(3.0), true),
            (5, a, Some(4.0), false),
            (5, a, None, false),
            (5, b, None, true),
            (6, a, Some(3.0), false),
        ] {
            assert_eq!(ends.agree(Mark(mark), whose, sum), agrees, "{mark} {whose:?} {sum:?}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_nothing_behind() {
        let (mut ends, whose) = (Ends::new(), Whose::new(&"a"));
        ends.remember(Mark(FUTURE_MS * 9), whose, None);
        ends.remember(Mark(5), whose, None);
        assert!(!ends.agree(Mark(FUTURE_MS * 9), whose, None) && ends.agree(Mark(5), whose, None));
    }

    #[test]
    fn the_oldest_marks_are_forgotten_first() {
        let mut ends = Ends::new();
        let whose = Whose::new(&"a");
        let limit = i64::try_from(LIMIT).unwrap();
        for mark in (0..=limit).rev() {
            ends.remember(Mark(mark), whose, None);
        }
        assert!(!ends.agree(Mark(0), whose, None) && ends.agree(Mark(1), whose, None));
        assert!(ends.agree(Mark(limit), whose, None));
    }
}
