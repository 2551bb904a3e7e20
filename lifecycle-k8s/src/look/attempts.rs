//! How many readiness verdicts a pod has failed. The API does not say: it shows that a pod is not ready, not
//! how often it was asked.

use std::collections::HashMap;
use std::time::Instant;

use super::{PodSeen, Probing, Readiness};

/// Counts failed readiness verdicts by the time that a started pod has been seen unready.
///
/// A verdict is `failureThreshold` failed probes in a row, so one more has failed after each
/// `interval x failureThreshold` in which the pod was not ready, from when it is asked first. The time is this process's own, from when it
/// saw the pod so first: no clock of another machine counts, and a restart of this process counts anew,
/// which can only make a rollback later.
#[derive(Debug, Default)]
pub struct Attempts {
    since: HashMap<String, Instant>,
}

impl Attempts {
    /// Looks at all pods of a target, and answers for how long each has been unready, by uid.
    pub fn look<'a>(&mut self, pods: impl Iterator<Item = &'a PodSeen>, now: Instant) {
        let unready: HashMap<String, Instant> = pods
            .filter(|pod| pod.is_created() && !pod.ready && pod.probing == Probing::Started)
            .map(|pod| (pod.uid.clone(), self.since.get(&pod.uid).copied().unwrap_or(now)))
            .collect();
        self.since = unready;
    }

    /// Failed verdicts of the pod with this uid, which is asked like this.
    #[must_use]
    pub fn failed(&self, uid: &str, Readiness { delay, verdict }: Readiness, now: Instant) -> u32 {
        let Some(since) = self.since.get(uid) else { return 0 };
        let asked = now.saturating_duration_since(*since).saturating_sub(delay);
        let verdicts = asked.as_millis() / verdict.as_millis().max(1);
        u32::try_from(verdicts).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const VERDICT: Duration = Duration::from_secs(10);
    const ASKED: Readiness = Readiness { delay: Duration::ZERO, verdict: VERDICT };

    fn pod(ready: bool, probing: Probing) -> PodSeen {
        PodSeen {
            name: "a".into(),
            uid: "u".into(),
            revision: "r".into(),
            replica_set: "rs".into(),
            terminating: false,
            ended: false,
            ready,
            probing,
            trouble: None,
        }
    }

    #[test]
    fn a_verdict_fails_after_each_span_without_readiness() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for (after, expected) in [(0, 0), (9, 0), (10, 1), (25, 2), (30, 3)] {
            let now = start + Duration::from_secs(after);
            attempts.look([&pod(false, Probing::Started)].into_iter(), now);
            assert_eq!(attempts.failed("u", ASKED, now), expected, "after {after} s");
        }
    }

    #[test]
    fn a_pod_that_is_asked_later_fails_later() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        attempts.look([&pod(false, Probing::Started)].into_iter(), start);
        let late = Readiness { delay: Duration::from_secs(60), ..ASKED };
        for (after, expected) in [(30, 0), (69, 0), (70, 1), (80, 2)] {
            assert_eq!(attempts.failed("u", late, start + Duration::from_secs(after)), expected);
        }
    }

    #[test]
    fn readiness_starts_the_count_anew() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        attempts.look([&pod(false, Probing::Started)].into_iter(), start);
        attempts.look([&pod(true, Probing::Started)].into_iter(), start + VERDICT);
        attempts.look([&pod(false, Probing::Started)].into_iter(), start + VERDICT * 2);
        assert_eq!(attempts.failed("u", ASKED, start + VERDICT * 2), 0);
    }

    #[test]
    fn a_process_that_has_not_started_fails_no_verdict() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        attempts.look([&pod(false, Probing::NotYet)].into_iter(), start);
        assert_eq!(attempts.failed("u", ASKED, start + VERDICT * 9), 0);
    }
}
