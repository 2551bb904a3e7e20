use super::*;

/// A monitor and a clock.
struct Run {
    monitor: Monitor,
    now: Timestamp,
    told: Vec<String>,
}

const PASS: Outcome = Outcome::passed(200, Millis(20));

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn fail() -> Outcome {
    Outcome::failed(Failure::Status(503))
}

/// Readiness as it is by default: every 5 s, 3 s, 2 failures.
fn readiness() -> Run {
    Run::new(Probe::readiness())
}

impl Run {
    fn new(probe: Probe) -> Self {
        Self { monitor: Monitor::new(probe, at(0)), now: at(0), told: Vec::new() }
    }

    /// Polls at this time; the attempt that begins.
    fn poll(&mut self, ms: u64) -> Option<Attempt> {
        self.now = at(ms);
        let polled = self.monitor.poll(self.now);
        self.told.extend(polled.change.map(|change| change.to_string()));
        polled.attempt
    }

    fn record(&mut self, ms: u64, attempt: Attempt, outcome: Outcome) {
        self.now = at(ms);
        let change = self.monitor.record(attempt.number, outcome, self.now);
        self.told.extend(change.map(|change| change.to_string()));
    }

    /// One probe at the time it is due, answered 20 ms later.
    fn probe(&mut self, outcome: Outcome) -> Verdict {
        let due = self.monitor.wake_at().as_millis();
        let attempt = self.poll(due).expect("a probe is due");
        self.record(due + 20, attempt, outcome);
        self.monitor.status().verdict
    }

    fn wake_at(&self) -> u64 {
        self.monitor.wake_at().as_millis()
    }

    fn failures(&self) -> u32 {
        self.monitor.status().consecutive_failures()
    }
}

#[test]
fn a_verdict_needs_its_threshold_in_a_row() {
    use Verdict::{Healthy, Unhealthy, Unknown};
    let table: [(u32, u32, &str, &[Verdict]); 5] = [
        (2, 1, "p", &[Healthy]),
        (2, 1, "ffpfpff", &[Unknown, Unhealthy, Healthy, Healthy, Healthy, Healthy, Unhealthy]),
        (1, 1, "fpf", &[Unhealthy, Healthy, Unhealthy]),
        (3, 2, "fpffpff", &[Unknown; 7]),
        (
            3,
            2,
            "ppffpfffp",
            &[Unknown, Healthy, Healthy, Healthy, Healthy, Healthy, Healthy, Unhealthy, Unhealthy],
        ),
    ];
    for (failures, passes, outcomes, expected) in table {
        let probe = Probe::readiness().with_failure_threshold(failures).unwrap();
        let mut run = Run::new(probe.with_success_threshold(passes).unwrap());
        let outcomes = outcomes.chars().map(|it| if it == 'p' { PASS } else { fail() });
        let verdicts: Vec<Verdict> = outcomes.map(|outcome| run.probe(outcome)).collect();
        assert_eq!(verdicts, expected, "{failures} {passes}");
    }
}

#[test]
fn nothing_is_known_before_the_first_outcome() {
    let mut run = readiness();
    assert_eq!(run.monitor.status(), &HealthStatus::unknown(at(0)));
    run.poll(0).unwrap();
    assert_eq!(run.monitor.status(), &HealthStatus::unknown(at(0)));
    assert!(!run.monitor.status().is_healthy());
}

#[test]
fn a_change_says_what_failed_how_often_since_when_and_the_bound() {
    let mut run = readiness();
    for outcome in [PASS, fail(), fail().detail("the database is away"), fail(), PASS, PASS] {
        run.probe(outcome);
    }
    assert_eq!(
        run.told,
        [
            "GET /ready is healthy: passed once (bound 1), status 200 in 20ms",
            "GET /ready is unhealthy: failed 2 times in a row for 5s (bound 2), status 503: the database is \
             away; it was healthy for 10s",
            "GET /ready is healthy: passed once (bound 1), status 200 in 20ms; it was unhealthy for 10s",
        ]
    );
}

#[test]
fn the_status_has_the_numbers_and_their_times() {
    let mut run = readiness();
    for outcome in [PASS, fail(), fail(), fail()] {
        run.probe(outcome);
    }
    let status = run.monitor.status();
    assert_eq!((status.verdict, status.since), (Verdict::Unhealthy, at(10_020)));
    assert_eq!(status.streak, Streak::Failures { count: 3, since: at(5020) });
    assert_eq!((status.consecutive_failures(), status.consecutive_passes()), (3, 0));
    assert_eq!(status.last, Some(Observed { at: at(15_020), outcome: fail() }));
    run.probe(PASS);
    let status = run.monitor.status();
    assert_eq!((status.consecutive_failures(), status.consecutive_passes()), (0, 1));
    assert_eq!(status.streak, Streak::Passes { count: 1, since: at(20_020) });
}

#[test]
fn every_threshold_of_failures_is_one_more_failed_verdict() {
    let mut run = readiness();
    let counted = [fail(), fail(), fail(), fail(), fail(), fail(), PASS, fail()].map(|outcome| {
        run.probe(outcome);
        run.monitor.failed_verdicts()
    });
    assert_eq!(counted, [0, 1, 1, 2, 2, 3, 0, 0]);
}

#[test]
fn probes_are_due_every_interval_however_long_answers_take() {
    let mut run = readiness();
    for (n, took) in [20, 2999, 0, 1500].into_iter().enumerate() {
        let due = 5000 * n as u64;
        assert_eq!(run.wake_at(), due);
        assert!(due == 0 || run.poll(due - 1).is_none());
        // polled a little late: no drift
        let attempt = run.poll(due + 3).unwrap();
        assert_eq!(attempt.timeout, Millis(3000));
        assert_eq!(run.wake_at(), due + 3003);
        assert_eq!(run.poll(due + 4), None, "one at a time");
        run.record(due + 3 + took, attempt, PASS);
    }
}

#[test]
fn the_first_probe_waits_for_the_initial_delay() {
    let mut run = Run::new(Probe::readiness().with_initial_delay(Millis(30_000)).unwrap());
    assert_eq!((run.poll(29_999), run.wake_at()), (None, 30_000));
    run.probe(PASS);
    assert_eq!(run.wake_at(), 35_000);
}

#[test]
fn silence_is_a_failure_when_the_time_is_up() {
    let mut run = readiness();
    run.poll(0).unwrap();
    assert_eq!((run.poll(2999), run.failures(), run.wake_at()), (None, 0, 3000));
    assert_eq!((run.poll(3000), run.failures(), run.wake_at()), (None, 1, 5000));
    run.poll(5000).unwrap();
    assert_eq!((run.poll(8000), run.failures()), (None, 2));
    assert_eq!(
        run.told,
        ["GET /ready is unhealthy: failed 2 times in a row for 5s (bound 2), no answer in time: waited 3s"]
    );
}

#[test]
fn what_comes_late_twice_or_from_an_older_probe_does_not_count() {
    let mut run = readiness();
    let first = run.poll(0).unwrap();
    // late by the clock: the timeout counts, the answer does not
    run.record(3001, first, PASS);
    assert_eq!((run.failures(), run.monitor.status().verdict), (1, Verdict::Unknown));
    let second = run.poll(5000).unwrap();
    // an older one, while the newer is on its way
    run.record(5001, first, PASS);
    assert_eq!((run.failures(), run.wake_at()), (1, 8000));
    // exactly in time
    run.record(8000, second, PASS);
    assert_eq!(run.monitor.status().verdict, Verdict::Healthy);
    // once more
    let before = run.monitor.clone();
    run.record(8000, second, fail());
    run.record(8000, Attempt { number: 99, ..second }, fail());
    assert_eq!(run.monitor, before);
    // a failure that is late says more than a timeout
    let mut other = readiness();
    let attempt = other.poll(0).unwrap();
    other.record(3001, attempt, fail());
    assert_eq!((other.failures(), &other.monitor.status().last.as_ref().unwrap().outcome), (1, &fail()));
    // late by its own watch
    let third = run.poll(10_000).unwrap();
    run.record(10_010, third, Outcome::passed(200, Millis(3001)));
    assert_eq!(run.failures(), 1);
}

#[test]
fn a_timeout_longer_than_the_interval_never_makes_two_probes_overlap() {
    let mut run = Run::new(Probe::readiness().with_timeout(Millis(12_000)).unwrap());
    let slow = run.poll(0).unwrap();
    assert_eq!((run.poll(5000), run.poll(10_000), run.wake_at()), (None, None, 12_000));
    run.record(11_000, slow, PASS);
    // what was due meanwhile is made up for by one
    assert_eq!(run.wake_at(), 5000);
    assert!(run.poll(11_000).is_some());
    assert_eq!((run.poll(22_999), run.wake_at()), (None, 23_000));
    assert!(run.poll(23_000).is_some(), "one times out and the next one begins");
}

#[test]
fn a_gap_is_followed_by_one_probe_and_an_hour_of_silence_that_nobody_watched_counts_nothing() {
    let mut run = readiness();
    run.probe(PASS);
    let attempt = run.poll(5000).unwrap();
    let hour = 3_600_000;
    let next = run.poll(hour + 1).unwrap();
    assert_eq!((run.failures(), run.told.len()), (0, 1), "{:?}", run.told);
    run.record(hour + 2, attempt, fail());
    assert_eq!(run.failures(), 0, "it belongs to the attempt before");
    run.record(hour + 3, next, fail());
    assert_eq!((run.failures(), run.wake_at()), (1, hour + 5000));
    assert_eq!(run.poll(hour + 4), None);
    // and the same when the answer is there after the gap
    let attempt = run.poll(hour + 5000).unwrap();
    run.record(2 * hour, attempt, PASS);
    assert_eq!((run.failures(), run.wake_at()), (1, hour + 10_000));
}

#[test]
fn a_timeout_that_is_noticed_within_an_interval_counts() {
    for (late, failures) in [(0, 1), (4999, 1), (5000, 1), (5001, 0)] {
        let mut run = readiness();
        run.poll(0).unwrap();
        run.poll(3000 + late);
        assert_eq!(run.failures(), failures, "{late}");
    }
    // a short interval does not make a busy machine a gap
    for (late, failures) in [(1000, 1), (1001, 0)] {
        let mut run = Run::new(Probe::readiness().with_interval(Millis(20)).unwrap());
        run.poll(0).unwrap();
        run.poll(3000 + late);
        assert_eq!(run.failures(), failures, "{late}");
    }
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let hour = 3_600_000;
    let mut run = Run::new(Probe::readiness().with_eager(Millis(2000)).unwrap());
    run.poll(hour).unwrap();
    // back by an hour: the deadline that was 3 s away still is
    assert_eq!((run.poll(100), run.wake_at()), (None, 3100));
    // it passes, and the probe out of turn and the regular one were 5 s away
    assert_eq!((run.poll(3100), run.failures(), run.wake_at()), (None, 1, 5100));
    run = Run::new(Probe::readiness().with_eager(Millis(2000)).unwrap());
    let attempt = run.poll(hour).unwrap();
    run.record(hour + 20, attempt, fail());
    assert_eq!(run.wake_at(), hour + 2020);
    assert_eq!((run.poll(100), run.wake_at()), (None, 2100));
    assert_eq!(run.probe(PASS), Verdict::Healthy);
    assert_eq!(run.wake_at(), 100 + 4980);
}

#[test]
fn a_small_step_back_makes_no_probe_come_early() {
    let mut run = readiness();
    run.probe(PASS);
    run.poll(4990);
    run.poll(10);
    assert_eq!((run.poll(4999), run.wake_at()), (None, 5000));
    assert!(run.poll(5000).is_some());
}

#[test]
fn many_small_steps_back_are_a_large_one() {
    let mut run = readiness();
    let attempt = run.poll(100_000).unwrap();
    run.record(100_020, attempt, PASS);
    for step in 1..=60 {
        run.poll(100_020 - 1000 * step);
    }
    assert!(run.wake_at() <= 40_020 + 10_000, "{}", run.wake_at());
}

#[test]
fn what_starts_is_asked_out_of_turn_and_only_a_pass_counts() {
    let mut run = Run::new(Probe::readiness().with_eager(Millis(200)).unwrap());
    let mut asked = Vec::new();
    // refuses for 6 s
    while run.wake_at() < 6000 {
        asked.push(run.wake_at());
        run.probe(fail());
    }
    assert_eq!(asked[..3], [0, 220, 440]);
    assert!(asked.contains(&5000) && asked.len() == 28, "{asked:?}");
    assert_eq!(run.failures(), 2, "the regular ones");
    assert_eq!(run.probe(PASS), Verdict::Healthy);
    assert_eq!(run.wake_at(), 10_000, "no hurry any more");
    assert_eq!(run.probe(fail()), Verdict::Healthy);
    assert_eq!(run.wake_at(), 15_000);
    assert_eq!(run.probe(fail()), Verdict::Unhealthy);
    assert_eq!(run.wake_at(), 20_000);
}

#[test]
fn a_probe_out_of_turn_ends_before_the_regular_one() {
    let mut run = Run::new(Probe::readiness().with_eager(Millis(4000)).unwrap());
    run.probe(fail());
    assert_eq!(run.wake_at(), 4020);
    assert_eq!(run.poll(4020).unwrap().timeout, Millis(980));
    let regular = run.poll(5000).unwrap();
    assert_eq!((run.failures(), regular.timeout), (1, Millis(3000)));
    assert_eq!(
        run.monitor.status().last.as_ref().unwrap().outcome.to_string(),
        "no answer in time: waited 980ms"
    );
}

#[test]
fn equal_histories_are_equal_states_and_can_be_written_down() {
    let history = |last: Outcome| {
        let mut run = readiness();
        run.probe(PASS);
        run.probe(last);
        run.monitor
    };
    assert_eq!(history(fail()), history(fail()));
    assert_ne!(history(fail()), history(PASS));
    let json = serde_json::to_value(history(fail())).unwrap();
    assert_eq!(json["probe"]["intervalMs"], 5000);
    assert_eq!(json["status"]["verdict"], "healthy");
    assert_eq!(json["status"]["streak"], serde_json::json!({"failures": {"count": 1, "since": 5020}}));
    let last = serde_json::json!({"failed": {"why": {"status": 503}, "detail": ""}});
    assert_eq!(json["status"]["last"], serde_json::json!({"at": 5020, "outcome": last}));
}
