//! Which of several addresses is asked.
//!
//! Each has a memory of how it went. One that answers is asked in the order of the configuration; one that failed is asked last for a
//! while, its rest; one that failed twice in a row is dead: it is not asked at all during its rest, and then by one question
//! at a time until one is answered. Nothing here reads a clock: the time is an argument.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::CallError;

/// Failures in a row after which nobody waits for an address any more: one may be an accident.
const DEAD_AFTER: u32 = 2;

/// How it went with each address.
#[derive(Debug)]
pub(super) struct Endpoints {
    rest: Duration,
    known: Mutex<Vec<Known>>,
    failures: watch::Sender<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    failed: Option<Failed>,
    /// Is a question on its way that finds out whether it is alive again?
    probed: bool,
}

#[derive(Clone, Debug)]
struct Failed {
    times: u32,
    last: Instant,
    error: CallError,
}

/// An address to be asked. Whoever has it says how it went; where that is forgotten it is as before.
#[derive(Debug)]
pub(super) struct Attempt<'e> {
    endpoints: &'e Endpoints,
    pub(super) address: usize,
    probes: bool,
}

impl Endpoints {
    pub(super) fn new(addresses: usize, rest: Duration) -> Self {
        let known = Mutex::new(vec![Known::default(); addresses]);
        Self { rest, known, failures: watch::Sender::new(()) }
    }

    /// Says when one of them has failed.
    pub(super) fn failures(&self) -> watch::Receiver<()> {
        self.failures.subscribe()
    }

    /// The addresses to be asked now, in this order. Empty when all are dead.
    pub(super) fn order(&self, now: Instant) -> Vec<usize> {
        let known = self.lock();
        let resting = |at: &usize| known[*at].failed.as_ref().is_some_and(|failed| self.rests(failed, now));
        let dead = |at: &usize| {
            let failed = known[*at].failed.as_ref().filter(|failed| failed.times >= DEAD_AFTER);
            failed.is_some_and(|failed| known[*at].probed || self.rests(failed, now))
        };
        let (last, mut order): (Vec<usize>, Vec<usize>) =
            (0..known.len()).filter(|at| !dead(at)).partition(resting);
        order.extend(last);
        order
    }

    /// Begins to ask this address; `None` when somebody else already finds out whether it is alive.
    pub(super) fn begin(&self, address: usize) -> Option<Attempt<'_>> {
        let mut known = self.lock();
        let known = known.get_mut(address)?;
        let probes = known.failed.as_ref().is_some_and(|failed| failed.times >= DEAD_AFTER);
        if probes && std::mem::replace(&mut known.probed, true) {
            return None;
        }
        Some(Attempt { endpoints: self, address, probes })
    }

    /// What there is to say of the dead address that is asked again the soonest; `None` when one is alive.
    pub(super) fn dead(&self, now: Instant) -> Option<CallError> {
        if !self.order(now).is_empty() {
            return None;
        }
        let known = self.lock();
        let dead = known.iter().filter_map(|known| {
            let Failed { times, last, error } = known.failed.clone()?;
            let again_in = match known.probed {
                true => Duration::ZERO,
                false => self.rest.saturating_sub(now.saturating_duration_since(last)),
            };
            Some((again_in, times, error))
        });
        let (again_in, times, last) = dead.min_by_key(|(again_in, ..)| *again_in)?;
        Some(CallError::Dead { times, again_in, last: Box::new(last) })
    }

    fn rests(&self, failed: &Failed, now: Instant) -> bool {
        now.saturating_duration_since(failed.last) < self.rest
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It answered.
    pub(super) fn answered(self) {
        self.endpoints.lock()[self.address].failed = None;
    }

    /// It failed, now and for this reason.
    pub(super) fn failed(self, now: Instant, error: CallError) {
        let mut known = self.endpoints.lock();
        let times = known[self.address].failed.as_ref().map_or(0, |failed| failed.times);
        let times = times.saturating_add(1);
        known[self.address].failed = Some(Failed { times, last: now, error });
        drop(known);
        self.endpoints.failures.send_replace(());
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.endpoints.lock()[self.address].probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(5);

    fn fail(endpoints: &Endpoints, address: usize, now: Instant) {
        endpoints.begin(address).unwrap().failed(now, CallError::Unreachable("refused".to_owned()));
    }

    #[test]
    fn an_address_that_failed_is_asked_last_for_a_while() {
        let (endpoints, begin) = (Endpoints::new(3, REST), Instant::now());
        assert_eq!(endpoints.order(begin), [0, 1, 2]);
        fail(&endpoints, 0, begin);
        assert_eq!(endpoints.order(begin), [1, 2, 0]);
        fail(&endpoints, 1, begin + REST / 2);
        assert_eq!(endpoints.order(begin + REST / 2), [2, 0, 1]);
        assert_eq!(endpoints.order(begin + REST), [0, 2, 1]);
        endpoints.begin(1).unwrap().answered();
        assert_eq!(endpoints.order(begin + REST), [0, 1, 2]);
    }

    #[test]
    fn a_dead_address_is_asked_by_one_question_after_its_rest() {
        let (endpoints, begin) = (Endpoints::new(1, REST), Instant::now());
        fail(&endpoints, 0, begin);
        assert_eq!((endpoints.order(begin), endpoints.dead(begin)), (vec![0], None));
        fail(&endpoints, 0, begin);
        let last = Box::new(CallError::Unreachable("refused".to_owned()));
        let dead = |again_in, times| CallError::Dead { times, again_in, last: last.clone() };
        assert!(endpoints.order(begin).is_empty());
        assert_eq!(endpoints.dead(begin + REST / 5), Some(dead(REST * 4 / 5, 2)));
        let later = begin + REST;
        assert_eq!(endpoints.order(later), [0]);
        let probe = endpoints.begin(0).unwrap();
        assert!(endpoints.begin(0).is_none() && endpoints.order(later).is_empty(), "somebody finds out");
        assert_eq!(endpoints.dead(later), Some(dead(Duration::ZERO, 2)));
        // whoever asked went away
        drop(probe);
        assert_eq!(endpoints.order(later), [0]);
        fail(&endpoints, 0, later);
        assert_eq!(endpoints.dead(later), Some(dead(REST, 3)));
        let probe = endpoints.begin(0).unwrap();
        probe.answered();
        assert_eq!(endpoints.order(later), [0]);
        assert!(endpoints.begin(0).is_some() && endpoints.begin(0).is_some());
    }

    #[test]
    fn a_dead_address_does_not_keep_the_others_from_being_asked() {
        let (endpoints, begin) = (Endpoints::new(2, REST), Instant::now());
        fail(&endpoints, 0, begin);
        fail(&endpoints, 0, begin);
        assert_eq!((endpoints.order(begin), endpoints.dead(begin)), (vec![1], None));
        // then it is in its place again
        assert_eq!(endpoints.order(begin + REST), [0, 1]);
    }
}
