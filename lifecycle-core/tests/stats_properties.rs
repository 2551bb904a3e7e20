//! The sequential tests on whatever counts there may be: a state that is stored, looks that are merged, numbers beyond a
//! double.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

use lifecycle_core::stats::multinomial::{Multinomial, Totals};
use lifecycle_core::stats::truncated_beta::TruncatedBeta;
use lifecycle_core::stats::{
    Counts, Dispersion, EarlyPass, Evidence, Finite, GridTest, Halves, LatencyTest, Look, ObjectiveTest,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// As many requests as a trillion, few or none.
fn arm() -> impl Strategy<Value = Counts> {
    let requests = prop_oneof![Just(0_u64), 0..20_u64, 0..100_000_u64, 0..=1_000_000_000_000_u64];
    let failed = prop_oneof![Just(0.0), Just(1.0), 0.0..0.01, 0.0..=1.0];
    (requests, failed).prop_map(|(n, share)| Counts::new((n as f64 * share) as u64, n).unwrap())
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    vec((arm(), arm()).prop_map(|(canary, stable)| Look::new(canary, stable)), 1..20)
}

fn test() -> impl Strategy<Value = GridTest> {
    (1.0..900.0, 0.01..=1.0).prop_map(|(r0, eta)| GridTest::of_rates(r0, eta).unwrap())
}

/// What is read back of what was stored.
fn stored<T: Serialize + DeserializeOwned>(state: &T) -> T {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn whatever_was_counted_ln_e_is_finite(looks in looks(), test in test(), temper in 0.01..=1.0, bound in 1.01..100.0) {
        let early = EarlyPass::new(bound, temper).unwrap();
        let (mut evidence, mut sum) = (Evidence::default(), Finite::default());
        for look in &looks {
            let ln_e = test.look(&mut evidence, *look);
            // the reserve of the start weights is never spent
            let reserve = -(2.0 * evidence.looks() as f64).ln();
            prop_assert!(ln_e.is_finite() && ln_e >= reserve - 1e-9, "{ln_e} {reserve}");
            prop_assert!(early.look(&mut sum, *look).is_finite());
            let objective = ObjectiveTest::new(temper.min(0.999), temper).unwrap();
            prop_assert!(objective.ln_e(look.canary).is_finite());
        }
        let halves: Vec<Halves> = looks.iter().map(|look| Halves { a: look.canary, b: look.stable }).collect();
        let is = Dispersion::of(&halves);
        prop_assert!(is.phi.is_finite() && is.phi >= 1.0 && is.temper() > 0.0, "{is:?}");
    }

    /// A restart after any look changes nothing, to the bit, and neither does a replay of all looks.
    #[test]
    fn what_is_stored_in_between_is_what_is_gone_on_with(looks in looks(), test in test(), restarts in vec(any::<bool>(), 20)) {
        let early = EarlyPass::new(2.0, 0.5).unwrap();
        let all = |restarts: &[bool]| {
            let (mut evidence, mut sum, mut all) = (Evidence::default(), Finite::default(), Vec::new());
            for (look, restart) in looks.iter().zip(restarts) {
                if *restart {
                    (evidence, sum) = (stored(&evidence), stored(&sum));
                }
                all.push((test.look(&mut evidence, *look).to_bits(), early.look(&mut sum, *look).to_bits()));
            }
            (evidence, sum, all)
        };
        prop_assert_eq!(all(&restarts), all(&[false; 20]));
        prop_assert_eq!(all(&[true; 20]), all(&[false; 20]));
    }

    /// The same of the buckets of a histogram.
    #[test]
    fn latency_goes_on_with_what_is_stored(looks in vec(vec(0..1000_u64, 6), 1..10), restarts in vec(any::<bool>(), 10)) {
        let test = LatencyTest::new(vec![0, 1], 1.0, 1.0).unwrap();
        let all = |restarts: &[bool]| {
            let (mut evidence, mut all) = (Vec::<Evidence>::new(), Vec::new());
            for (look, restart) in looks.iter().zip(restarts) {
                if *restart {
                    evidence = stored(&evidence);
                }
                let mut look = look.clone();
                let (canary, stable) = look.split_at_mut(3);
                canary.sort_unstable();
                stable.sort_unstable();
                all.push(test.look(&mut evidence, canary, stable).unwrap().to_bits());
            }
            all
        };
        prop_assert_eq!(all(&restarts), all(&[false; 10]));
    }

    /// The likelihood ratio of two looks in which the canary had the same share of the requests is that of both as one:
    /// how finely time is cut changes the start weights, and nothing else. (That a merged look keeps the promise is in
    /// `stats_null.rs`.)
    #[test]
    fn looks_of_equal_shares_have_the_likelihood_ratio_of_both_as_one(
        test in test(),
        (n_c, n_s) in (1..1000_u64, 1..1000_u64),
        parts in vec((1..20_u64, 0.0..=1.0, 0.0..=1.0), 2..6),
    ) {
        let look = |(times, canary, stable): (u64, f64, f64)| {
            let arm = |n: u64, share: f64| Counts::new((n as f64 * share) as u64, n).unwrap();
            Look::new(arm(n_c * times, canary), arm(n_s * times, stable))
        };
        let parts: Vec<Look> = parts.into_iter().map(look).collect();
        let sum = |of: fn(&Look) -> Counts| {
            let (failed, requests) = parts.iter().map(of).fold((0, 0), |(x, n), c| (x + c.failed, n + c.requests));
            Counts::new(failed, requests).unwrap()
        };
        let merged = Look::new(sum(|look| look.canary), sum(|look| look.stable));
        let apart = parts.iter().fold(vec![0.0; 11], |sums, part| {
            sums.iter().zip(test.ratios(*part)).map(|(sum, ratio)| sum + ratio).collect()
        });
        let failed = (merged.canary.failed + merged.stable.failed) as f64;
        for (apart, merged) in apart.iter().zip(test.ratios(merged)) {
            prop_assert!((apart - merged).abs() <= 1e-12 * failed.max(1.0) * 10.0, "{apart} {merged}");
        }
        let early = EarlyPass::new(2.0, 1.0).unwrap();
        let (mut apart, mut at_once) = (Finite::default(), Finite::default());
        parts.iter().for_each(|part| { early.look(&mut apart, *part); });
        early.look(&mut at_once, merged);
        prop_assert!((apart.get() - at_once.get()).abs() <= 1e-12 * failed.max(1.0), "{apart:?} {at_once:?}");
    }

    #[test]
    fn tests_of_shares_stay_finite(
        (canary, stable) in (0..=1_000_000_u64, 0..=1_000_000_u64),
        share in 0.0001..0.9999,
        k in -6.0..6.0_f64,
        counts in vec(0..=1_000_000_000_000_u64, 3),
    ) {
        let k = k.exp2();
        prop_assert!(TruncatedBeta::new(share, k).unwrap().ln_e(canary, stable).unwrap().is_finite());
        let test = Multinomial::new(vec![share / 2.0, share / 2.0, 1.0 - share], k).unwrap();
        let mut totals = Totals::default();
        prop_assert!(test.look(&mut totals, &counts).unwrap().is_finite());
        prop_assert!((0.0..=1.0).contains(&totals.p()));
        prop_assert!(test.look(&mut totals, &[u64::MAX; 3]).unwrap().is_finite());
    }
}

/// The integral itself, by the trapezoidal rule, where the tail is a good part of it and where it is next to nothing.
#[test]
fn the_truncated_beta_is_the_integral_that_it_says() {
    for (canary, stable, share, k) in [
        (10, 90, 0.1, 100.0),
        (60, 40, 0.3, 20.0),
        (0, 50, 0.5, 10.0),
        (3, 200, 0.2, 30.0),
        (1, 0, 0.01, 200.0),
    ] {
        let (a, b) = (k * share, k * (1.0 - share));
        let (x_c, x_s) = (f64::from(canary), f64::from(stable));
        let prior = |p: f64| (a - 1.0) * (p / share).ln() + (b - 1.0) * ((1.0 - p) / (1.0 - share)).ln();
        let ratio = |p: f64| x_c * (p / share).ln() + x_s * ((1.0 - p) / (1.0 - share)).ln();
        let parts = 400_000;
        let integral = |ln: &dyn Fn(f64) -> f64| -> f64 {
            let at = |i: i32| share + (1.0 - share) * f64::from(i) / f64::from(parts);
            (1..parts).map(|i| ln(at(i)).exp()).sum::<f64>() + ln(share).exp() / 2.0
        };
        let wanted = (integral(&|p| prior(p) + ratio(p)) / integral(&prior)).ln();
        let is = TruncatedBeta::new(share, k).unwrap().ln_e(canary as u64, stable as u64).unwrap();
        assert!((is - wanted).abs() < 1e-6, "{canary} {stable} {share} {k}: {is} is not {wanted}");
    }
}

/// E has more than 300 digits long before a bad canary is gone.
#[test]
fn evidence_beyond_a_double_goes_on_growing() {
    let test = GridTest::of_rates(1.0, 1.0).unwrap();
    let bad = Look::new(Counts::new(500, 1_000).unwrap(), Counts::new(10, 9_000).unwrap());
    let (mut evidence, mut last) = (Evidence::default(), 0.0);
    for _ in 0..1_000 {
        let ln_e = test.look(&mut evidence, bad);
        assert!(ln_e.is_finite() && ln_e > last, "{ln_e} after {last}");
        last = ln_e;
    }
    assert!(last.exp().is_infinite() && evidence.exceeds(f64::MIN_POSITIVE), "{last}");
    // and falls again while it is well
    let well = Look::new(Counts::new(0, 1_000).unwrap(), Counts::new(100, 9_000).unwrap());
    assert!(test.look(&mut evidence, well) < last);
}

/// Failures of a billion requests: the powers cancel, and the continued fraction ends.
#[test]
fn as_many_failures_as_are_accepted_are_tested() {
    let most = 1_000_000_000;
    for (canary, stable) in [(most, most), (0, most), (most, 0), (most / 10, most), (most / 9, most)] {
        let ln_e = TruncatedBeta::new(0.1, 100.0).unwrap().ln_e(canary, stable).unwrap();
        assert!(ln_e.is_finite(), "{canary} {stable}: {ln_e}");
    }
}
