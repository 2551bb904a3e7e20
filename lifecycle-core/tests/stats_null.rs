//! What the promise of each test rests on, by adding up every outcome of a look with its probability: while its null
//! hypothesis is true, E does not rise in expectation, whatever came before and however the look was chosen. (The rest is
//! Ville's inequality.)

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

use lifecycle_core::stats::multinomial::Multinomial;
use lifecycle_core::stats::truncated_beta::TruncatedBeta;
use lifecycle_core::stats::{
    Counts, EarlyPass, Evidence, Finite, GridTest, LatencyTest, Look, OBJECTIVES, ObjectiveTest,
};

fn counts(failed: u64, requests: u64) -> Counts {
    Counts::new(failed, requests).unwrap()
}

fn look([x_c, n_c, x_s, n_s]: [u64; 4]) -> Look {
    Look::new(counts(x_c, n_c), counts(x_s, n_s))
}

/// The probability that `x` of `n` happen, each with probability `p`.
fn chance(n: u64, x: u64, p: f64) -> f64 {
    let ways: f64 = (0..x).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    ways * p.powi(x as i32) * (1.0 - p).powi((n - x) as i32)
}

/// Every outcome of a look with its probability: requests and error rate of the canary and of stable.
fn outcomes(canary: (u64, f64), stable: (u64, f64)) -> impl Iterator<Item = ([u64; 4], f64)> {
    let ((n_c, p_c), (n_s, p_s)) = (canary, stable);
    (0..=n_c).flat_map(move |x_c| {
        (0..=n_s).map(move |x_s| ([x_c, n_c, x_s, n_s], chance(n_c, x_c, p_c) * chance(n_s, x_s, p_s)))
    })
}

#[track_caller]
fn assert_no_rise(expected: f64, before: f64, what: &str) {
    assert!(expected <= before * (1.0 + 1e-12), "{what}: {before} is {expected} in expectation");
}

/// Requests of the canary and of stable, and stable's error rate.
const LOOKS: [(u64, u64, f64); 6] =
    [(3, 7, 0.1), (6, 2, 0.3), (1, 12, 0.02), (5, 5, 0.6), (0, 4, 0.5), (4, 0, 0.5)];
/// Temper and tolerated ratio.
const TESTS: [(f64, f64); 4] = [(1.0, 1.0), (0.5, 1.0), (1.0, 1.5), (0.3, 3.0)];

#[test]
fn grid_s_while_the_canary_is_no_worse_than_is_tolerated() {
    for (temper, tolerated) in TESTS {
        let test = GridTest::of_rates(tolerated, temper).unwrap();
        for before in [vec![], vec![[1, 3, 0, 9], [0, 2, 2, 8]], vec![[3, 3, 0, 9]; 20]] {
            let mut evidence = Evidence::default();
            for counts in before {
                test.look(&mut evidence, look(counts));
            }
            for (n_c, n_s, rate) in LOOKS {
                // as bad as is tolerated, and better
                for canary in [rate * tolerated, rate * tolerated / 2.0, 0.0] {
                    let canary = canary.min(1.0);
                    let after = outcomes((n_c, canary), (n_s, rate));
                    let e = |counts| test.look(&mut evidence.clone(), look(counts)).exp();
                    let expected = after.map(|(counts, chance)| e(counts) * chance).sum();
                    let what = format!("{temper} {tolerated}: {n_c} {n_s} {canary} {rate}");
                    assert_no_rise(expected, evidence.ln_e().exp(), &what);
                }
            }
        }
    }
}

/// More traffic after a look without failures, less after one with them; the outage is in the second look.
#[test]
fn grid_s_over_looks_whose_shares_and_rates_depend_on_what_came_before() {
    for (temper, tolerated) in TESTS {
        let test = GridTest::of_rates(tolerated, temper).unwrap();
        let mut expected = 0.0;
        for (first, chance) in outcomes((2, 0.1 * tolerated), (6, 0.1)) {
            let mut evidence = Evidence::default();
            test.look(&mut evidence, look(first));
            let (n_c, n_s) = if first[0] == 0 { (6, 2) } else { (1, 7) };
            for (second, then) in outcomes((n_c, 0.3 * tolerated), (n_s, 0.3)) {
                expected += test.look(&mut evidence.clone(), look(second)).exp() * chance * then;
            }
        }
        assert_no_rise(expected, 1.0, &format!("{temper} {tolerated}"));
    }
}

/// Two looks of equal shares that are seen as one: other start weights, the same promise, also when the rates of the two
/// were others.
#[test]
fn grid_s_on_looks_that_were_merged() {
    for (temper, tolerated) in TESTS {
        let test = GridTest::of_rates(tolerated, temper).unwrap();
        for (first, second) in [(0.1, 0.1), (0.02, 0.3)] {
            let mut expected = 0.0;
            for (a, chance) in outcomes((2, first * tolerated), (4, first)) {
                for (b, then) in outcomes((3, second * tolerated), (6, second)) {
                    let merged = [a[0] + b[0], 5, a[2] + b[2], 10];
                    expected += test.look(&mut Evidence::default(), look(merged)).exp() * chance * then;
                }
            }
            assert_no_rise(expected, 1.0, &format!("{temper} {tolerated}: {first} {second}"));
        }
    }
}

#[test]
fn an_early_pass_while_the_canary_is_as_bad_as_is_to_be_ruled_out_or_worse() {
    for (bound, temper) in [(2.0, 1.0), (2.0, 0.5), (1.5, 1.0), (10.0, 0.3)] {
        let test = EarlyPass::new(bound, temper).unwrap();
        for before in [vec![], vec![[0, 5, 3, 9], [1, 5, 4, 9]]] {
            let mut sum = Finite::default();
            for counts in before {
                test.look(&mut sum, look(counts));
            }
            for (n_c, n_s, rate) in LOOKS {
                let rate = rate / bound;
                for canary in [rate * bound, (rate * bound * 2.0).min(1.0)] {
                    let l = |counts| test.look(&mut sum.clone(), look(counts)).exp();
                    let after = outcomes((n_c, canary), (n_s, rate));
                    let expected = after.map(|(counts, chance)| l(counts) * chance).sum();
                    let what = format!("{bound} {temper}: {n_c} {n_s} {canary} {rate}");
                    assert_no_rise(expected, sum.get().exp(), &what);
                }
            }
        }
    }
}

/// Of fast, slower and slow requests, the same in both arms.
#[test]
fn latency_while_both_arms_are_as_slow() {
    let split = |n: u64, shares: [f64; 3]| {
        (0..=n).flat_map(move |slow| {
            (0..=n - slow).map(move |slower| {
                let chance = chance(n, slow, shares[2])
                    * chance(n - slow, slower, (shares[1] / (shares[0] + shares[1])).min(1.0));
                ([n - slow - slower, n - slow, n], chance)
            })
        })
    };
    for (temper, tolerated) in [(1.0, 1.0), (0.5, 1.0), (1.0, 1.2)] {
        let test = LatencyTest::new(vec![0, 1], tolerated, temper).unwrap();
        let mut before = Vec::new();
        let started = test.look(&mut before, &[1, 2, 3], &[5, 8, 9]).unwrap();
        for (evidence, ln_e) in [(Vec::new(), 0.0), (before, started)] {
            for shares in [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]] {
                let mut expected = 0.0;
                for (canary, chance) in split(3, shares) {
                    for (stable, also) in split(6, shares) {
                        let e = test.look(&mut evidence.clone(), &canary, &stable).unwrap().exp();
                        expected += e * chance * also;
                    }
                }
                assert_no_rise(expected, ln_e.exp(), &format!("{temper} {tolerated}: {shares:?}"));
            }
        }
    }
}

#[test]
fn an_objective_while_it_is_kept() {
    for (objective, temper) in [(0.01, 1.0), (0.01, 0.4), (0.3, 1.0), (0.9, 0.5)] {
        let test = ObjectiveTest::on(&OBJECTIVES, objective, temper).unwrap();
        for (failed, requests) in [(0, 0), (3, 40), (40, 40)] {
            let before = test.ln_e(counts(failed, requests)).exp();
            let expected = |n: u64, rate: f64| -> f64 {
                let e = |x| test.ln_e(counts(failed + x, requests + n)).exp() * chance(n, x, rate);
                (0..=n).map(e).sum()
            };
            for rate in [objective, objective / 3.0, 0.0] {
                let what = format!("{objective} {temper}: {failed} of {requests}, then {rate}");
                assert_no_rise(expected(20, rate), before, &what);
            }
            // no evidence is given away: at the objective itself, E stays what it is
            let lost = if temper == 1.0 { before - expected(20, objective) } else { 0.0 };
            assert!(lost.abs() <= 1e-9 * before, "{objective}: {lost} of {before}");
        }
    }
}

/// With fixed shares, E is 1 in expectation, neither more nor less.
#[test]
fn tests_of_shares_while_failures_come_as_requests_do() {
    for (share, k, n) in [(0.1, 100.0, 30), (0.5, 2.0, 10), (0.02, 10.0, 40), (0.9, 5.0, 25)] {
        let both = Multinomial::new(vec![share, 1.0 - share], k).unwrap();
        let one = TruncatedBeta::new(share, k).unwrap();
        let expected = |rate: f64, ln_e: &dyn Fn(u64) -> f64| -> f64 {
            (0..=n).map(|x| ln_e(x).exp() * chance(n, x, rate)).sum()
        };
        let two_sided = |x| both.ln_e(&[x, n - x]).unwrap();
        let one_sided = |x| one.ln_e(x, n - x).unwrap();
        for is in [expected(share, &two_sided), expected(share, &one_sided)] {
            assert!((is - 1.0).abs() < 1e-9, "{share} {k}: {is}");
        }
        assert_no_rise(expected(share / 2.0, &one_sided), 1.0, "fewer failures than requests");
    }
}
