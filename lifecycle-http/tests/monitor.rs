//! Any order of polls, outcomes and times.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_http::{Attempt, Failure, Monitor, Outcome, Probe, Verdict};
use proptest::prelude::*;

/// What somebody does with a monitor.
#[derive(Clone, Debug)]
enum Step {
    /// Time goes on.
    Wait(u64),
    /// Waits until the monitor has something to do, and so much longer.
    Wake(u64),
    /// The clock shows this.
    Jump(u64),
    Poll,
    /// The outcome of the attempt that began so many attempts ago.
    Record(usize, bool),
}

fn steps(jumps: bool) -> impl Strategy<Value = Vec<Step>> {
    let moment = prop_oneof![0..100_000u64, any::<u64>(), Just(u64::MAX)];
    let step = prop_oneof![
        2 => (0..400u64).prop_map(Step::Wait),
        1 => (0..20_000u64).prop_map(Step::Wait),
        4 => (0..30u64).prop_map(Step::Wake),
        6 => Just(Step::Poll),
        6 => (prop_oneof![5 => Just(0), 1 => 0..4usize], any::<bool>()).prop_map(|(of, pass)| Step::Record(of, pass)),
        // the last: what shrinks becomes an earlier one
        u32::from(jumps) => moment.prop_map(Step::Jump),
    ];
    prop::collection::vec(step, 0..200)
}

fn probes() -> impl Strategy<Value = Probe> {
    let spans = (5..2000u64, 1..3000u64, 0..1000u64, prop::option::of(1..500u64));
    (spans, 1..5u32, 1..4u32).prop_map(|((interval, timeout, delay, eager), failures, passes)| {
        let probe = Probe::readiness().with_interval(Millis(interval)).unwrap();
        let probe = probe.with_timeout(Millis(timeout)).unwrap().with_initial_delay(Millis(delay)).unwrap();
        let probe = probe.with_failure_threshold(failures).unwrap().with_success_threshold(passes).unwrap();
        match eager {
            Some(eager) => probe.with_eager(Millis(eager)).unwrap(),
            None => probe,
        }
    })
}

fn outcome(pass: bool) -> Outcome {
    if pass { Outcome::passed(200, Millis(0)) } else { Outcome::failed(Failure::Refused) }
}

/// An attempt as the one who sends it sees it.
struct Sent {
    attempt: Attempt,
    began: u64,
    /// In turn: its failures count.
    regular: bool,
}

/// What the contract says, written down anew: results in a row, and the verdict.
struct Expected {
    passed: bool,
    count: u32,
    verdict: Verdict,
}

impl Expected {
    /// One result that counts; does the verdict change?
    fn result(&mut self, probe: &Probe, passed: bool) -> bool {
        self.count = if self.passed == passed { self.count + 1 } else { 1 };
        self.passed = passed;
        let (verdict, threshold) = match passed {
            true => (Verdict::Healthy, probe.success_threshold()),
            false => (Verdict::Unhealthy, probe.failure_threshold()),
        };
        let changes = self.count >= threshold && self.verdict != verdict;
        if changes {
            self.verdict = verdict;
        }
        changes
    }
}

/// Plays the steps with a clock that never goes back, and holds every answer against the contract.
struct Play {
    monitor: Monitor,
    now: u64,
    expected: Expected,
    sent: Vec<Sent>,
    open: bool,
    next_regular: u64,
}

impl Play {
    fn new(probe: Probe) -> Self {
        let next_regular = probe.initial_delay().get();
        let expected = Expected { passed: true, count: 0, verdict: Verdict::Unknown };
        let monitor = Monitor::new(probe, Timestamp::ZERO);
        Self { monitor, now: 0, expected, sent: Vec::new(), open: false, next_regular }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// The time of the open attempt is up; what does that count as?
    fn times_out(&mut self) -> bool {
        self.open = false;
        let sent = self.sent.last().unwrap();
        let late = self.now - (sent.began + sent.attempt.timeout.get());
        let noticed = late <= self.monitor.probe().interval().get().max(1000);
        noticed && sent.regular && self.expected.result(&self.monitor.probe().clone(), false)
    }

    fn poll(&mut self) {
        let due = self.now >= self.monitor.wake_at().as_millis();
        let up = self.sent.last().is_some_and(|sent| self.now >= sent.began + sent.attempt.timeout.get());
        let changes = self.open && up && self.times_out();
        let polled = self.monitor.poll(self.now());
        assert_eq!(polled.change.is_some(), changes);
        let Some(attempt) = polled.attempt else { return };
        assert!(!self.open && due, "one at a time, and only when it is due");
        let regular = self.now >= self.next_regular;
        if regular {
            self.regular_began();
        } else {
            assert!(self.monitor.probe().eager().is_some() && self.expected.verdict != Verdict::Healthy);
            assert!(self.now + attempt.timeout.get() <= self.next_regular);
        }
        self.sent.push(Sent { attempt, began: self.now, regular });
        self.open = true;
    }

    /// A regular probe never begins less than half an interval after the one before, and the next one is due
    /// on the grid of whole intervals since the first, never less than an interval after this one was due.
    fn regular_began(&mut self) {
        let (interval, delay) = (self.monitor.probe().interval().get(), self.monitor.probe().initial_delay());
        if let Some(before) = self.sent.iter().rfind(|sent| sent.regular) {
            assert!(2 * (self.now - before.began) >= interval);
        }
        let mut next = self.next_regular + interval;
        while 2 * (next.saturating_sub(self.now)) < interval {
            next += interval;
        }
        assert_eq!((next - delay.get()) % interval, 0);
        self.next_regular = next;
    }

    fn record(&mut self, back: usize, pass: bool) {
        let Some(sent) = self.sent.iter().rev().nth(back) else { return };
        let (number, regular) = (sent.attempt.number, sent.regular);
        let newest = back == 0 && self.open;
        let in_time = self.now <= sent.began + sent.attempt.timeout.get();
        let probe = self.monitor.probe().clone();
        let changes = match (newest, in_time) {
            (false, _) => false,
            (true, false) => self.times_out(),
            (true, true) => {
                self.open = false;
                (pass || regular) && self.expected.result(&probe, pass)
            }
        };
        let change = self.monitor.record(number, outcome(pass), self.now());
        assert_eq!(change.is_some(), changes);
        if let Some(change) = change {
            assert!(change.count >= change.threshold && change.to == self.expected.verdict);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.now += ms,
            Step::Wake(late) => self.now = self.now.max(self.monitor.wake_at().as_millis() + late),
            Step::Jump(to) => self.now = self.now.max(to),
            Step::Poll => self.poll(),
            Step::Record(back, pass) => self.record(back, pass),
        }
        let status = self.monitor.status();
        assert_eq!(status.verdict, self.expected.verdict);
        let count = match self.expected.passed {
            true => status.consecutive_passes(),
            false => status.consecutive_failures(),
        };
        assert_eq!(count, self.expected.count);
        if !self.open {
            assert!(self.monitor.wake_at().as_millis() <= self.next_regular, "the next one does not drift");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_results_in_a_row_change_the_verdict_and_no_probe_comes_early(
        probe in probes(),
        steps in steps(false),
    ) {
        let mut play = Play::new(probe);
        for step in &steps {
            play.step(step);
        }
    }

    #[test]
    fn no_clock_makes_it_panic_probe_twice_at_once_or_wait_longer_than_it_should(
        probe in probes(),
        steps in steps(true),
    ) {
        let (mut now, mut clock) = (0u64, 0u64);
        let longest = probe.interval().max(probe.timeout()).max(probe.initial_delay()).get();
        let mut monitor = Monitor::new(probe.clone(), Timestamp::ZERO);
        let (mut newest, mut open) = (0, None);
        for step in steps {
            let time = Timestamp::from_millis(now);
            match step {
                Step::Wait(ms) => now = now.saturating_add(ms),
                Step::Wake(late) => now = monitor.wake_at().as_millis().saturating_add(late),
                Step::Jump(to) => now = to,
                Step::Poll => {
                    let verdict = monitor.status().verdict;
                    let polled = monitor.poll(time);
                    prop_assert_eq!(polled.change.is_some(), verdict != monitor.status().verdict);
                    if polled.change.is_some() || polled.attempt.is_some() {
                        open = None;
                    }
                    if let Some(attempt) = polled.attempt {
                        prop_assert_eq!(attempt.number, newest + 1);
                        (newest, open) = (attempt.number, Some(attempt));
                    }
                    // the monitor goes by its own clock: the highest it saw, unless that was set back far
                    let back = clock.saturating_sub(now);
                    clock = if back > probe.interval().get().max(1000) { now } else { clock.max(now) };
                    prop_assert!(monitor.wake_at().as_millis() <= clock.saturating_add(2 * longest));
                }
                Step::Record(back, pass) => {
                    let known = monitor.clone();
                    let number = newest.wrapping_sub(back as u64);
                    let change = monitor.record(number, outcome(pass), time);
                    let ignored = back > 0 || open.is_none();
                    prop_assert!(!ignored || (change.is_none() && monitor.status() == known.status()));
                    if back == 0 {
                        open = None;
                    }
                    let back = clock.saturating_sub(now);
                    clock = if back > probe.interval().get().max(1000) { now } else { clock.max(now) };
                }
            }
        }
    }
}
