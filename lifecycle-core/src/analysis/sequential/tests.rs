use std::sync::Arc;

use super::*;
use crate::analysis::{Check, Measurement, MeasurementError, NoBound};
use crate::backend::{Counted, Histogram, Increase, Mark, Reading};
use crate::stats::{Alpha, Counts, Evidence, GridTest, Look};
use crate::time::Millis;

const LOOK: Millis = Millis::from_secs(10);

fn check(text: &str) -> Check {
    text.parse().unwrap()
}

fn judge(text: &str, rules: Sequential) -> SequentialJudge {
    let question = Question::of(&check(text)).unwrap();
    SequentialJudge { question, rules, alpha: rules.alpha, full: false, min_requests: 500 }
}

fn rules(alpha: f64) -> Sequential {
    Sequential::new(Alpha::new(alpha).unwrap())
}

fn counts(failed: u64, requests: u64) -> Counted {
    Counted::Requests(Counts::new(failed, requests).unwrap())
}

fn said(until: i64, counted: Option<Counted>) -> Result<Reading, String> {
    Ok(Reading::Increase(Increase::new(Mark(until), counted)))
}

/// A judge at work: time goes on by itself.
struct Bench {
    judge: SequentialJudge,
    state: SequentialState,
    now: i64,
}

impl Bench {
    fn new(text: &str, rules: Sequential) -> Self {
        let mut bench = Self { judge: judge(text, rules), state: SequentialState::default(), now: 0 };
        bench.state.temper_given(1.0);
        assert_eq!(
            bench.look(counts(0, 0), Some(counts(0, 0))),
            None,
            "the first answer only says from when on"
        );
        bench
    }

    fn look(&mut self, canary: Counted, stable: Option<Counted>) -> Option<Measurement> {
        self.now += 10_000;
        let (canary, stable) =
            (said(self.now, Some(canary)), stable.map(|stable| said(self.now, Some(stable))));
        self.judge.look(&mut self.state, Some(&canary), stable.as_ref().map(Some), LOOK)
    }
}

#[test]
fn checks_that_count_requests_are_questions_and_no_others() {
    for text in [
        "error_rate < 1%",
        "success_rate > 95%",
        "error_rate <= 1x stable",
        "error_rate < 2x baseline",
        "p95_latency < 500ms",
        "latency_p99_canary <= 1.2x stable",
        "p50_latency < 2x baseline",
    ] {
        assert!(Question::of(&check(text)).is_some(), "{text}");
    }
    for text in [
        "no_critical_alerts",
        "error_rate > 1%",
        "error_rate < 0%",
        "error_rate < 100%",
        "error_rate < 0.5x stable",
        "error_rate < 1000x stable",
        "success_rate > 0.9x stable",
        "p95_latency > 5ms",
        "queue < 10",
        "request_rate > 10/s",
        "error_rate_stable < 5%",
    ] {
        assert!(Question::of(&check(text)).is_none(), "{text}");
    }
}

#[test]
fn the_evidence_is_that_of_the_grid_test() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    let test = GridTest::of_rates(1.0, 1.0).unwrap();
    let mut evidence = Evidence::default();
    for (canary, stable) in [((0, 300), (1, 2700)), ((2, 310), (0, 2690)), ((1, 290), (3, 2710))] {
        bench.look(counts(canary.0, canary.1), Some(counts(stable.0, stable.1)));
        let of = |(failed, requests)| Counts::new(failed, requests).unwrap();
        let ln_e = test.look(&mut evidence, Look::new(of(canary), of(stable)));
        // (what is shown is never below what nothing at all is worth)
        assert!((bench.state.together() - ln_e).abs() < 1e-12);
    }
}

#[test]
fn enough_evidence_fails_whatever_the_number_of_requests_and_stays() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    let bad = bench.look(counts(20, 100), Some(counts(1, 900)));
    assert!(matches!(bad, Some(Measurement::Fail(_))), "{bad:?}");
    for _ in 0..100 {
        let good = bench.look(counts(0, 1000), Some(counts(9, 9000)));
        assert!(matches!(good, Some(Measurement::Fail(_))), "{good:?}");
    }
    assert!(bench.state.has_failed());
}

#[test]
fn a_canary_passes_once_it_has_had_enough_requests() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    assert_eq!(bench.look(counts(0, 499), Some(counts(4, 4500))), Some(Measurement::Waiting));
    assert!(matches!(bench.look(counts(1, 1), Some(counts(0, 10))), Some(Measurement::Pass(_))));
}

#[test]
fn a_look_without_requests_of_one_arm_is_counted_with_the_next_one() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    let mark = bench.state.mark;
    assert_eq!(bench.look(counts(0, 0), Some(counts(1, 900))), None);
    assert_eq!(bench.look(counts(1, 100), Some(counts(0, 0))), None);
    assert_eq!((bench.state.mark, bench.state.evidence.len()), (mark, 0), "nothing was taken");
    for _ in 0..3 {
        assert_eq!(bench.look(counts(0, 0), Some(counts(1, 900))), None);
    }
    let quiet = bench.look(counts(0, 0), Some(counts(1, 900)));
    assert_eq!(quiet, Some(Measurement::NoData), "a minute of silence is no data");
    assert!(matches!(bench.look(counts(1, 700), Some(counts(6, 6300))), Some(Measurement::Pass(_))));
    assert_eq!((bench.state.mark, bench.state.silent), (Some(Mark(bench.now)), Millis::ZERO));
}

#[test]
fn what_cannot_be_counted_is_named_and_the_next_look_goes_on() {
    let error = |error| Some(Measurement::Error(error));
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    let now = bench.now;
    let cases = [
        (said(now + 1, None), said(now + 1, Some(counts(1, 9))), error(MeasurementError::CounterReset)),
        (said(now + 2, Some(counts(1, 9))), said(now + 2, None), error(MeasurementError::CounterReset)),
        (
            said(now + 3, Some(counts(1, 9))),
            said(now + 4, Some(counts(1, 9))),
            error(MeasurementError::DifferentTimes),
        ),
        (
            said(now - 5, Some(counts(1, 9))),
            said(now - 5, Some(counts(1, 9))),
            error(MeasurementError::ClockWentBack),
        ),
        (Err("503".to_owned()), said(now, Some(counts(1, 9))), error(MeasurementError::SourceFailed)),
        (said(now, Some(counts(1, 9))), Err("503".to_owned()), error(MeasurementError::SourceFailed)),
        (Ok(Reading::NoData), said(now, Some(counts(1, 9))), Some(Measurement::NoData)),
        (Ok(Reading::Scalar(f64::NAN)), said(now, None), error(MeasurementError::WrongKind)),
        (
            said(now + 5, Some(Counted::Durations(Histogram::new([1].as_slice().into(), vec![1, 2])))),
            said(now + 5, Some(counts(1, 9))),
            error(MeasurementError::WrongKind),
        ),
    ];
    for (canary, stable, wanted) in cases {
        let said = bench.judge.look(&mut bench.state, Some(&canary), Some(Some(&stable)), LOOK);
        assert_eq!(said, wanted, "{canary:?} {stable:?}");
        assert!(bench.state.evidence.is_empty(), "{canary:?} {stable:?}");
    }
    assert!(bench.look(counts(0, 100), Some(counts(1, 900))).is_some());
}

#[test]
fn the_time_of_an_outage_is_counted_with_the_requests_that_came_in_it() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.look(counts(0, 100), Some(counts(1, 900)));
    for _ in 0..3 {
        let down = Err("503".to_owned());
        bench.now += 10_000;
        bench.judge.look(&mut bench.state, Some(&down), Some(Some(&down)), LOOK);
        assert_eq!(bench.state.counted, LOOK);
    }
    bench.look(counts(0, 400), Some(counts(4, 3600)));
    assert_eq!(bench.state.counted, Millis(LOOK.get() * 5));
    // what came before a counter began anew is lost, and so is its time
    let reset = said(bench.now + 10_000, None);
    bench.judge.look(&mut bench.state, Some(&reset), Some(Some(&reset)), LOOK);
    bench.now += 10_000;
    bench.look(counts(0, 100), Some(counts(1, 900)));
    assert_eq!(bench.state.counted, Millis(LOOK.get() * 6));
}

#[test]
fn a_short_step_does_not_replace_what_more_requests_have_said_of_stable() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.look(counts(0, 100), Some(counts(1, 900)));
    let short =
        SequentialState { base: [Counts::new(90, 90_000).unwrap()].into_iter().collect(), ..bench.state };
    assert_eq!(short.anew().base[..], [Counts::new(90, 90_000).unwrap()]);
    let long = SequentialState { base: [Counts::new(1, 100).unwrap()].into_iter().collect(), ..bench.state };
    assert_eq!(long.anew().base[..], [Counts::new(1, 900).unwrap()]);
}

#[test]
fn held_against_next_to_nothing_nothing_passes() {
    let verdict = |failed, requests| {
        let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
        bench.judge.full = true;
        bench.state.base = [Counts::new(failed, requests).unwrap()].into_iter().collect();
        bench.look(counts(0, 1000), None)
    };
    assert_eq!(verdict(0, 10), Some(Measurement::Waiting));
    assert!(matches!(verdict(0, 1000), Some(Measurement::Pass(_))));
    // (whatever it is, no more than all requests can fail)
    assert!(matches!(verdict(10, 10), Some(Measurement::Pass(_))));
}

#[test]
fn a_bound_of_stable_errs_in_all_bounds_together_and_allows_for_clumps() {
    let counts = Counts::new(90, 90_000).unwrap();
    let alpha = Alpha::DEFAULT;
    let highest = |parts, temper| counts.highest_rate(alpha.shared_by(parts), temper).unwrap();
    assert!(highest(4, 1.0) > highest(1, 1.0) && highest(1, 0.2) > highest(1, 1.0));
    // so many clumps of five, by the same bound
    let clumps = Counts::new(18, 18_000).unwrap().highest_rate(alpha, 1.0).unwrap();
    assert!((highest(1, 0.2) - clumps).abs() < 1e-12);
}

#[test]
fn with_a_number_the_canary_alone_is_judged() {
    let mut bench = Bench::new("success_rate > 99%", rules(0.01));
    assert!(matches!(bench.look(counts(9, 1000), None), Some(Measurement::Pass(_))));
    let bad = bench.look(counts(80, 1000), None);
    assert!(matches!(bad, Some(Measurement::Fail(value)) if (value.get() - 0.0445).abs() < 1e-9), "{bad:?}");
}

#[test]
fn when_stable_has_no_traffic_what_it_measured_before_is_the_number() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.judge.full = true;
    let question = bench.judge.question;
    assert!(!bench.state.is_prepared(question));
    bench.state.take_base(question, &Reading::Counts { requests: 100_000, failed: 100 });
    assert!(bench.state.is_prepared(question));
    for _ in 0..20 {
        let good = bench.look(counts(1, 1000), None);
        assert!(matches!(good, Some(Measurement::Pass(_))), "{good:?}");
    }
    let bad = bench.look(counts(50, 5000), None);
    assert!(matches!(bad, Some(Measurement::Fail(_))), "{bad:?}");
}

#[test]
fn a_step_of_all_traffic_needs_more_evidence_for_each_of_its_tests() {
    let needed = |full: bool, text: &str| {
        let mut bench = Bench::new(text, rules(0.01));
        bench.judge.full = full;
        bench.state.take_base(bench.judge.question, &Reading::Counts { requests: 9000, failed: 9 });
        bench.look(counts(0, 100), (!text.contains('%')).then(|| counts(0, 900)));
        bench.state.ln_needed.get().exp().round()
    };
    assert_eq!(needed(false, "error_rate <= 1x stable"), 100.0);
    assert_eq!(
        needed(true, "error_rate <= 1x stable"),
        300.0,
        "with stable, without it, and what it measured"
    );
    assert_eq!(needed(true, "error_rate < 1%"), 100.0);
}

/// A thousand requests, of which so many took longer than 100 and 120 ms.
fn durations(over_100: u64, over_120: u64) -> Histogram {
    let bounds: Arc<[u64]> = [50_000, 100_000, 120_000, 500_000].as_slice().into();
    Histogram::new(bounds, vec![500, 500 - over_100, over_100 - over_120, over_120, 0])
}

#[test]
fn a_factor_of_a_latency_lies_between_the_bounds_that_are_compared() {
    let slower = |text: &str, over_120: u64| {
        let mut bench = Bench::new(text, rules(0.01));
        bench.state.take_base(bench.judge.question, &Reading::Histogram(durations(50, 20)));
        let mut last = None;
        for _ in 0..10 {
            let canary = Counted::Durations(durations(300, over_120));
            last = bench.look(canary, Some(Counted::Durations(durations(50, 20))));
        }
        last
    };
    // 30 % of the canary's requests take longer than 100 ms, where 5 % of stable's do
    assert!(matches!(slower("p95_latency <= 1x stable", 20), Some(Measurement::Fail(_))));
    // and no more than 5 % take longer than 1.2 times that
    assert!(matches!(slower("p95_latency <= 1.2x stable", 20), Some(Measurement::Pass(_))));
    assert!(matches!(slower("p95_latency <= 1.2x stable", 200), Some(Measurement::Fail(_))));
}

#[test]
fn a_latency_against_a_number_takes_the_bounds_of_the_canary() {
    let mut bench = Bench::new("p95_latency < 110ms", rules(0.01));
    assert!(matches!(bench.look(Counted::Durations(durations(300, 20)), None), Some(Measurement::Pass(_))));
    assert!(matches!(bench.look(Counted::Durations(durations(300, 200)), None), Some(Measurement::Fail(_))));
    let mut beyond = Bench::new("p95_latency < 2s", rules(0.01));
    let said = beyond.look(Counted::Durations(durations(300, 200)), None);
    let ends = NoBound::Ends { lowest_us: 50_000, highest_us: 500_000 };
    assert_eq!(said, Some(Measurement::Error(MeasurementError::NoBound(ends))));
    let bounded = Histogram::new([5_000_000].as_slice().into(), vec![1000, 0]);
    let said = beyond.look(Counted::Durations(bounded), None);
    assert!(matches!(said, Some(Measurement::Pass(_))), "it has one now: {said:?}");
}

#[test]
fn the_temper_is_measured_on_halves_of_the_replicas_or_unknown() {
    let question = Question::of(&check("error_rate <= 1x stable")).unwrap();
    let tempered = |replicas: &[Vec<Counted>]| Temper::measured(question, &[], replicas);
    let bins = |failed: &[u64]| failed.iter().map(|failed| counts(*failed, 1000)).collect::<Vec<_>>();
    assert!(!tempered(&[]).known);
    assert!(!tempered(&[bins(&[1; 30])]).known, "one replica");
    assert!(!tempered(&[bins(&[1; 4]), bins(&[2; 4])]).known, "four bins");
    assert!(!tempered(&[bins(&[0; 30]), bins(&[0; 30])]).known, "no failure");
    let even = tempered(&[bins(&[5; 30]), bins(&[5; 30])]);
    assert!(even.known && even.eta.get() == 1.0, "{even:?}");
    let clumped = tempered(&[bins(&[10, 0, 10, 0, 10, 0, 10, 0]), bins(&[0, 10, 0, 10, 0, 10, 0, 10])]);
    assert!(
        (clumped.eta.get() - 1.0 / 15.0).abs() < 1e-9,
        "ten times as much, and a margin of a half: {clumped:?}"
    );
    let younger = tempered(&[bins(&[5; 30]), bins(&[5; 6])]);
    assert!(younger.known, "only bins that both halves have say something: {younger:?}");
}

#[test]
fn the_next_step_keeps_what_was_fixed_and_counts_anew() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.state.take_base(bench.judge.question, &Reading::Counts { requests: 1000, failed: 1 });
    for _ in 0..5 {
        bench.look(counts(1, 100), Some(counts(2, 900)));
    }
    let next = bench.state.anew();
    assert_eq!((next.temper, next.mark, next.evidence.len()), (bench.state.temper, None, 0));
    assert_eq!(next.base[..], [Counts::new(10, 4500).unwrap()], "what stable counted in the step before");
    assert_eq!(next.anew().base, next.base, "and where it counted nothing, what it did before");
}

#[test]
fn the_state_is_as_large_after_a_day_as_after_a_minute_and_survives_being_written() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.judge.rules.early_pass = Some(EarlyPassRule::new(2.0, Alpha::DEFAULT));
    let mut copy = None;
    let mut sizes = Vec::new();
    for look in 0..8640_u64 {
        let (ours, theirs) = (counts(u64::from(look % 7 == 0), 100 + look % 5), counts(look % 3, 900));
        bench.look(ours, Some(theirs));
        if look == 5 || look == 8639 {
            let text = serde_json::to_string(&bench.state).unwrap();
            sizes.push(text.len());
            copy = Some(serde_json::from_str::<SequentialState>(&text).unwrap());
        }
    }
    assert_eq!(copy.as_ref(), Some(&bench.state));
    assert!(sizes[1] < sizes[0] + 200, "{sizes:?}");
}

#[test]
fn a_certificate_is_given_when_every_bound_rules_the_ratio_out() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.judge.rules.early_pass = Some(EarlyPassRule::new(3.0, Alpha::DEFAULT));
    let mut looks = 0;
    while !bench.state.certified && looks < 1000 {
        bench.look(counts(1, 1000), Some(counts(9, 9000)));
        looks += 1;
    }
    assert!((5..60).contains(&looks), "{looks} looks");
}

#[test]
fn a_sentence_has_what_was_compared_the_numbers_the_bound_and_since_when() {
    let mut bench = Bench::new("error_rate <= 1x stable", rules(0.01));
    bench.look(counts(20, 400), Some(counts(1, 900)));
    assert_eq!(
        say(&check("error_rate <= 1x stable"), &bench.judge, &bench.state),
        "error_rate 5% (20 of 400 requests), stable 0.1111% (1 of 900 requests) in 10s: evidence 10^7 of the 100 that \
         fail it"
    );
    bench.state.temper = Some(Temper::unknown());
    assert!(say(&check("error_rate <= 1x stable"), &bench.judge, &bench.state).ends_with(", untempered"));
}
