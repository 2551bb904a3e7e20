//! What was counted when: enough to say what happened in any trailing window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::counts::{Counts, Totals};

/// How finely samples are kept, and how many: 10 a second for a minute, one a second for 10 minutes,
/// one every 10 seconds for 6 hours. At most 3,360 samples; a revision without traffic shares one
/// set of numbers over all of them.
const TIERS: [(Duration, usize); 3] =
    [(Duration::from_millis(100), 600), (Duration::from_secs(1), 600), (Duration::from_secs(10), 2160)];

/// How often [`History::sample`] wants to be called.
pub(crate) const SAMPLE_EVERY: Duration = TIERS[0].0;

type ByRevision = BTreeMap<Arc<str>, Arc<Totals>>;

/// What was counted when. Times are spans since the proxy started.
#[derive(Debug)]
pub(crate) struct History {
    tiers: [VecDeque<(Duration, Arc<ByRevision>)>; 3],
}

impl History {
    pub(crate) fn new() -> Self {
        Self { tiers: Default::default() }
    }

    /// Remembers what is counted now.
    pub(crate) fn sample(&mut self, now: Duration, counts: &Counts) {
        self.remember(now, counts, SAMPLE_EVERY / 2);
    }

    /// `slack` is how soon after another sample one is kept in the finest tier.
    fn remember(&mut self, now: Duration, counts: &Counts, slack: Duration) {
        let before = self.tiers[0].back().map(|(_, sample)| Arc::clone(sample)).unwrap_or_default();
        let mut sample = ByRevision::new();
        for (hash, counters) in counts.all() {
            let totals = counters.totals();
            let totals = match before.get(&hash) {
                Some(same) if **same == totals => Arc::clone(same),
                _ => Arc::new(totals),
            };
            sample.insert(hash, totals);
        }
        let sample = Arc::new(sample);
        for (tier, (every, most)) in self.tiers.iter_mut().zip(TIERS) {
            // slack in the finest tier: a timer that is late now and then skips no sample
            let spacing = if every == SAMPLE_EVERY { slack } else { every };
            let due = tier.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= spacing);
            if due {
                tier.push_back((now, Arc::clone(&sample)));
            }
            while tier.len() > most {
                tier.pop_front();
            }
        }
    }

    /// What was counted in the trailing window and nothing older: the counts begin at the first
    /// sample inside it. Also says how long a part of the window that is.
    pub(crate) fn window(
        &self,
        now: Duration,
        window: Duration,
        counts: &Counts,
    ) -> (Duration, BTreeMap<Arc<str>, Totals>) {
        let totals = counts.all().into_iter().map(|(hash, counters)| (hash, counters.totals()));
        let Some(start) = now.checked_sub(window).filter(|start| !start.is_zero()) else {
            // older than the proxy: all it ever counted
            return (now, totals.collect());
        };
        let Some((since, base)) = self.first_from(start) else {
            return (Duration::ZERO, totals.map(|(hash, all)| (hash, all.since(&all))).collect());
        };
        let none = Totals::default();
        let counted = totals.map(|(hash, all)| {
            let base = base.get(&hash).map_or(&none, AsRef::as_ref);
            let counted = all.since(base);
            (hash, counted)
        });
        (now.saturating_sub(since), counted.collect())
    }

    /// What was counted since a time that an earlier answer gave, and up to when. Both ends are samples, which this
    /// takes one of, so that consecutive answers count each request once.
    pub(crate) fn since(
        &mut self,
        now: Duration,
        start: Duration,
        counts: &Counts,
    ) -> (Duration, BTreeMap<Arc<str>, Totals>) {
        self.remember(now, counts, Duration::ZERO);
        let Some((until, newest)) = self.tiers[0].back() else { return Default::default() };
        let none = Totals::default();
        let base = self.first_from(start.min(*until)).map(|(_, base)| base);
        let counted = newest.iter().map(|(hash, totals)| {
            let before = base.and_then(|base| base.get(hash)).map_or(&none, AsRef::as_ref);
            (Arc::clone(hash), totals.since(before))
        });
        (*until, counted.collect())
    }

    /// The earliest sample that is not before `start`, in the finest tier that reaches back so far.
    fn first_from(&self, start: Duration) -> Option<(Duration, &ByRevision)> {
        let reach =
            |tier: &VecDeque<(Duration, Arc<ByRevision>)>| tier.front().map_or(Duration::MAX, |(at, _)| *at);
        let finest = self.tiers.iter().find(|tier| reach(tier) <= start);
        let tier = finest.or_else(|| self.tiers.iter().min_by_key(|tier| reach(tier)))?;
        let first = tier.partition_point(|(at, _)| *at < start);
        tier.get(first).map(|(at, sample)| (*at, sample.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One request every 100 ms for this long, sampled after each.
    fn run(seconds: u64) -> (History, Counts, Arc<str>) {
        let counts = Counts::new();
        let revision = Revision::new(RevisionNumber(1), "abc", parse_version("1.0.0").unwrap());
        let counters = counts.of(&revision);
        let mut history = History::new();
        history.sample(Duration::ZERO, &counts);
        for tick in 1..=seconds * 10 {
            counters.record(200, false, Duration::from_millis(1));
            history.sample(SAMPLE_EVERY * u32::try_from(tick).unwrap(), &counts);
        }
        (history, counts, revision.hash)
    }

    #[test]
    fn a_window_holds_what_happened_in_it() {
        let (history, counts, hash) = run(1000);
        for (window, requests, resolution) in [(1, 10, 0), (59, 590, 0), (500, 5000, 10), (900, 9000, 100)] {
            let (_, counted) = history.window(s(1000), s(window), &counts);
            let got = counted[&hash].requests;
            assert!(got <= requests && got + resolution >= requests, "{window} s: {got} of {requests}");
        }
    }

    #[test]
    fn what_was_counted_between_two_answers_is_counted_once() {
        let (mut history, counts, hash) = run(0);
        let revision = Revision::new(RevisionNumber(1), "abc", parse_version("1.0.0").unwrap());
        let counters = counts.of(&revision);
        let (mut mark, mut all, mut asked) = (Duration::ZERO, 0, 0);
        for ms in 1..=30_000_u64 {
            counters.record(200, false, Duration::from_millis(1));
            let now = Duration::from_millis(ms);
            if ms % 100 == 0 {
                history.sample(now, &counts);
            }
            // never when a sample is taken
            if ms % 1730 == 0 {
                let (until, counted) = history.since(now, mark, &counts);
                assert_eq!(until, now);
                all += counted[&hash].requests;
                (mark, asked) = (until, asked + 1);
            }
        }
        assert!(asked > 10);
        assert_eq!(u128::from(all), mark.as_millis(), "one request a millisecond");
        let end = Duration::from_secs(31);
        let (until, later) = history.since(end, mark, &counts);
        assert_eq!((until, u128::from(all + later[&hash].requests)), (end, 30_000));
        assert_eq!(history.since(end, s(3600), &counts).1[&hash].requests, 0, "from a time that is to come");
    }

    #[test]
    fn a_window_older_than_the_proxy_is_all_it_knows() {
        let (history, counts, hash) = run(5);
        let (known, counted) = history.window(s(5), s(3600), &counts);
        assert_eq!((known, counted[&hash].requests), (s(5), 50));
    }

    #[test]
    fn a_revision_that_came_later_is_counted_from_its_start() {
        let (history, counts, _) = run(100);
        let late = Revision::new(RevisionNumber(2), "def", parse_version("2.0.0").unwrap());
        counts.of(&late).record(503, true, s(1));
        let (_, counted) = history.window(s(100), s(50), &counts);
        assert_eq!((counted["def"].requests, counted["def"].failed), (1, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let (history, ..) = run(2000);
        for (tier, (_, most)) in history.tiers.iter().zip(TIERS) {
            assert!(tier.len() <= most);
        }
    }
}
