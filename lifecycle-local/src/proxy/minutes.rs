//! What each replica counted, minute by minute: whether failures come in clumps shows in how replicas differ.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::counts::{Tally, Totals};
use super::endpoint::Endpoint;

/// How long a bin is.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// How many of them are kept. A replica costs about a kilobyte a minute, and nothing while it has no traffic.
pub(crate) const MINUTES: usize = 60;

/// What was counted for the replicas of the table, once a minute.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    /// Times are spans since the proxy started; the newest last.
    samples: VecDeque<(Duration, Vec<Sample>)>,
}

#[derive(Debug)]
struct Sample {
    hash: Arc<str>,
    /// Tells a replica from every other, those that had its name before among them.
    tally: Arc<Tally>,
    totals: Arc<Totals>,
}

impl Minutes {
    /// Remembers what is counted now, when a minute has passed.
    pub(crate) fn sample(&mut self, now: Duration, replicas: &[Arc<Endpoint>]) {
        let before = self.samples.back();
        if before.is_some_and(|(at, _)| now.saturating_sub(*at) < MINUTE) {
            return;
        }
        let known = before.map_or(&[][..], |(_, samples)| samples);
        let samples = replicas.iter().map(|replica| {
            let totals = replica.tally.totals();
            let totals = match of(known, &replica.tally) {
                Some(same) if **same == totals => Arc::clone(same),
                _ => Arc::new(totals),
            };
            Sample { hash: Arc::clone(&replica.revision.hash), tally: Arc::clone(&replica.tally), totals }
        });
        let samples = samples.collect();
        self.samples.push_back((now, samples));
        while self.samples.len() > MINUTES + 1 {
            self.samples.pop_front();
        }
    }

    /// Of each replica that is there now the last so many whole minutes, by the hash of its revision. The newest is last;
    /// one that was not there all the time has fewer.
    pub(crate) fn last(&self, minutes: usize) -> BTreeMap<Arc<str>, Vec<Vec<Totals>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for newest in self.samples.back().map_or(&[][..], |(_, samples)| samples) {
            let samples = self.samples.iter().rev().map_while(|(_, samples)| of(samples, &newest.tally));
            let samples: Vec<&Arc<Totals>> = samples.take(minutes.saturating_add(1)).collect();
            let bins = samples.windows(2).rev().map(|pair| pair[0].since(pair[1])).collect();
            all.entry(Arc::clone(&newest.hash)).or_default().push(bins);
        }
        all
    }
}

fn of<'s>(samples: &'s [Sample], tally: &Arc<Tally>) -> Option<&'s Arc<Totals>> {
    samples.iter().find(|sample| Arc::ptr_eq(&sample.tally, tally)).map(|sample| &sample.totals)
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::super::counts::Counters;
    use super::super::document::{EndpointDocument, EndpointState};
    use super::*;

    fn replica(id: &str, hash: &str) -> Arc<Endpoint> {
        let revision = Revision::new(RevisionNumber(1), hash, parse_version("1.0.0").unwrap());
        let counters = Arc::new(Counters::new(Some(revision.clone())));
        let document =
            EndpointDocument::new(id, revision, "127.0.0.1:1".parse().unwrap(), EndpointState::Ready);
        Arc::new(Endpoint::new(&document, counters))
    }

    fn requests(bins: &[Totals]) -> Vec<u64> {
        bins.iter().map(|bin| bin.requests).collect()
    }

    #[test]
    fn each_replica_is_counted_by_itself_minute_by_minute() {
        let (a, b, other) = (replica("1", "a"), replica("2", "a"), replica("3", "b"));
        let mut minutes = Minutes::default();
        // sampled ten times a second; each minute has one request more of the first replica
        for tick in 0..=(70 * 600_u64) {
            let there =
                if tick < 68 * 600 { vec![a.clone(), other.clone()] } else { vec![a.clone(), b.clone()] };
            minutes.sample(Duration::from_millis(tick * 100), &there);
            let minute = tick / 600;
            if tick % 600 < minute {
                a.tally.record(tick % 600 == 0, Duration::from_millis(5));
            }
            b.tally.record(false, Duration::from_millis(5));
        }
        let last = minutes.last(5);
        assert_eq!(last.keys().map(AsRef::as_ref).collect::<Vec<_>>(), ["a"], "the other is gone");
        let of_a: Vec<_> = last["a"].iter().map(|bins| requests(bins)).collect();
        assert_eq!(of_a, [vec![65, 66, 67, 68, 69], vec![600, 600]]);
        assert!(
            last["a"][0].iter().all(|bin| bin.failed == 1 && bin.buckets.iter().sum::<u64>() == bin.requests)
        );
        assert_eq!(minutes.last(usize::MAX)["a"][0].len(), MINUTES);
        assert_eq!(Minutes::default().last(5), BTreeMap::new());
    }

    #[test]
    fn a_replica_that_has_the_name_of_another_one_begins_anew() {
        let mut minutes = Minutes::default();
        for (minute, there) in [replica("1", "a"), replica("1", "a")].into_iter().enumerate() {
            there.tally.record(false, Duration::ZERO);
            minutes.sample(MINUTE * u32::try_from(minute).unwrap(), &[there]);
        }
        assert_eq!(minutes.last(5)["a"], [Vec::new()]);
    }
}
