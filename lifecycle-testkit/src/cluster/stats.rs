//! What was counted of one revision: cumulative counts, and snapshots of them over a trailing time.

use std::collections::VecDeque;

use lifecycle_core::backend::{Counted, Counts as Failures, Histogram, Reading};

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

    /// What was counted since then.
    pub(super) fn increase(&self, from: i64, latency: bool) -> Counted {
        let start = self.start(from).unwrap_or(&self.total);
        self.total.since(start).counted(latency)
    }

    /// What was counted in the trailing bins of this width, dealt out among so many replicas: each request was as
    /// likely to come to any of them.
    pub(super) fn by_replica(
        &self,
        chance: &mut Chance,
        now: i64,
        (width, bins): (i64, u32),
        replicas: usize,
        latency: bool,
    ) -> Vec<Vec<Counted>> {
        let mut dealt = vec![Vec::new(); replicas];
        let known = self.ring.front().map_or(now, |(at, _)| *at);
        for bin in (0..i64::from(bins)).rev() {
            let (from, to) = (now - (bin + 1) * width, now - bin * width);
            if from < known {
                continue;
            }
            let end = self.start(to).unwrap_or(&self.total);
            let mut left = end.since(self.start(from).unwrap_or(end));
            for (at, replica) in dealt.iter_mut().enumerate() {
                let share = left.deal(chance, replicas - at);
                replica.push(share.counted(latency));
            }
        }
        dealt
    }
}

impl Counts {
    /// What came since then.
    fn since(&self, then: &Self) -> Self {
        let mut since = self.clone();
        since.requests -= then.requests;
        since.failed -= then.failed;
        since.latency.iter_mut().zip(&then.latency).for_each(|(now, then)| *now -= then);
        since
    }

    /// One of `replicas` equal shares of what is left, drawn.
    fn deal(&mut self, chance: &mut Chance, replicas: usize) -> Self {
        let mut draw = |left: &mut u64| {
            let share = if replicas <= 1 { *left } else { chance.binomial(*left, 1.0 / replicas as f64) };
            *left -= share;
            share
        };
        let mut passed = self.requests - self.failed;
        let failed = draw(&mut self.failed);
        let requests = failed + draw(&mut passed);
        self.requests = passed + self.failed;
        let mut share = Self { requests, failed, latency: [0; BUCKETS + 1] };
        for (share, left) in share.latency.iter_mut().zip(&mut self.latency) {
            *share = draw(left);
        }
        share
    }

    fn counted(&self, latency: bool) -> Counted {
        if latency {
            return Counted::Durations(Histogram::new(BOUNDS_US.clone(), self.latency.to_vec()));
        }
        Counted::Requests(Failures::new(self.failed, self.requests).unwrap_or_default())
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
