use anstream::adapter::strip_str;
use lifecycle_core::machine::{RouteSeen, State};
use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
use lifecycle_core::report::{OutcomeLine, Requests, WirePhase};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;

use super::*;

/// 1.4.0 with this many of 10 replicas ready.
fn status(ready: u32) -> Status {
    let plan =
        PlanBuilder::new("canary", Mode::Ratio).step(Hold::new(Weight::FULL, Millis::ZERO)).build().unwrap();
    let state = State::serving(Version::new(1, 4, 0), "hash", 10);
    let mut status = Status::of(&plan, &state, &RouteSeen::NoRouter);
    if let Some(stable) = &mut status.stable {
        (stable.desired, stable.ready) = (10, ready);
    }
    status
}

fn at(seconds: u64, kind: LineKind) -> Line {
    Line::new(Timestamp::from_millis(seconds * 1000), kind)
}

fn event(name: &'static str, reason: &str, message: &str) -> LineKind {
    LineKind::Event { name, reason: reason.to_owned(), message: message.to_owned() }
}

/// The timeline of these lines, without its styles.
fn timeline(lines: &[Line]) -> Vec<String> {
    let mut timeline = Timeline::new(Vec::new()).checked();
    for line in lines {
        timeline.line(line).unwrap();
    }
    timeline.close().unwrap();
    let text = String::from_utf8(timeline.take()).unwrap();
    strip_str(&text).to_string().lines().map(str::to_owned).collect()
}

fn below_head(lines: &[Line]) -> Vec<String> {
    timeline(lines).split_off(1)
}

/// The same in the middle of a rollout.
fn progressing() -> Status {
    let mut status = status(10);
    status.canary.clone_from(&status.stable);
    if let Some(canary) = &mut status.canary {
        (canary.version, canary.desired, canary.ready) = ("1.5.0".to_owned(), 5, 4);
    }
    (status.phase, status.step, status.steps, status.weight) = (WirePhase::Progressing, 2, 3, 50);
    status
}

#[test]
fn a_row_shows_the_weight_the_step_and_the_replicas() {
    let rows = timeline(&[at(3723, LineKind::Status(progressing()))]);
    assert_eq!(rows[1], " 1:02:03  ██████████░░░░░░░░░░   50% progressing 2/3 1.4.0 10/10     1.5.0 4/5");
}

#[test]
fn without_a_canary_no_bar_says_that_the_traffic_is_gone() {
    let row = |status| timeline(&[at(5, LineKind::Status(status))]).remove(1);
    assert_eq!(row(status(10)), " 0:00:05  all to 1.4.0               healthy         1.4.0 10/10     -");
    assert!(row(status(0)).contains("no replica is ready"), "{}", row(status(0)));
    let mut paused = status(10);
    paused.canary.clone_from(&paused.stable);
    assert!(row(paused).contains("░    0%"), "a canary without traffic is no end");
}

#[test]
fn the_head_stands_above_its_columns() {
    let column = |row: &str, text: &str| row.find(text).map(|at| row[..at].chars().count());
    for (status, traffic, phase, stable) in
        [(progressing(), "█", "progressing", "1.4.0 10"), (status(10), "all to", "healthy", "1.4.0 10")]
    {
        let rows = timeline(&[at(0, LineKind::Status(status))]);
        assert_eq!(column(&rows[0], "traffic"), column(&rows[1], traffic));
        assert_eq!(column(&rows[0], "phase"), column(&rows[1], phase));
        assert_eq!(column(&rows[0], "stable"), column(&rows[1], stable));
    }
}

#[test]
fn of_one_second_the_last_status_is_shown_below_what_was_decided() {
    let status = |ready, ms| Line::new(Timestamp::from_millis(ms), LineKind::Status(status(ready)));
    let passed = at(5, event("GatePassed", "GatePassed", "step 1 of 3 passed"));
    let rows = below_head(&[status(0, 5000), passed, status(10, 5999)]);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert!(rows[0].contains("GatePassed") && rows[1].contains("10/10"), "{rows:#?}");
}

#[test]
fn a_status_is_shown_once_its_second_is_over() {
    let mut timeline = Timeline::new(Vec::new());
    timeline.line(&at(5, LineKind::Status(status(10)))).unwrap();
    timeline.pass(5999).unwrap();
    assert_eq!(timeline.take(), b"");
    timeline.pass(6000).unwrap();
    assert!(!timeline.take().is_empty());
}

#[test]
fn a_reason_is_told_unless_the_line_says_it_already() {
    for (name, reason, message, line) in [
        ("GoingBack", "CheckFailed", "error_rate 3%", "↩ GoingBack         CheckFailed: error_rate 3%"),
        ("Measured", "Fail", "error_rate 3%", "✗ Measured          error_rate 3%"),
        ("CommandDone", "pause", "pause (7)", "› CommandDone       pause (7)"),
        ("FaultInjected", "pod-kill", "pod-kill", "! FaultInjected     pod-kill"),
    ] {
        assert_eq!(below_head(&[at(7, event(name, reason, message))])[0], format!(" 0:00:07  {line}"));
    }
}

#[test]
fn replicas_that_get_ready_one_by_one_are_a_row_only_when_the_last_one_is() {
    let lines: Vec<Line> =
        (0..=10).map(|ready| at(u64::from(ready), LineKind::Status(status(ready)))).collect();
    let rows = timeline(&lines);
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert!(rows[1].contains("0/10") && rows[2].contains("10/10"), "{rows:#?}");
}

#[test]
fn what_happens_in_one_moment_has_its_time_once() {
    let rows = below_head(&[
        at(7, event("GatePassed", "GatePassed", "step 1 of 3 passed")),
        at(7, event("Promoted", "Promoted", "1.5.0 is stable")),
    ]);
    assert_eq!(
        rows,
        [" 0:00:07  ✓ GatePassed        step 1 of 3 passed", "          ✓ Promoted          1.5.0 is stable"]
    );
}

#[test]
fn a_long_message_goes_on_below_and_no_line_is_too_long() {
    let rows = below_head(&[at(7, event("Measured", "Inconclusive", &"many words ".repeat(30)))]);
    assert!(rows.len() > 3, "{rows:#?}");
    assert!(rows.iter().all(|row| row.chars().count() <= WIDTH), "{rows:#?}");
    assert!(rows[0].contains("? Measured          Inconclusive: many words"), "{rows:#?}");
    assert!(rows[1].starts_with(&" ".repeat(30)) && !rows[1].starts_with(&" ".repeat(31)), "{rows:#?}");
}

fn look(verdict: &'static str, message: &str) -> LineKind {
    let check = "error_rate < 1%".to_owned();
    LineKind::Look { check, verdict, message: message.to_owned(), counted_ms: None }
}

#[test]
fn a_look_is_told_in_the_place_of_what_was_measured() {
    let rows = below_head(&[
        at(7, look("Uncounted", "the canary gets no requests yet")),
        at(8, look("Waiting", "20 requests")),
        at(9, look("Pass", "0.1% is < 1% in 9s")),
        at(9, event("Measured", "Pass", "error_rate < 1%: 0.1% is < 1%")),
        at(9, event("GatePassed", "GatePassed", "step 1 of 3 passed")),
    ]);
    assert_eq!(
        rows,
        [
            " 0:00:07  · NotMeasured       error_rate < 1%: the canary gets no requests yet",
            " 0:00:08  ? Measured          Waiting: error_rate < 1%: 20 requests",
            " 0:00:09  ✓ Measured          error_rate < 1%: 0.1% is < 1% in 9s",
            "          ✓ GatePassed        step 1 of 3 passed",
        ]
    );
}

#[test]
fn the_end_says_of_each_check_how_many_looks_said_what() {
    let end = |looks: &[LineKind]| {
        let outcome = OutcomeLine::of(&State::serving(Version::new(1, 4, 0), "hash", 10));
        let mut lines: Vec<Line> = (7..).zip(looks).map(|(s, look)| at(s, look.clone())).collect();
        lines.push(at(60, LineKind::Outcome(Box::new(outcome))));
        let rows = timeline(&lines).join("\n");
        rows.split_once("check       ").map(|(_, row)| row.lines().next().unwrap().to_owned())
    };
    let (idle, pass, fail) = (look("Uncounted", "too early"), look("Pass", "0.1%"), look("Fail", "3%"));
    for (looks, row) in [
        (vec![], None),
        (vec![idle.clone()], Some("error_rate < 1%: no look; too early")),
        (
            vec![idle.clone(), pass.clone(), idle.clone()],
            Some("error_rate < 1%: one look, Pass at 0:00:08: 0.1%"),
        ),
        (
            vec![pass.clone(), pass.clone(), fail, idle],
            Some("error_rate < 1%: 3 looks, 2 Pass, 1 Fail; the last at 0:00:09: 3%"),
        ),
    ] {
        assert_eq!(end(&looks).as_deref(), row);
    }
}

#[test]
fn wishes_are_not_told_as_events() {
    assert_eq!(timeline(&[at(7, event("Scaled", "Scaled", "1.5.0 from 0 to 1"))]), Vec::<String>::new());
}

#[test]
fn the_end_says_what_serves_and_what_it_cost() {
    let mut outcome = OutcomeLine::of(&State::serving(Version::new(1, 4, 0), "hash", 10));
    outcome.outcome = "rolledBack";
    outcome.reason = "error_rate < 1%: 3% of 500 requests".to_owned();
    outcome.requests = Requests::new(2_000_000, 2_000, 0);
    (outcome.min_available, outcome.max_total) = (10, 11);
    let began = at(0, LineKind::Status(progressing()));
    let text = timeline(&[began, at(60, LineKind::Outcome(Box::new(outcome.clone())))]).join("\n");
    for says in [
        "rolled back: 1.4.0 serves, all done after 0:01:00",
        "error_rate < 1%: 3% of 500 requests",
        "2,000,000 in all, 2,000 failed (0.10%), 0 refused",
        "never fewer than 10 available, never more than 11",
        "all held",
    ] {
        assert!(text.contains(says), "{says} is not in\n{text}");
    }
    outcome.violations = vec!["S1 at 5s: too few".to_owned()];
    let text = timeline(&[at(60, LineKind::Outcome(Box::new(outcome)))]).join("\n");
    assert!(text.contains("VIOLATION   S1 at 5s: too few") && !text.contains("all held"), "{text}");
}

#[test]
fn without_a_rollout_the_end_claims_no_time_for_one() {
    let mut outcome = OutcomeLine::of(&State::serving(Version::new(1, 4, 0), "hash", 10));
    let end = |outcome: &OutcomeLine| {
        let lines =
            [at(0, LineKind::Status(status(10))), at(0, LineKind::Outcome(Box::new(outcome.clone())))];
        timeline(&lines).join("\n")
    };
    assert!(end(&outcome).contains("promoted: 1.4.0 serves, nothing was started"), "{}", end(&outcome));
    (outcome.outcome, outcome.version) = ("paused", None);
    assert!(end(&outcome).contains("paused: nothing is promoted yet, nothing was started"));
}

#[test]
fn a_path_stays_whole() {
    let path = format!("/var/lib/{}/logs/1.5.0-abc-r1.log", "a-long-folder/".repeat(8));
    let rows =
        below_head(&[at(7, event("Trouble", "Trouble", &format!("exited with status 1; log: {path}")))]);
    assert!(rows.iter().any(|row| row.trim() == path), "{rows:#?}");
}
