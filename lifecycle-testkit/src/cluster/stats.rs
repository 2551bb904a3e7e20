//! What was counted of one revision: cumulative counts, and snapshots of them over a trailing time.

use std::collections::VecDeque;

use lifecycle_core::backend::{Histogram, Reading};

use super::profile::{BOUNDS_US, BUCKETS, Latency};
use super::rng::Chance;

/// Counts of one revision since it was first seen.
#[derive(Clone, Debug)]
struct Counts {
    requests: u64,
    failed: u64,
    latency: [u64; BUCKETS + 1],
}

/// What was counted of one revision.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    /// Requests whose fate was not drawn yet.
    pending: u64,
    total: Counts,
    /// Failed requests before the origin of time.
    failed_before: u64,
    /// Counts at past times in milliseconds, oldest first.
    ring: VecDeque<(i64, Counts)>,
}

impl Stats {
    /// Nothing was counted up to this time.
    pub(super) fn since(at: i64) -> Self {
        let total = Counts { requests: 0, failed: 0, latency: [0; BUCKETS + 1] };
        Self { pending: 0, ring: VecDeque::from([(at, total.clone())]), total, failed_before: 0 }
    }

    /// These many requests were served.
    pub(super) const fn served(&mut self, requests: u64) {
        self.pending += requests;
    }

    /// Failed requests since the origin of time.
    pub(super) const fn failed(&self) -> u64 {
        self.total.failed - self.failed_before
    }

    /// What failed so far does not count as failed since the origin.
    pub(super) const fn forget_failed(&mut self) {
        self.failed_before = self.total.failed;
    }

    /// Draws the fate of every pending request.
    pub(super) fn draw(&mut self, chance: &mut Chance, error_rate: f64, latency: Option<&Latency>) {
        let n = std::mem::take(&mut self.pending);
        if n == 0 {
            return;
        }
        self.total.requests += n;
        self.total.failed += chance.binomial(n, error_rate);
        if let Some(latency) = latency {
            latency.sample(chance, n, &mut self.total.latency);
        }
    }

    /// Remembers the counts as of this time, for as long as `retention`.
    pub(super) fn snapshot(&mut self, at: i64, retention: i64) {
        // one that is older than the retention stays: the oldest window starts there
        while self.ring.get(1).is_some_and(|(next, _)| *next <= at - retention) {
            let old = self.ring.pop_front();
            if let (Some((_, mut old)), true) = (old, self.ring.back().is_some_and(|(last, _)| *last < at)) {
                // the memory of what falls out is used again
                old.clone_from(&self.total);
                self.ring.push_back((at, old));
            }
        }
        match self.ring.back_mut() {
            Some((last, counts)) if *last >= at => counts.clone_from(&self.total),
            _ => self.ring.push_back((at, self.total.clone())),
        }
    }

    /// The counts from this time on, or from the first snapshot after it.
    fn start(&self, from: i64) -> Option<&Counts> {
        let at = self.ring.partition_point(|(at, _)| *at < from);
        self.ring.get(at).map(|(_, counts)| counts)
    }

    /// Requests and failed requests since then. The fate of everything must be drawn.
    pub(super) fn counts(&self, from: i64) -> Reading {
        let (requests, failed) = self
            .start(from)
            .map_or((0, 0), |start| (self.total.requests - start.requests, self.total.failed - start.failed));
        Reading::Counts { requests, failed }
    }

    /// Durations of the requests since then.
    pub(super) fn latency(&self, from: i64) -> Reading {
        let counts = match self.start(from) {
            Some(start) => {
                self.total.latency.iter().zip(&start.latency).map(|(now, then)| now - then).collect()
            }
            None => vec![0; BUCKETS + 1],
        };
        Reading::Histogram(Histogram::new(BOUNDS_US.clone(), counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(stats: &Stats, from: i64) -> u64 {
        match stats.counts(from) {
            Reading::Counts { requests, .. } => requests,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_window_holds_what_came_in_it_and_nothing_older() {
        let (mut stats, mut chance) = (Stats::since(0), Chance::new(1));
        for at in 1..=10 {
            stats.served(at as u64);
            stats.draw(&mut chance, 0.0, None);
            stats.snapshot(at * 10, 50);
        }
        assert_eq!(requests(&stats, 100), 0);
        assert_eq!(requests(&stats, 90), 10);
        assert_eq!(requests(&stats, 85), 10, "what is known only in part is answered for the part");
        assert_eq!(requests(&stats, 50), 6 + 7 + 8 + 9 + 10);
        assert!(stats.ring.len() <= 7, "{} snapshots for 5 steps", stats.ring.len());
    }

    #[test]
    fn two_snapshots_at_one_time_are_one() {
        let (mut stats, mut chance) = (Stats::since(0), Chance::new(1));
        for _ in 0..5 {
            stats.served(1);
            stats.draw(&mut chance, 1.0, None);
            stats.snapshot(10, 50);
        }
        assert_eq!(stats.ring.len(), 2);
        assert_eq!((requests(&stats, 0), stats.failed()), (5, 5));
    }
}
