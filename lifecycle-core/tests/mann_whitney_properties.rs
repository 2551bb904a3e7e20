//! Mann-Whitney on whatever samples there may be: it is what its definition says, and never panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifecycle_core::stats::mann_whitney::{
    Class, Comparison, Direction, Effect, Interval, MAX_SAMPLES, Missing, Samples, common_language,
    mean_ratio, normal_quantile, outliers, statistic, without_outliers,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Few values, so that there are ties.
fn arm() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![vec((-8_i32..8).prop_map(|n| f64::from(n) / 4.0), 1..12), vec(-1e3_f64..1e3, 1..12)]
}

fn samples(values: &[f64]) -> Samples {
    Samples::new("values", values, Missing::Remove).unwrap()
}

fn of(canary: &[f64], baseline: &[f64], confidence: f64) -> Interval {
    Interval::of(&samples(canary), &samples(baseline), confidence).unwrap().unwrap()
}

fn differences(canary: &[f64], baseline: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = canary.iter().flat_map(|c| baseline.iter().map(move |b| c - b)).collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

fn class(canary: &[f64], baseline: &[f64]) -> Class {
    Comparison::new(0.9, 0.25).unwrap().classify(&samples(canary), &samples(baseline)).class
}

proptest! {
    /// The statistic itself, computed from ranks, is on the side of the quantile that each end promises.
    #[test]
    fn the_statistic_crosses_the_quantile_at_the_ends((c, b) in (arm(), arm()), confidence in 0.3_f64..0.999) {
        let (is, z) = (of(&c, &b, confidence), normal_quantile(confidence).unwrap());
        let all = differences(&c, &b);
        // half way to the next difference, where no pair is equal
        let beside = |end: f64, below: bool| {
            let other = match below {
                true => all.iter().rev().find(|other| **other < end),
                false => all.iter().find(|other| **other > end),
            };
            // (rounding makes neighbours of differences that are equal)
            let other = other.filter(|other| (**other - end).abs() > 1e-9);
            other.map(|other| statistic(&samples(&c), &samples(&b), f64::midpoint(end, *other)))
        };
        let is_some_and = |z: Option<f64>, holds: &dyn Fn(f64) -> bool| z.is_none_or(holds);
        prop_assert!(all.contains(&is.lower) && all.contains(&is.upper), "{is:?}");
        prop_assert!(is_some_and(beside(is.lower, true), &|at| at >= z - 1e-9), "{is:?}");
        prop_assert!(is_some_and(beside(is.lower, false), &|at| at <= z + 1e-9), "{is:?}");
        prop_assert!(is_some_and(beside(is.upper, true), &|at| at >= -z - 1e-9), "{is:?}");
        prop_assert!(is_some_and(beside(is.upper, false), &|at| at <= -z + 1e-9), "{is:?}");
    }

    #[test]
    fn the_estimate_is_the_median_of_the_differences_and_in_the_interval((c, b) in (arm(), arm())) {
        let (is, all) = (of(&c, &b, 0.9), differences(&c, &b));
        prop_assert_eq!(is.estimate, f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]));
        prop_assert!(is.lower <= is.estimate && is.estimate <= is.upper, "{is:?}");
        prop_assert!(of(&c, &b, 0.99).lower <= is.lower && is.upper <= of(&c, &b, 0.99).upper);
    }

    #[test]
    fn exchanged_arms_give_the_mirror_image((c, b) in (arm(), arm())) {
        let (is, mirrored) = (of(&c, &b, 0.9), of(&b, &c, 0.9));
        prop_assert_eq!((is.lower, is.upper, is.estimate), (-mirrored.upper, -mirrored.lower, -mirrored.estimate));
        let share = |c, b| common_language(&samples(c), &samples(b)).unwrap();
        prop_assert!((share(&c, &b) + share(&b, &c) - 1.0).abs() < 1e-12);
    }

    /// Kayenta's root search stops at an absolute distance, so that there a unit decides.
    #[test]
    fn the_class_does_not_depend_on_the_unit((c, b) in (arm(), arm()), power in -60_i32..60) {
        let unit = f64::from(power).exp2();
        let [in_unit, baseline] = [&c, &b].map(|arm| arm.iter().map(|value| value * unit).collect::<Vec<_>>());
        let (is, other) = (of(&c, &b, 0.9), of(&in_unit, &baseline, 0.9));
        prop_assert_eq!((is.lower * unit, is.upper * unit), (other.lower, other.upper));
        prop_assert_eq!(class(&c, &b), class(&in_unit, &baseline));
    }

    #[test]
    fn the_order_of_samples_does_not_matter(
        (c, b) in (arm(), arm()),
        shuffled in Just(()).prop_perturb(|(), mut rng| rng.random::<u64>()),
    ) {
        let mut other = c.clone();
        other.rotate_left(shuffled as usize % c.len());
        prop_assert_eq!(of(&c, &b, 0.9), of(&other, &b, 0.9));
        prop_assert_eq!(class(&c, &c), Class::Pass);
        prop_assert_eq!(class(&other, &c), Class::Pass);
    }

    /// Whatever bits there are.
    #[test]
    fn no_samples_make_it_panic(
        (c, b) in (vec(any::<f64>(), 0..20), vec(any::<f64>(), 0..20)),
        (confidence, tolerance, shift) in (any::<f64>(), any::<f64>(), any::<f64>()),
        (zero, reduced, language) in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let missing = if zero { Missing::Zero } else { Missing::Remove };
        let all_in_bounds = c.iter().chain(&b).all(|value| value.is_nan() || value.abs() <= 1e300);
        let arms = Samples::new("c", &c, missing).and_then(|c| Ok((c, Samples::new("b", &b, missing)?)));
        prop_assert_eq!(arms.is_ok(), all_in_bounds);
        let Ok((canary, baseline)) = arms else { return Ok(()) };
        let effect = if language { Effect::CommonLanguage } else { Effect::MeanRatio };
        let comparison = Comparison::new(confidence, tolerance).or_else(|_| Comparison::new(0.98, 0.25)).unwrap();
        let is = comparison.effect(effect).direction(Direction::Either).missing(missing).classify(&canary, &baseline);
        prop_assert!(is.effect.is_none_or(f64::is_finite), "{is:?}");
        let finite = |is: Interval| [is.lower, is.upper, is.estimate].iter().all(|end| end.is_finite());
        prop_assert!(is.interval.is_none_or(finite), "{is:?}");
        prop_assert_eq!(is.interval.is_none(), canary.is_empty() || baseline.is_empty());
        prop_assert!(mean_ratio(&canary, &baseline).is_none_or(f64::is_finite));
        prop_assert!(!shift.is_finite() || !statistic(&canary, &baseline, shift).is_infinite());
        let rest = without_outliers(&c, 3.0, reduced);
        prop_assert_eq!(rest.is_ok(), outliers(&c, 3.0, reduced).is_ok());
    }

    #[test]
    fn wider_fences_leave_no_fewer_samples(values in vec(-100.0_f64..100.0, 0..40), factor in 0.0_f64..3.0) {
        let outside = |factor, reduced| outliers(&values, factor, reduced).unwrap();
        let (all, wider, reduced) = (outside(factor, false), outside(factor + 1.0, false), outside(factor, true));
        prop_assert!(wider.iter().chain(&reduced).all(|at| all.contains(at)));
    }
}

#[test]
fn as_many_samples_as_are_accepted_are_compared() {
    let values =
        |shift: f64| -> Vec<f64> { (0..MAX_SAMPLES).map(|n| (n as f64 * 0.618).fract() + shift).collect() };
    let is = of(&values(0.5), &values(0.0), 0.98);
    assert!(is.lower > 0.49 && is.upper < 0.51 && (is.estimate - 0.5).abs() < 1e-3, "{is:?}");
    let constant = vec![7.0; MAX_SAMPLES];
    assert_eq!(of(&constant, &constant, 0.98), Interval { lower: 0.0, upper: 0.0, estimate: 0.0 });
}
