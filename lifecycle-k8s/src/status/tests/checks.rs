//! What each check said last.

use lifecycle_core::analysis::{Finite, Measurement};
use lifecycle_core::machine::Look;
use lifecycle_core::time::Timestamp as At;

use super::super::checks;
use super::*;

fn at(seconds: u64) -> At {
    At::from_millis((1_000_000_000 + seconds) * 1000 + 400)
}

fn pass() -> Measurement {
    Measurement::Pass(Finite::new(0.001).unwrap())
}

/// A look after so many seconds, at what was counted in them.
fn look(seconds: u64, measurement: Measurement, message: &str) -> Look {
    Look::new(at(seconds), "error_rate < 1%", message).measured(measurement, Some(Millis::from_secs(seconds)))
}

fn idle(seconds: u64, message: &str) -> Look {
    Look::new(at(seconds), "error_rate < 1%", message)
}

/// Verdict, message, and the seconds: since, at, counted from.
fn told(status: &CheckStatus) -> (&str, &str, i64, i64, Option<i64>) {
    let seconds = |time: &Time| time.0.as_second() - 1_000_000_000;
    let CheckStatus { verdict, message, since, at, counted_from, .. } = status;
    (verdict, message, seconds(since), seconds(at), counted_from.as_ref().map(seconds))
}

#[test]
fn a_check_is_told_with_its_numbers_and_since_when_it_says_so() {
    let mut known = Vec::new();
    for (look, wanted) in [
        (idle(1, "no requests yet"), ("Uncounted", "no requests yet", 1, 1, None)),
        // nothing new: nothing to write
        (idle(5, "no requests yet"), ("Uncounted", "no requests yet", 1, 1, None)),
        (idle(7, "too early"), ("Uncounted", "too early", 7, 7, None)),
        (look(10, Measurement::Waiting, "20"), ("Waiting", "20", 10, 10, Some(0))),
        (look(20, pass(), "0.1% of 500"), ("Pass", "0.1% of 500", 20, 20, Some(0))),
        (look(30, pass(), "0.1% of 900"), ("Pass", "0.1% of 900", 20, 30, Some(0))),
        (look(40, Measurement::Fail(Finite::default()), "3%"), ("Fail", "3%", 40, 40, Some(0))),
        (look(50, pass(), "0.9%"), ("Pass", "0.9%", 50, 50, Some(0))),
    ] {
        known = checks(&known, &[look], None);
        assert_eq!(known.iter().map(told).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_look_that_did_not_count_leaves_what_was_measured_in_this_step() {
    let began = Some(at(0));
    let passed = checks(&[], &[look(10, pass(), "0.1% of 500")], began);
    let idle_then = checks(&passed, &[idle(15, "nothing was counted of one of the versions for 5s")], began);
    assert_eq!(idle_then, passed, "nothing to write");
    let again = checks(&idle_then, &[look(20, pass(), "0.1% of 900")], began);
    assert_eq!(again.iter().map(told).collect::<Vec<_>>(), [("Pass", "0.1% of 900", 10, 20, Some(0))]);
    assert_eq!(checks(&again, &[idle(25, "no requests yet")], None), again, "nobody knows when it began");

    // what the step before has measured says nothing of this one; the look that ended it is of the same second
    let next = checks(&again, &[idle(21, "no requests yet")], Some(at(20)));
    assert_eq!(next.iter().map(told).collect::<Vec<_>>(), [("Uncounted", "no requests yet", 21, 21, None)]);
    let measured = checks(&next, &[look(30, pass(), "0% of 20")], Some(at(20)));
    assert_eq!(measured.iter().map(told).collect::<Vec<_>>(), [("Pass", "0% of 20", 30, 30, Some(0))]);
    assert_eq!(checks(&measured, &[idle(35, "no requests yet")], Some(at(20))), measured);
}

#[test]
fn each_check_keeps_its_place() {
    let of = |check: &str, seconds| Look::new(at(seconds), check, "said").measured(pass(), None);
    let first = checks(&[], &[of("a < 1", 1), of("b < 1", 1)], None);
    let then = checks(&first, &[of("b < 1", 2)], None);
    let names = |all: &[CheckStatus]| -> Vec<String> { all.iter().map(|said| said.check.clone()).collect() };
    assert_eq!(names(&then), ["a < 1", "b < 1"]);
    assert_eq!((told(&then[0]).3, told(&then[1]).3), (1, 2));
}

#[test]
fn what_is_written_is_bounded_whatever_a_source_says() {
    let long = "ü".repeat(100_000);
    let looks: Vec<Look> =
        (0..1000).map(|n| Look::new(at(n), format!("query_{n}_{long} < 1"), long.as_str())).collect();
    let all = checks(&checks(&[], &looks, None), &looks, None);
    assert_eq!(all.len(), 64);
    assert!(all.iter().all(|said| said.message.len() <= 512 && said.check.len() <= 256));
    assert!(serde_json::to_string(&all).unwrap().len() < 64 * 1024);
}

#[test]
fn the_checks_are_shown_while_a_rollout_is_on_its_way_and_after_one_that_was_left() {
    let known = checks(&[], &[look(10, pass(), "0.1% of 500")], None);
    let with = |state: &State, checks: Option<&[CheckStatus]>| {
        let before = AgentDeploymentStatus { checks: known.clone(), ..Default::default() };
        render(&before, Seen { checks, ..Seen::of(state) }, now(20)).checks
    };
    let newer = checks(&known, &[look(20, pass(), "0.1% of 900")], None);
    let failed = || BackReason::CheckFailed("error_rate 20%".into());
    for state in [
        rollout(MachinePhase::Progressing),
        rollout(MachinePhase::Promoting),
        going_back(failed()),
        gone_back(Outcome::RolledBack),
    ] {
        assert_eq!(with(&state, Some(&newer)), newer, "{:?}", state.phase);
        assert_eq!(with(&state, None), known, "nothing was said since: {:?}", state.phase);
        assert_eq!(with(&state, Some(&[])), [], "another one begins: {:?}", state.phase);
    }
    assert_eq!(with(&ended(at_rest(3, 0), Outcome::Promoted, "every gate passed"), Some(&newer)), []);
}
