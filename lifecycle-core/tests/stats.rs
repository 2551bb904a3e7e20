//! The tables of `tests/vectors/stats-sequential.json`: every value to 1e-9, every alarm at its look. Other rows of the
//! same form can be put in.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;

use lifecycle_core::stats::multinomial::{Multinomial, Totals};
use lifecycle_core::stats::sprt::{Decision, Sprt};
use lifecycle_core::stats::truncated_beta::TruncatedBeta;
use lifecycle_core::stats::{
    Counts, Dispersion, EarlyPass, Evidence, Finite, GridTest, Halves, LATENCIES, LatencyTest, Look,
    OBJECTIVES, ObjectiveTest, RATES, objective,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    kind: String,
    #[serde(rename = "in")]
    given: Value,
    out: Value,
}

fn rows() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/stats-sequential.json");
    serde_json::from_slice::<Table>(&std::fs::read(path).unwrap()).unwrap().cases
}

fn cases(kind: &str) -> Vec<Case> {
    let cases: Vec<Case> = rows().into_iter().filter(|case| case.kind == kind).collect();
    assert!(!cases.is_empty(), "there is no {kind}");
    cases
}

#[test]
fn every_kind_of_row_is_known() {
    let known = [
        "grid-s",
        "grid-components",
        "early-pass",
        "slo-grid",
        "dispersion",
        "histogram",
        "sprt",
        "sprt-size",
        "multinomial",
        "multinomial-sequence",
        "truncated-beta",
    ];
    for case in rows() {
        assert!(known.contains(&&*case.kind), "{}", case.kind);
    }
}

fn get<T: DeserializeOwned>(of: &Value, field: &str) -> T {
    serde_json::from_value(of[field].clone()).unwrap_or_else(|error| panic!("{field}: {error} in {of}"))
}

#[track_caller]
fn assert_close(is: f64, wanted: f64, what: &str) {
    let most = 1e-9 * wanted.abs().max(1.0);
    assert!((is - wanted).abs() <= most, "{what}: {is} is not {wanted}");
}

/// `1`, `1/2`.
fn share(of: &Value, field: &str) -> f64 {
    let text: String = get(of, field);
    let (part, whole) = text.split_once('/').unwrap_or((&text, "1"));
    part.parse::<f64>().unwrap() / whole.parse::<f64>().unwrap()
}

fn grid(of: &Value) -> &'static [f64] {
    match of["grid"].as_str().unwrap() {
        "rate11" => &RATES,
        "latency8" => &LATENCIES,
        "slo8" => &OBJECTIVES,
        other => panic!("no such grid: {other}"),
    }
}

fn look([x_c, n_c, x_s, n_s]: [u64; 4]) -> Look {
    Look::new(Counts::new(x_c, n_c).unwrap(), Counts::new(x_s, n_s).unwrap())
}

/// The first look at which ln E is so high, for each of these probabilities.
fn assert_alarms(out: &Value, field: &str, all: &[f64], id: &str) {
    let wanted: BTreeMap<String, Option<usize>> = get(out, field);
    assert!(!wanted.is_empty());
    for (alpha, at) in wanted {
        let bound = -alpha.parse::<f64>().unwrap().ln();
        assert_eq!(all.iter().position(|ln_e| *ln_e >= bound), at, "{id} at {alpha}");
    }
}

#[test]
fn grid_s() {
    for case in cases("grid-s") {
        let test =
            GridTest::on(grid(&case.given), get(&case.given, "r0"), share(&case.given, "eta")).unwrap();
        let looks: Vec<[u64; 4]> = get(&case.given, "looks");
        let mut evidence = Evidence::default();
        let mut all = Vec::new();
        for counts in looks {
            // what is stored in between is what is gone on with
            let text = serde_json::to_string(&evidence).unwrap();
            evidence = serde_json::from_str(&text).unwrap();
            all.push(test.look(&mut evidence, look(counts)));
        }
        let wanted: Vec<f64> = get(&case.out, "ln_e");
        assert_eq!(all.len(), wanted.len());
        for (is, wanted) in all.iter().zip(&wanted) {
            assert_close(*is, *wanted, &case.id);
        }
        assert_alarms(&case.out, "alarm_look", &all, &case.id);
    }
}

#[test]
fn the_parts_of_a_look() {
    for case in cases("grid-components") {
        let test = GridTest::on(grid(&case.given), get(&case.given, "r0"), 1.0).unwrap();
        let wanted: Vec<f64> = get(&case.out, "ln_l");
        let all: Vec<f64> = test.ratios(look(get(&case.given, "look"))).collect();
        assert_eq!(all.len(), wanted.len(), "{}", case.id);
        for (is, wanted) in all.iter().zip(&wanted) {
            assert_close(*is, *wanted, &case.id);
        }
    }
}

#[test]
fn early_pass() {
    for case in cases("early-pass") {
        let test = EarlyPass::new(get(&case.given, "rmax"), share(&case.given, "eta")).unwrap();
        let looks: Vec<[u64; 4]> = get(&case.given, "looks");
        let mut sum = Finite::default();
        let all: Vec<f64> = looks.into_iter().map(|counts| test.look(&mut sum, look(counts))).collect();
        for (is, wanted) in all.iter().zip(get::<Vec<f64>>(&case.out, "ln_l")) {
            assert_close(*is, wanted, &case.id);
        }
        assert_alarms(&case.out, "pass_look", &all, &case.id);
    }
}

#[test]
fn an_absolute_objective() {
    for case in cases("slo-grid") {
        let total = Counts::new(get(&case.given, "x"), get(&case.given, "n")).unwrap();
        let is = objective(grid(&case.given), get(&case.given, "p0"), total).unwrap();
        assert_close(is, get(&case.out, "ln_e"), &case.id);
    }
}

/// With one alternative E is the likelihood ratio, and its temper a power of that.
#[test]
fn the_temper_of_an_objective_is_a_power_of_each_likelihood_ratio() {
    let (total, grid) = (Counts::new(30, 1_000).unwrap(), [2.0, 3.0]);
    let ln_e = |grid: &[f64], temper| ObjectiveTest::on(grid, 0.01, temper).unwrap().ln_e(total);
    let each = grid.map(|ratio| ln_e(&[ratio], 1.0));
    assert_close(ln_e(&grid[..1], 0.25), each[0] / 4.0, "one");
    let mean = each.iter().map(|ln| (ln / 4.0).exp()).sum::<f64>() / 2.0;
    assert_close(ln_e(&grid, 0.25), mean.ln(), "the mean of two");
    assert_close(ln_e(&OBJECTIVES, 1.0), objective(&OBJECTIVES, 0.01, total).unwrap(), "untempered");
}

#[test]
fn dispersion() {
    for case in cases("dispersion") {
        let bins: Vec<[u64; 4]> = get(&case.given, "bins");
        let halves = bins.into_iter().map(|[n_a, x_a, n_b, x_b]| Halves {
            a: Counts::new(x_a, n_a).unwrap(),
            b: Counts::new(x_b, n_b).unwrap(),
        });
        let is = Dispersion::of(&halves.collect::<Vec<_>>());
        assert_eq!(is.bins, get::<usize>(&case.out, "used_bins"), "{}", case.id);
        let wanted: Option<f64> = get(&case.out, "phi_raw");
        assert_eq!(is.raw.is_some(), wanted.is_some(), "{}", case.id);
        assert_close(is.raw.unwrap_or_default(), wanted.unwrap_or_default(), &case.id);
        assert_close(is.phi, get(&case.out, "phi"), &case.id);
        assert_close(is.temper(), get(&case.out, "eta"), &case.id);
    }
}

#[test]
fn latency() {
    #[derive(Deserialize)]
    struct Arms {
        canary: Vec<u64>,
        stable: Vec<u64>,
    }
    for case in cases("histogram") {
        assert_eq!(grid(&case.given), &LATENCIES);
        let (bounds, used): (Vec<f64>, Vec<f64>) = (get(&case.given, "le"), get(&case.given, "used_bounds"));
        let used = used.iter().map(|used| bounds.iter().position(|bound| bound == used).unwrap()).collect();
        let test = LatencyTest::new(used, get(&case.given, "r0"), share(&case.given, "eta")).unwrap();
        let looks: Vec<Arms> = get(&case.given, "looks");
        let mut evidence = Vec::new();
        let all: Vec<f64> =
            looks.iter().map(|arms| test.look(&mut evidence, &arms.canary, &arms.stable).unwrap()).collect();
        for (is, wanted) in all.iter().zip(get::<Vec<f64>>(&case.out, "ln_e")) {
            assert_close(*is, wanted, &case.id);
        }
        for (is, wanted) in evidence.iter().zip(get::<Vec<f64>>(&case.out, "ln_e_by_bound_last")) {
            assert_close(is.ln_e(), wanted, &case.id);
        }
        assert_alarms(&case.out, "alarm_look", &all, &case.id);
    }
}

fn sprt(of: &Value) -> Sprt {
    Sprt { good: get(of, "p0"), bad: get(of, "p1"), alpha: get(of, "alpha"), beta: get(of, "beta") }
}

#[test]
fn wald() {
    for case in cases("sprt") {
        let test = sprt(&case.given);
        let total = Counts::new(get(&case.given, "x"), get(&case.given, "n")).unwrap();
        assert_close(test.ln_ratio(total), get(&case.out, "llr"), &case.id);
        assert_close(test.bounds().0, get(&case.out, "lower"), &case.id);
        assert_close(test.bounds().1, get(&case.out, "upper"), &case.id);
        let says = match test.decide(total) {
            Decision::Accept => "accept",
            Decision::Continue => "continue",
            Decision::Reject => "reject",
        };
        assert_eq!(says, get::<String>(&case.out, "decision"), "{}", case.id);
    }
    for case in cases("sprt-size") {
        let (good, bad) = sprt(&case.given).mean_requests();
        assert_close(good, get(&case.out, "under_p0"), &case.id);
        assert_close(bad, get(&case.out, "under_p1"), &case.id);
    }
}

fn multinomial(of: &Value) -> Multinomial {
    Multinomial::new(get(of, "shares"), get(of, "k")).unwrap()
}

#[test]
fn shares_of_arms() {
    for case in cases("multinomial") {
        let (test, mut totals) = (multinomial(&case.given), Totals::default());
        let counts: Vec<u64> = get(&case.given, "counts");
        assert_close(test.ln_e(&counts).unwrap(), get(&case.out, "ln_e"), &case.id);
        test.look(&mut totals, &counts).unwrap();
        assert_close(totals.p(), get(&case.out, "p"), &case.id);
    }
    for case in cases("multinomial-sequence") {
        let (test, mut totals) = (multinomial(&case.given), Totals::default());
        let looks: Vec<Vec<u64>> = get(&case.given, "increments");
        let (wanted, p): (Vec<f64>, Vec<f64>) = (get(&case.out, "ln_e"), get(&case.out, "p"));
        assert_eq!((looks.len(), looks.len()), (wanted.len(), p.len()));
        for ((look, wanted), p) in looks.iter().zip(wanted).zip(p) {
            // what is stored in between is what is gone on with
            totals = serde_json::from_str(&serde_json::to_string(&totals).unwrap()).unwrap();
            assert_close(test.look(&mut totals, look).unwrap(), wanted, &case.id);
            assert_close(totals.p(), p, &case.id);
        }
    }
}

#[test]
fn the_canarys_share_of_failures() {
    for case in cases("truncated-beta") {
        let test = TruncatedBeta::new(get(&case.given, "rho"), get(&case.given, "k")).unwrap();
        let is = test.ln_e(get(&case.given, "x_canary"), get(&case.given, "x_stable")).unwrap();
        assert_close(is, get(&case.out, "ln_e"), &case.id);
    }
}

#[test]
fn nothing_overflows() {
    let test = GridTest::of_rates(1.0, 1.0).unwrap();
    let (most, mut evidence) = (1_000_000_000_000, Evidence::default());
    for counts in [[most, most, 0, most], [0, most, most, most], [most, most, most, most], [0, 0, 0, 0]] {
        for _ in 0..100 {
            assert!(test.look(&mut evidence, look(counts)).is_finite(), "{counts:?}: {evidence:?}");
        }
    }
    assert_eq!(evidence.looks(), 400);
}

#[test]
fn what_cannot_be_tested_is_refused_with_its_name() {
    let said = [
        GridTest::of_rates(0.9, 1.0).unwrap_err().to_string(),
        GridTest::of_rates(1000.0, 1.0).unwrap_err().to_string(),
        GridTest::of_rates(1.0, 0.0).unwrap_err().to_string(),
        GridTest::of_rates(1.0, f64::NAN).unwrap_err().to_string(),
        GridTest::of_rates(1e300, 1.0).unwrap_err().to_string(),
        GridTest::of_rates(1.0, -1e-300).unwrap_err().to_string(),
        GridTest::on(&[], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[3.0, 2.0], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[2.0; 13], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[0.0, 2.0], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[2.0, 2.0], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[3.0, 2.0, 4.0], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[2.0, f64::NAN, 4.0], 1.0, 1.0).unwrap_err().to_string(),
        GridTest::on(&[2.0, f64::INFINITY], 1.0, 1.0).unwrap_err().to_string(),
        LatencyTest::new(vec![], 1.0, 1.0).unwrap_err().to_string(),
        LatencyTest::new(vec![1, 1], 1.0, 1.0).unwrap_err().to_string(),
        LatencyTest::new(vec![1, 3, 2], 1.0, 1.0).unwrap_err().to_string(),
        EarlyPass::new(1.0, 1.0).unwrap_err().to_string(),
        objective(&OBJECTIVES, 1.0, Counts::default()).unwrap_err().to_string(),
        ObjectiveTest::new(0.1, 0.0).unwrap_err().to_string(),
        ObjectiveTest::on(&[2.0, 1.0], 0.1, 1.0).unwrap_err().to_string(),
        Counts::new(3, 2).unwrap_err().to_string(),
        Multinomial::new(vec![0.1, 0.8], 100.0).unwrap_err().to_string(),
        Multinomial::new(vec![0.0, 1.0], 100.0).unwrap_err().to_string(),
        Multinomial::new(vec![0.5, 0.5], 0.0).unwrap_err().to_string(),
        Multinomial::new(vec![0.5, 0.5], 1.0).unwrap().ln_e(&[1, 2, 3]).unwrap_err().to_string(),
        TruncatedBeta::new(1.0, 1.0).unwrap_err().to_string(),
        TruncatedBeta::new(0.5, f64::INFINITY).unwrap_err().to_string(),
        TruncatedBeta::new(0.5, 1.0).unwrap().ln_e(0, 2_000_000_000).unwrap_err().to_string(),
    ];
    let names = [
        "r0: 0.9",
        "r0: 1000",
        "eta: 0",
        "eta: NaN",
        "r0: 1e300 ",
        "eta: -1e-300 ",
        "ratios of the grid: 0 ",
        "grid: 2 ",
        "ratios of the grid: 13 ",
        "grid: 0 ",
        "grid: 2 ",
        "grid: 2 ",
        "grid: NaN ",
        "grid: inf ",
        "bound: 0 ",
        "bound: 1 ",
        "bound: 2 ",
        "rmax: 1",
        "p0: 1",
        "eta: 0",
        "grid: 1",
        "failed: 3",
        "shares: 0.9",
        "shares: 0 ",
        "k: 0",
        "counts: 3",
        "rho: 1",
        "k: inf",
        "failed: 2000000000",
    ];
    assert_eq!(said.len(), names.len());
    for (said, name) in said.iter().zip(names) {
        assert!(said.starts_with(name) && said.contains(" is not accepted; "), "{said}");
    }
}

#[test]
fn a_bound_that_a_histogram_does_not_have_is_an_error_and_no_evidence() {
    let test = LatencyTest::new(vec![0, 2], 1.0, 1.0).unwrap();
    let mut evidence = Vec::new();
    let whole = [1, 2, 3, 4];
    for (canary, stable) in [(&whole[..], &whole[1..]), (&whole[..3], &whole[..]), (&whole[..], &[])] {
        let error = test.look(&mut evidence, canary, stable).unwrap_err().to_string();
        assert!(error.starts_with("bound: ") && error.contains("of both arms"), "{error}");
        assert!(evidence.is_empty());
    }
    assert!(test.look(&mut evidence, &whole, &whole).is_ok() && evidence.len() == 2);
}
