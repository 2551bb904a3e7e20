//! What is known of a target that is probed.

mod change;
mod schedule;
mod status;

use lifecycle_core::time::{Millis, Timestamp};
use serde::Serialize;

use crate::probe::{Failure, Outcome, Probe};
pub use change::Change;
pub use status::{HealthStatus, Observed, Streak, Verdict};

/// A call that comes later than the interval, but at least this much, is taken for a clock that jumped or a
/// caller that was away. What is less cannot be told from a busy machine, where tenths of a second are
/// nothing unusual.
const SLACK: Millis = Millis::from_secs(1);

/// Decides when a target is probed and what its answers mean. It does no I/O and reads no clock: every call
/// says what time it is.
///
/// # The loop
/// Wait until [`wake_at`](Self::wake_at), call [`poll`](Self::poll); when that asks for an [`Attempt`], send
/// a probe and [`record`](Self::record) its outcome as soon as there is one. At most one attempt is on its
/// way at any time.
///
/// ```
/// # use lifecycle_core::time::{Millis, Timestamp};
/// # use lifecycle_http::{Failure, Monitor, Outcome, Probe, Verdict};
/// let mut now = Timestamp::ZERO;
/// let mut monitor = Monitor::new(Probe::readiness(), now);
/// let answers = [Outcome::passed(200, Millis(12)), Outcome::failed(Failure::Status(503))];
/// let mut told = Vec::new();
/// for outcome in [&answers[0], &answers[1], &answers[1]] {
///     now = monitor.wake_at();
///     let attempt = monitor.poll(now).attempt.expect("a probe is due");
///     told.extend(monitor.record(attempt.number, outcome.clone(), now + Millis(12)));
/// }
/// assert_eq!(monitor.status().verdict, Verdict::Unhealthy);
/// assert_eq!(told[0].to_string(), "GET /ready is healthy: passed once (bound 1), status 200 in 12ms");
/// assert_eq!(
///     told[1].to_string(),
///     "GET /ready is unhealthy: failed 2 times in a row for 5s (bound 2), status 503; it was healthy for 10s",
/// );
/// ```
///
/// # The verdict
/// It is [`Verdict::Unknown`] until a threshold was reached for the first time: no data is never a pass. From
/// then on it changes when [`failure_threshold`](Probe::failure_threshold) failures, or
/// [`success_threshold`](Probe::success_threshold) passes, came in a row, and at no other time.
///
/// # What does not count
/// - The outcome of any attempt but the one that is on its way: late, repeated or out of order.
/// - An answer that comes after the timeout. The timeout counts, as a failure, once; a failure that comes
///   late counts in its place.
/// - A timeout that is noticed later than an interval (at least 1 s) after it was up. The clock has jumped or
///   the caller was away, and nobody knows whether the answer was in time.
///
/// # The schedule
/// Probes are due at the beginning (after [`initial_delay`](Probe::initial_delay)) and every interval after
/// that, whenever the calls come: it does not drift. A probe that begins late leaves those after it where
/// they are, but for those that are missed altogether or would begin less than half an interval later: they
/// are left out, so that a gap is followed by one probe and never by a burst. A probe that is due while one
/// is on its way begins when that has ended.
///
/// When the time goes back by more than an interval (at least 1 s), what was to come comes after the same
/// span of the new time; by less, the time stands still until it was caught up with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    probe: Probe,
    /// The latest time that a call had.
    clock: Timestamp,
    /// When the next regular probe is due.
    due: Timestamp,
    /// When one out of turn is due, unless that is not before.
    eager: Option<Timestamp>,
    /// The number of the newest attempt.
    newest: u64,
    flight: Option<Flight>,
    was_healthy: bool,
    status: HealthStatus,
}

/// The attempt that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
struct Flight {
    deadline: Timestamp,
    timeout: Millis,
    /// Out of turn: only a pass counts.
    eager: bool,
}

/// One probe that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, to record its outcome by.
    pub number: u64,
    /// The whole answer has to be there after this time; less than the probe's own timeout for one out of
    /// turn, which ends before the next regular one is due.
    pub timeout: Millis,
}

/// What a call of [`Monitor::poll`] came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Polled {
    /// The verdict has changed, because a timeout was up.
    pub change: Option<Change>,
    /// This probe is to be sent.
    pub attempt: Option<Attempt>,
}

impl Monitor {
    /// Nothing is known yet, and the first probe is due after the initial delay.
    #[must_use]
    pub fn new(probe: Probe, now: Timestamp) -> Self {
        Self {
            due: now + probe.initial_delay(),
            clock: now,
            eager: None,
            newest: 0,
            flight: None,
            was_healthy: false,
            status: HealthStatus::unknown(now),
            probe,
        }
    }

    /// What is probed, and how.
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// What is known.
    #[must_use]
    pub const fn status(&self) -> &HealthStatus {
        &self.status
    }

    /// How many verdicts of failure came in a row: one for each [`failure_threshold`](Probe::failure_threshold)
    /// failures in the present streak. A rollout that allows so many attempts counts these.
    #[must_use]
    pub fn failed_verdicts(&self) -> u32 {
        self.status.consecutive_failures() / self.probe.failure_threshold()
    }

    /// When [`poll`](Self::poll) has something to do: the deadline of the attempt that is on its way, or the
    /// next probe. Earlier calls do nothing.
    #[must_use]
    pub fn wake_at(&self) -> Timestamp {
        match (&self.flight, self.eager) {
            (Some(flight), _) => flight.deadline,
            (None, Some(eager)) => eager.min(self.due),
            (None, None) => self.due,
        }
    }

    /// Ends an attempt whose time is up, and begins the next one that is due.
    pub fn poll(&mut self, now: Timestamp) -> Polled {
        let now = self.read(now);
        let up = self.flight.take_if(|flight| now >= flight.deadline);
        let change = up.and_then(|flight| self.end(&flight, timed_out(&flight), now));
        Polled { change, attempt: self.begin(now) }
    }

    /// The outcome of the attempt with this number. What does not count (see above) is ignored.
    pub fn record(&mut self, number: u64, outcome: Outcome, now: Timestamp) -> Option<Change> {
        let now = self.read(now);
        if number != self.newest {
            return None;
        }
        let flight = self.flight.take()?;
        let outcome = match outcome {
            Outcome::Passed { took, .. } if now > flight.deadline || took > flight.timeout => {
                timed_out(&flight)
            }
            // A failure keeps its reason though it comes late: it says more than that the time was up.
            outcome @ (Outcome::Passed { .. } | Outcome::Failed { .. }) => outcome,
        };
        self.end(&flight, outcome, now)
    }

    /// The time to go by, given what the caller says.
    fn read(&mut self, now: Timestamp) -> Timestamp {
        if self.clock.since(now) > self.slack() {
            let clock = self.clock;
            let moved = |moment: Timestamp| now + moment.since(clock);
            self.due = moved(self.due);
            self.eager = self.eager.map(moved);
            if let Some(flight) = &mut self.flight {
                flight.deadline = moved(flight.deadline);
            }
            self.clock = now;
        }
        self.clock = self.clock.max(now);
        self.clock
    }

    fn slack(&self) -> Millis {
        self.probe.interval().max(SLACK)
    }

    fn begin(&mut self, now: Timestamp) -> Option<Attempt> {
        if self.flight.is_some() || now < self.wake_at() {
            return None;
        }
        let eager = now < self.due;
        let mut timeout = self.probe.timeout();
        if eager {
            timeout = timeout.min(self.due.since(now));
        } else {
            self.due = schedule::next(self.due, self.probe.interval(), now);
        }
        self.eager = None;
        // Wraps: a number only has to differ from those of attempts that may still be answered.
        self.newest = self.newest.wrapping_add(1);
        self.flight = Some(Flight { deadline: now + timeout, timeout, eager });
        Some(Attempt { number: self.newest, timeout })
    }

    /// This attempt has ended so, unless nobody can know any more.
    fn end(&mut self, flight: &Flight, outcome: Outcome, now: Timestamp) -> Option<Change> {
        if now.since(flight.deadline) > self.slack() {
            return None;
        }
        let counts = outcome.is_passed() || !flight.eager;
        self.status.last = Some(Observed { at: now, outcome });
        let change = if counts { self.judge(now) } else { None };
        self.was_healthy |= self.status.verdict == Verdict::Healthy;
        if let Some(every) = self.probe.eager().filter(|_| !self.was_healthy) {
            self.eager = Some(now + every);
        }
        change
    }

    /// Adds what was observed last to the streak, and changes the verdict when that reaches its threshold.
    fn judge(&mut self, now: Timestamp) -> Option<Change> {
        let observed = self.status.last.clone()?;
        self.status.streak = self.status.streak.grown(observed.outcome.is_passed(), now);
        let (count, since, threshold, verdict) = match self.status.streak {
            Streak::None => return None,
            Streak::Passes { count, since } => {
                (count, since, self.probe.success_threshold(), Verdict::Healthy)
            }
            Streak::Failures { count, since } => {
                (count, since, self.probe.failure_threshold(), Verdict::Unhealthy)
            }
        };
        if count < threshold || verdict == self.status.verdict {
            return None;
        }
        let before = (self.status.verdict, self.status.since);
        (self.status.verdict, self.status.since) = (verdict, now);
        Some(Change {
            path: self.probe.path().clone(),
            at: now,
            from: before.0,
            from_since: before.1,
            to: verdict,
            count,
            threshold,
            since,
            outcome: observed.outcome,
        })
    }
}

fn timed_out(flight: &Flight) -> Outcome {
    Outcome::failed(Failure::Timeout).detail(&format!("waited {}", flight.timeout))
}

#[cfg(test)]
mod tests;
