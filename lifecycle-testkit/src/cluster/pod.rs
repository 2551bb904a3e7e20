//! One replica: its start, its probes, its end.

use lifecycle_core::time::{Millis, Timestamp};

use super::profile::Readiness;

/// How readiness is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Between two probes; the first comes one interval after the process has started. Default 5 s.
    pub interval: Millis,
    /// Failed probes in a row that make one failed verdict. Default 2.
    pub failure_threshold: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self { interval: Millis::from_secs(5), failure_threshold: 2 }
    }
}

impl Probe {
    /// Probes this often, and this many failures in a row are a failed verdict (both at least 1).
    #[must_use]
    pub fn new(interval: Millis, failure_threshold: u32) -> Self {
        Self { interval: Millis(interval.get().max(1)), failure_threshold: failure_threshold.max(1) }
    }
}

/// How many stretches of health ahead of it a replica looks for its next change; after that it looks
/// again.
const LOOK_AHEAD: u32 = 256;

/// After so many failed verdicts nobody is told about further ones (they are still counted).
const TOLD_VERDICTS: u32 = 8;

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Created, its process does not run yet.
    Starting,
    /// Its process runs, since this many milliseconds from the origin (before it, when negative).
    Running(i64),
    /// Asked to stop, on its way out.
    Stopping,
}

/// One replica.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// Rises with every replica that is created.
    pub(super) id: u64,
    /// Index of its group.
    pub(super) group: usize,
    pub(super) life: Life,
    pub(super) ready: bool,
    /// It fails every probe, whatever its version does.
    pub(super) broken: bool,
    /// Failed verdicts so far.
    pub(super) verdicts: u32,
    /// Failed probes in a row.
    streak: u32,
    /// Number of the next probe that is not accounted for; the first is 1.
    next_probe: u64,
    /// Which of the scheduled probe events is the valid one.
    pub(super) generation: u32,
}

/// When to look at a replica again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) generation: u32,
}

impl Pod {
    pub(super) const fn new(id: u64, group: usize) -> Self {
        Self {
            id,
            group,
            life: Life::Starting,
            ready: false,
            broken: false,
            verdicts: 0,
            streak: 0,
            next_probe: 1,
            generation: 0,
        }
    }

    /// A replica that has run for a while before the origin of time, and is ready.
    pub(super) const fn veteran(id: u64, group: usize, ran: Millis, probe: Probe) -> Self {
        Self {
            life: Life::Running(-(ran.get() as i64)),
            ready: true,
            next_probe: ran.get() / probe.interval.get() + 1,
            ..Self::new(id, group)
        }
    }

    pub(super) fn is_created(&self) -> bool {
        self.life != Life::Stopping
    }

    /// When this replica passes its probe, where those of its version do so.
    const fn own(&self, readiness: Readiness) -> Readiness {
        if self.broken { Readiness::Never } else { readiness }
    }

    /// The process runs from now on.
    pub(super) fn start(&mut self, now: Timestamp, readiness: Readiness) {
        self.life = Life::Running(now.as_millis() as i64);
        self.ready = self.own(readiness) == Readiness::AtOnce;
    }

    /// Takes every probe up to now into account.
    pub(super) fn account(&mut self, now: Timestamp, readiness: Readiness, probe: Probe) {
        let Life::Running(start) = self.life else { return };
        let readiness = self.own(readiness);
        let elapsed = (now.as_millis() as i64 - start).max(0) as u64;
        let upto = elapsed / probe.interval.get();
        while self.next_probe <= upto {
            let (healthy, last) = stretch(self.next_probe, readiness, probe);
            let last = last.min(upto);
            self.probed(healthy, last - self.next_probe + 1, probe);
            self.next_probe = last + 1;
        }
    }

    /// Takes `n` probes with this result into account.
    fn probed(&mut self, healthy: bool, n: u64, probe: Probe) {
        if healthy {
            self.streak = 0;
            self.ready = true;
            return;
        }
        let before = self.streak;
        self.streak = before.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        let failed = self.streak / probe.failure_threshold - before / probe.failure_threshold;
        self.verdicts = self.verdicts.saturating_add(failed);
        if failed > 0 {
            self.ready = false;
        }
    }

    /// When this replica next changes in a way that somebody can see; `None` when it will not unless
    /// something else does. Everything up to now must be accounted for.
    pub(super) fn next_look(&mut self, readiness: Readiness, probe: Probe) -> Option<Look> {
        let Life::Running(start) = self.life else { return None };
        let at = self.next_change(self.own(readiness), probe)?;
        self.generation += 1;
        let ms = start.saturating_add_unsigned(at.saturating_mul(probe.interval.get()));
        Some(Look { at: Timestamp::from_millis(ms.max(0) as u64), generation: self.generation })
    }

    /// The number of the probe that changes something.
    fn next_change(&self, readiness: Readiness, probe: Probe) -> Option<u64> {
        let (mut at, mut streak) = (self.next_probe, self.streak);
        for _ in 0..LOOK_AHEAD {
            let (healthy, last) = stretch(at, readiness, probe);
            if healthy != self.ready {
                if healthy {
                    return Some(at);
                }
                let missing = u64::from(probe.failure_threshold.saturating_sub(streak)).max(1);
                if at + missing - 1 <= last {
                    return Some(at + missing - 1);
                }
            } else if !healthy && self.verdicts < TOLD_VERDICTS {
                let missing = u64::from(probe.failure_threshold - streak % probe.failure_threshold);
                if at + missing - 1 <= last {
                    return Some(at + missing - 1);
                }
            }
            if last == u64::MAX {
                return None;
            }
            streak = if healthy { 0 } else { streak + u32::try_from(last - at + 1).unwrap_or(u32::MAX / 2) };
            at = last + 1;
        }
        Some(at)
    }
}

/// The result of probe number `first`, and the last probe up to which the result stays the same.
fn stretch(first: u64, readiness: Readiness, probe: Probe) -> (bool, u64) {
    let interval = probe.interval.get();
    let (healthy, until) = readiness.at(first.saturating_mul(interval));
    let last = if until == u64::MAX { u64::MAX } else { (until - 1) / interval };
    (healthy, last.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    /// Every second at which readiness or the number of failed verdicts changes, when the replica is
    /// only looked at when it says so.
    fn timeline(readiness: Readiness, seconds: u64) -> Vec<(u64, bool, u32)> {
        let probe = Probe::default();
        let mut pod = Pod::new(1, 0);
        pod.start(Timestamp::ZERO, readiness);
        let mut seen = vec![(0, pod.ready, 0)];
        while let Some(look) = pod.next_look(readiness, probe) {
            if look.at > at(seconds) {
                break;
            }
            pod.account(look.at, readiness, probe);
            seen.push((look.at.as_millis() / 1000, pod.ready, pod.verdicts));
        }
        seen
    }

    #[test]
    fn a_version_that_is_ready_at_once_needs_no_probe() {
        assert_eq!(timeline(Readiness::AtOnce, 1000), [(0, true, 0)]);
    }

    #[test]
    fn a_replica_is_ready_at_the_first_probe_at_or_after_its_time() {
        let after = |s| Readiness::After(Millis::from_secs(s));
        assert_eq!(timeline(after(0), 100), [(0, false, 0), (5, true, 0)]);
        assert_eq!(timeline(after(5), 100), [(0, false, 0), (5, true, 0)]);
        assert_eq!(timeline(after(12), 100), [(0, false, 0), (10, false, 1), (15, true, 1)]);
        assert_eq!(timeline(after(20), 100), [(0, false, 0), (10, false, 1), (20, true, 1)]);
    }

    #[test]
    fn a_replica_that_never_gets_ready_fails_a_verdict_every_two_probes() {
        assert_eq!(
            timeline(Readiness::Never, 35),
            [(0, false, 0), (10, false, 1), (20, false, 2), (30, false, 3)]
        );
    }

    #[test]
    fn verdicts_are_counted_after_nobody_is_told_about_them() {
        let mut pod = Pod::new(1, 0);
        pod.start(Timestamp::ZERO, Readiness::Never);
        pod.account(at(1000), Readiness::Never, Probe::default());
        assert_eq!(pod.verdicts, 100);
        assert_eq!(pod.next_look(Readiness::Never, Probe::default()), None);
    }

    #[test]
    fn a_flapping_replica_is_unready_after_two_failed_probes_in_a_row() {
        let flapping = Readiness::Flapping(Millis::from_secs(12));
        // healthy at 5 and 10; not at 15 and 20; healthy at 25, 30 and 35; not at 40 and 45
        assert_eq!(
            timeline(flapping, 50),
            [(0, false, 0), (5, true, 0), (20, false, 1), (25, true, 1), (45, false, 2), (50, true, 2)]
        );
    }

    #[test]
    fn single_failed_probes_do_not_make_a_replica_unready() {
        let seen = timeline(Readiness::Flapping(Millis::from_secs(5)), 1000);
        assert_eq!(seen[..2], [(0, false, 0), (10, true, 0)]);
        assert!(seen.iter().skip(1).all(|&(_, ready, verdicts)| ready && verdicts == 0), "{seen:?}");
    }

    #[test]
    fn a_ready_replica_stays_ready_after_one_failed_probe() {
        let (flapping, probe) = (Readiness::Flapping(Millis::from_secs(5)), Probe::default());
        let mut pod = Pod::new(1, 0);
        pod.start(Timestamp::ZERO, flapping);
        for (s, ready) in [(5, false), (10, true), (15, true), (20, true)] {
            pod.account(at(s), flapping, probe);
            assert_eq!(pod.ready, ready, "after {s} s");
        }
    }

    #[test]
    fn a_ready_replica_whose_version_breaks_is_unready_two_probes_later() {
        let probe = Probe::default();
        let mut pod = Pod::new(1, 0);
        pod.start(Timestamp::ZERO, Readiness::AtOnce);
        pod.account(at(62), Readiness::AtOnce, probe);
        assert_eq!(pod.next_look(Readiness::Never, probe).map(|look| look.at), Some(at(70)));
        pod.account(at(70), Readiness::Never, probe);
        assert_eq!((pod.ready, pod.verdicts), (false, 1));
    }
}
