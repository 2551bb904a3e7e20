//! Exact counts of requests, by revision and by replica.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use lifecycle_core::version::Revision;
use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of durations in microseconds: from 100 us to 2 min, each 15 % above
/// the one before, so that a quantile within a bucket is off by less than the differences that
/// relative checks ask about.
pub(crate) static BOUNDS_US: LazyLock<Arc<[u64]>> = LazyLock::new(|| {
    let mut bounds = vec![100_u64];
    while let Some(&last) = bounds.last()
        && last < 120_000_000
    {
        bounds.push(last * 115 / 100);
    }
    bounds.into()
});

/// Revisions whose counts are remembered. A revision that has left the table is forgotten, the one
/// with the lowest number first, when there are more.
const REVISIONS: usize = 64;
/// Status codes from 100 up to this one are counted one by one.
const CODES: usize = 600;

/// What was counted for one revision, or for one replica, since the proxy started. Sums only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Totals {
    /// Requests that have ended.
    pub requests: u64,
    /// Of these, failed ones: answered with 5xx by the application, cut off by it, or answered with
    /// 502, 503 or 504 by the proxy because no replica took them.
    pub failed: u64,
    /// The sum of their durations in microseconds.
    pub sum_us: u64,
    /// Requests by duration: one more than there are bounds.
    pub buckets: Vec<u64>,
}

impl Totals {
    /// Both together.
    #[must_use]
    pub(crate) fn and(&self, other: &Self) -> Self {
        let longer = self.buckets.len().max(other.buckets.len());
        let at = |totals: &Self, i: usize| totals.buckets.get(i).copied().unwrap_or(0);
        Self {
            requests: self.requests.saturating_add(other.requests),
            failed: self.failed.saturating_add(other.failed),
            sum_us: self.sum_us.saturating_add(other.sum_us),
            buckets: (0..longer).map(|i| at(self, i).saturating_add(at(other, i))).collect(),
        }
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |i: usize| earlier.buckets.get(i).copied().unwrap_or(0);
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
            buckets: self.buckets.iter().enumerate().map(|(i, n)| n.saturating_sub(before(i))).collect(),
        }
    }
}

/// The counters behind [`Totals`].
#[derive(Debug)]
pub(crate) struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
    sum_us: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// The counters of one revision.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) revision: Option<Revision>,
    tally: Tally,
    codes: Box<[AtomicU64]>,
    /// Requests that had to go to another replica because one could not be reached.
    pub(crate) retried: AtomicU64,
}

fn zeros(n: usize) -> Box<[AtomicU64]> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sum_us: AtomicU64::new(0),
            buckets: zeros(BOUNDS_US.len() + 1),
        }
    }

    /// Counts a request that has ended.
    pub(crate) fn record(&self, failed: bool, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        // Requests before failed, and read the other way round: nobody ever sees more failures than
        // requests.
        self.requests.fetch_add(1, Ordering::Release);
        if failed {
            self.failed.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let failed = self.failed.load(Ordering::Acquire);
        Totals {
            failed,
            requests: self.requests.load(Ordering::Acquire),
            sum_us: self.sum_us.load(Ordering::Relaxed),
            buckets: self.buckets.iter().map(|n| n.load(Ordering::Relaxed)).collect(),
        }
    }
}

impl Counters {
    pub(crate) fn new(revision: Option<Revision>) -> Self {
        Self { revision, tally: Tally::new(), codes: zeros(CODES), retried: AtomicU64::new(0) }
    }

    /// Counts a request that has ended. `code` is what the client was answered, 499 when it went
    /// away before.
    pub(crate) fn record(&self, code: u16, failed: bool, took: Duration) {
        self.codes[usize::from(code).min(CODES - 1)].fetch_add(1, Ordering::Relaxed);
        self.tally.record(failed, took);
    }

    pub(crate) fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// Requests by status code, those that occurred.
    pub(crate) fn codes(&self) -> BTreeMap<u16, u64> {
        let counted = self.codes.iter().map(|n| n.load(Ordering::Relaxed)).enumerate();
        counted.filter(|(_, n)| *n > 0).filter_map(|(code, n)| Some((u16::try_from(code).ok()?, n))).collect()
    }
}

/// The counters of all revisions.
#[derive(Debug)]
pub(crate) struct Counts {
    by_hash: Mutex<BTreeMap<Arc<str>, Arc<Counters>>>,
    /// Requests that no revision could be asked for.
    pub(crate) unrouted: Arc<Counters>,
}

impl Counts {
    pub(crate) fn new() -> Self {
        Self { by_hash: Mutex::new(BTreeMap::new()), unrouted: Arc::new(Counters::new(None)) }
    }

    /// The counters of a revision, kept from now on.
    pub(crate) fn of(&self, revision: &Revision) -> Arc<Counters> {
        let mut by_hash = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = by_hash.get(&revision.hash) {
            return Arc::clone(counters);
        }
        if by_hash.len() >= REVISIONS {
            // whoever is in use has another owner: the table, or a request
            let unused = by_hash.iter().filter(|(_, counters)| Arc::strong_count(counters) == 1);
            let oldest = unused
                .min_by_key(|(_, c)| c.revision.as_ref().map(|r| r.number))
                .map(|(hash, _)| Arc::clone(hash));
            if let Some(hash) = oldest {
                by_hash.remove(&hash);
            }
        }
        let counters = Arc::new(Counters::new(Some(revision.clone())));
        by_hash.insert(Arc::clone(&revision.hash), Arc::clone(&counters));
        counters
    }

    /// All revisions, by hash.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<Counters>)> {
        let by_hash = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        by_hash.iter().map(|(hash, counters)| (Arc::clone(hash), Arc::clone(counters))).collect()
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::*;

    #[test]
    fn bounds_rise_by_less_than_a_sixth() {
        assert!(BOUNDS_US.windows(2).all(|w| w[0] < w[1] && w[1] * 100 <= w[0] * 115));
        assert!(BOUNDS_US.last().is_some_and(|&last| last >= 120_000_000));
    }

    #[test]
    fn a_request_is_counted_once_with_its_code_and_duration() {
        let counters = Counters::new(None);
        counters.record(200, false, Duration::from_micros(100));
        counters.record(502, true, Duration::from_secs(3600));
        let totals = counters.totals();
        assert_eq!((totals.requests, totals.failed, totals.buckets.iter().sum::<u64>()), (2, 1, 2));
        assert_eq!((totals.buckets.first(), totals.buckets.last()), (Some(&1), Some(&1)));
        assert_eq!(counters.codes(), BTreeMap::from([(200, 1), (502, 1)]));
    }

    #[test]
    fn revisions_that_left_the_table_are_forgotten_beyond_a_limit() {
        let counts = Counts::new();
        let revision = |n: u32| {
            Revision::new(RevisionNumber(n), format!("{:04}", 9999 - n), parse_version("1.0.0").unwrap())
        };
        let in_use = counts.of(&revision(0));
        for n in 1..200 {
            counts.of(&revision(n));
        }
        assert_eq!(counts.all().len(), REVISIONS);
        assert!(Arc::ptr_eq(&in_use, &counts.of(&revision(0))));
    }
}
