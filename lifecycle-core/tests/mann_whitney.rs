//! The tables of `tests/vectors/stats-mannwhitney.json`: exact values to 1e-9, what Kayenta measured to the step of its
//! root search, every class. Other rows of the same form can be put in.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;

use lifecycle_core::stats::mann_whitney::{
    Class, Classification, Comparison, Direction, Effect, Group, Interval, Limits, Marks, Missing, Samples,
    Verdict, common_language, mean_ratio, normal_quantile, outliers, score, statistic, without_outliers,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    cases: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    note: String,
    #[serde(flatten)]
    case: Case,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Case {
    Interval(Pair<IntervalIn, IntervalOut>),
    Classify(Pair<ClassifyIn, ClassifyOut>),
    Statistic(Pair<StatisticIn, Z>),
    QuantileNormal(Pair<Confidence, Z>),
    MeanRatio(Pair<Arms, Ratio>),
    Cles(Pair<Arms, Cles>),
    Quantile(Pair<QuantileIn, Value>),
    Outliers(Pair<OutliersIn, OutliersOut>),
    Score(Pair<ScoreIn, ScoreOut>),
}

#[derive(Deserialize)]
struct Pair<In, Out> {
    #[serde(rename = "in")]
    given: In,
    out: Out,
}

#[derive(Deserialize)]
struct Arms {
    canary: Vec<f64>,
    baseline: Vec<f64>,
}

#[derive(Deserialize)]
struct IntervalIn {
    #[serde(flatten)]
    arms: Arms,
    confidence: f64,
}

#[derive(Deserialize)]
struct Ends {
    lower: f64,
    upper: f64,
}

/// What Kayenta measured.
#[derive(Deserialize)]
struct Kayenta {
    #[serde(flatten)]
    ends: Ends,
    effect: Option<f64>,
}

#[derive(Deserialize)]
struct IntervalOut {
    kayenta: Kayenta,
    exact: Ends,
    hodges_lehmann: f64,
}

#[derive(Deserialize)]
struct ByDirection {
    decrease: f64,
    increase: f64,
}

#[derive(Deserialize)]
struct ClassifyIn {
    #[serde(flatten)]
    arms: Arms,
    direction: String,
    tolerance: f64,
    confidence: f64,
    effect_measure: String,
    allowed: ByDirection,
    critical_at: ByDirection,
    critical: bool,
    nan_strategy: String,
    must_have_data: bool,
}

#[derive(Deserialize)]
struct ClassifyOut {
    label: String,
    critical: bool,
    kayenta: Option<Kayenta>,
    label_exact: Option<String>,
}

#[derive(Deserialize)]
struct StatisticIn {
    #[serde(flatten)]
    arms: Arms,
    shift: f64,
}

#[derive(Deserialize)]
struct Z {
    z: f64,
}

#[derive(Deserialize)]
struct Confidence {
    confidence: f64,
}

#[derive(Deserialize)]
struct Ratio {
    ratio: Option<f64>,
}

#[derive(Deserialize)]
struct Cles {
    cles: Option<f64>,
}

#[derive(Deserialize)]
struct QuantileIn {
    values: Vec<f64>,
    percent: f64,
}

#[derive(Deserialize)]
struct Value {
    value: f64,
}

#[derive(Deserialize)]
struct OutliersIn {
    values: Vec<f64>,
    factor: f64,
    reduce_sensitivity: bool,
}

#[derive(Deserialize)]
struct OutliersOut {
    outlier_index: Vec<usize>,
}

#[derive(Deserialize)]
struct Label {
    label: String,
    critical: bool,
}

#[derive(Deserialize)]
struct ScoreIn {
    groups: BTreeMap<String, Vec<Label>>,
    weights: BTreeMap<String, f64>,
    pass_mark: f64,
    marginal_mark: f64,
}

#[derive(Deserialize)]
struct ScoreOut {
    score: f64,
    verdict: String,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/stats-mannwhitney.json");
    serde_json::from_slice::<Table>(&std::fs::read(path).unwrap()).unwrap().cases
}

fn samples(values: &[f64]) -> Samples {
    Samples::new("values", values, Missing::Remove).unwrap()
}

impl Arms {
    fn samples(&self) -> (Samples, Samples) {
        (samples(&self.canary), samples(&self.baseline))
    }
}

#[track_caller]
fn assert_close(is: f64, wanted: f64, what: &str) {
    assert!((is - wanted).abs() <= 1e-9 * wanted.abs().max(1e-300), "{what}: {is} is not {wanted}");
}

/// Kayenta's search stops within 1e-4 of the root, and from there interpolates.
#[track_caller]
fn assert_as_near_as_kayenta(is: Interval, wanted: &Ends, what: &str) {
    for (is, wanted) in [(is.lower, wanted.lower), (is.upper, wanted.upper)] {
        assert!((is - wanted).abs() <= 2.1e-4, "{what}: {is} is not {wanted}");
    }
}

#[track_caller]
fn assert_optional(is: Option<f64>, wanted: Option<f64>, what: &str) {
    assert_eq!(is.is_some(), wanted.is_some(), "{what}");
    // twelve digits are written
    let (is, wanted) = (is.unwrap_or_default(), wanted.unwrap_or_default());
    assert!((is - wanted).abs() <= 1e-11 * wanted.abs().max(1.0), "{what}: {is} is not {wanted}");
}

#[test]
fn every_row_of_the_tables() {
    let rows = rows();
    assert!(rows.len() >= 97, "{}", rows.len());
    for Row { id, note, case } in rows {
        match case {
            Case::Interval(case) => interval(&id, &case),
            Case::Classify(case) => classify(&id, &note, &case),
            Case::Statistic(Pair { given, out }) => {
                let (canary, baseline) = given.arms.samples();
                assert_optional(Some(statistic(&canary, &baseline, given.shift)), Some(out.z), &id);
            }
            Case::QuantileNormal(Pair { given, out }) => {
                assert_optional(Some(normal_quantile(given.confidence).unwrap()), Some(out.z), &id);
            }
            Case::MeanRatio(Pair { given, out }) => {
                let (canary, baseline) = given.samples();
                assert_optional(mean_ratio(&canary, &baseline), out.ratio, &id);
            }
            Case::Cles(Pair { given, out }) => {
                let (canary, baseline) = given.samples();
                assert_optional(common_language(&canary, &baseline), out.cles, &id);
            }
            Case::Quantile(Pair { given, out }) => {
                let is = samples(&given.values).quantile(given.percent / 100.0).unwrap();
                assert_optional(is, Some(out.value), &id);
            }
            Case::Outliers(Pair { given, out }) => {
                let OutliersIn { values, factor, reduce_sensitivity } = given;
                let is = outliers(&values, factor, reduce_sensitivity).unwrap();
                assert_eq!(is, out.outlier_index, "{id}");
                let rest = without_outliers(&values, factor, reduce_sensitivity).unwrap();
                assert_eq!(rest.len() + is.len(), values.len(), "{id}");
            }
            Case::Score(case) => score_of(&id, &case),
        }
    }
}

#[track_caller]
fn interval(id: &str, Pair { given, out }: &Pair<IntervalIn, IntervalOut>) {
    let (canary, baseline) = given.arms.samples();
    let is = Interval::of(&canary, &baseline, given.confidence).unwrap().unwrap();
    assert_close(is.lower, out.exact.lower, id);
    assert_close(is.upper, out.exact.upper, id);
    assert_close(is.estimate, out.hodges_lehmann, id);
    assert_as_near_as_kayenta(is, &out.kayenta.ends, id);
}

fn comparison(given: &ClassifyIn) -> Comparison {
    let effect = match &*given.effect_measure {
        "mean-ratio" => Effect::MeanRatio,
        "cles" => Effect::CommonLanguage,
        other => panic!("{other}"),
    };
    let direction = match &*given.direction {
        "increase" => Direction::Increase,
        "decrease" => Direction::Decrease,
        "either" => Direction::Either,
        other => panic!("{other}"),
    };
    let missing = match &*given.nan_strategy {
        "remove" => Missing::Remove,
        "replace" => Missing::Zero,
        other => panic!("{other}"),
    };
    let limits = |by: &ByDirection| Limits::new(by.decrease, by.increase).unwrap();
    let comparison = Comparison::new(given.confidence, given.tolerance).unwrap();
    let comparison = comparison.effect(effect).direction(direction).missing(missing);
    let comparison = comparison.allowed(limits(&given.allowed));
    let comparison =
        if given.critical { comparison.critical_at(limits(&given.critical_at)) } else { comparison };
    if given.must_have_data { comparison.must_have_data() } else { comparison }
}

#[track_caller]
fn classify(id: &str, note: &str, Pair { given, out }: &Pair<ClassifyIn, ClassifyOut>) {
    let (canary, baseline) = given.arms.samples();
    let is = comparison(given).classify(&canary, &baseline);
    let label = out.label_exact.as_ref().unwrap_or(&out.label);
    assert_eq!((is.class.name(), is.is_critical), (label.as_str(), out.critical), "{id}");
    let Some(kayenta) = &out.kayenta else { return };
    assert_optional(is.effect, kayenta.effect, id);
    // where Kayenta's own search has found no root, its ends are no ends
    if !note.contains("the exact interval gives another label") {
        assert_as_near_as_kayenta(is.interval.unwrap(), &kayenta.ends, id);
    }
}

fn class(label: &str) -> Class {
    let all = [Class::Pass, Class::High, Class::Low, Class::NoData, Class::NoDataFail];
    all.into_iter().find(|class| class.name() == label).unwrap_or_else(|| panic!("{label}"))
}

#[track_caller]
fn score_of(id: &str, Pair { given, out }: &Pair<ScoreIn, ScoreOut>) {
    let group = |(name, labels): (&String, &Vec<Label>)| Group {
        weight: given.weights.get(name).copied(),
        metrics: labels.iter().map(|label| (class(&label.label), label.critical)).collect(),
    };
    let groups: Vec<Group> = given.groups.iter().map(group).collect();
    let is = score(&groups, Marks::new(given.pass_mark, given.marginal_mark).unwrap()).unwrap();
    let verdict = match is.verdict {
        Verdict::Pass => "pass",
        Verdict::Marginal => "marginal",
        Verdict::Fail => "fail",
    };
    assert_eq!((is.points, verdict), (out.score, &*out.verdict), "{id}");
}

fn plain() -> Comparison {
    Comparison::new(0.98, 0.25).unwrap()
}

#[test]
fn an_arm_without_samples_is_no_pass_unless_none_means_zero() {
    let (none, some) = (samples(&[]), samples(&[1.0, 2.0, 3.0]));
    let any = Limits::new(1.0, 1.0).unwrap();
    for (comparison, class, is_critical) in [
        (plain(), Class::NoData, false),
        (plain().must_have_data(), Class::NoDataFail, false),
        (plain().must_have_data().critical_at(any), Class::NoData, true),
        (plain().missing(Missing::Zero), Class::Pass, false),
        (plain().missing(Missing::Zero).critical_at(any), Class::Pass, false),
    ] {
        for (canary, baseline) in [(&none, &some), (&some, &none), (&none, &none)] {
            let is: Classification = comparison.classify(canary, baseline);
            assert_eq!((is.class, is.is_critical), (class, is_critical), "{comparison:?}");
            assert_eq!((is.interval, is.effect), (None, None));
        }
    }
}

#[test]
fn what_is_no_number_is_left_out_or_zero() {
    let with = |missing| Samples::new("values", &[3.0, f64::NAN, 1.0], missing).unwrap();
    assert_eq!(with(Missing::Remove).rising(), [1.0, 3.0]);
    assert_eq!(with(Missing::Zero).rising(), [0.0, 1.0, 3.0]);
    assert_eq!(with(Missing::Remove).mean(), Some(2.0));
}

#[test]
fn two_constants_differ_by_their_difference() {
    let is = plain().classify(&samples(&[10.0; 5]), &samples(&[1.0; 5]));
    assert_eq!(is.interval, Some(Interval { lower: 9.0, upper: 9.0, estimate: 9.0 }));
    assert_eq!(is.class, Class::High);
    let is = plain().classify(&samples(&[1.0]), &samples(&[10.0]));
    assert_eq!(is.class, Class::Low);
}

#[test]
fn a_smaller_effect_than_is_allowed_passes_and_one_below_the_critical_size_is_not_critical() {
    let (canary, baseline) =
        (samples(&[20.0, 22.0, 21.0, 25.0, 30.0]), samples(&[10.0, 11.0, 12.0, 9.0, 8.0]));
    let ratio = mean_ratio(&canary, &baseline).unwrap();
    for (allowed, critical_at, class, is_critical) in [
        (ratio, ratio, Class::High, true),
        (ratio, ratio.next_up(), Class::High, false),
        (ratio.next_up(), ratio, Class::Pass, false),
    ] {
        let limits = |increase| Limits::new(0.5, increase).unwrap();
        let is = plain().allowed(limits(allowed)).critical_at(limits(critical_at));
        let is = is.classify(&canary, &baseline);
        assert_eq!((is.class, is.is_critical), (class, is_critical), "{allowed} {critical_at}");
    }
}

#[test]
fn groups_without_a_weight_share_what_is_left_and_an_empty_one_passes() {
    let group = |weight, class| Group { weight, metrics: vec![(class, false)] };
    let marks = Marks::new(95.0, 75.0).unwrap();
    let points = |groups: &[Group]| score(groups, marks).unwrap().points;
    assert_eq!(points(&[group(Some(40.0), Class::Pass), group(None, Class::High), Group::default()]), 70.0);
    // nothing at all, or half of it unknown, is no pass
    assert_eq!(points(&[]), 0.0);
    assert_eq!(points(&[Group::default()]), 0.0);
    assert_eq!(points(&[group(None, Class::Pass), group(None, Class::NoData)]), 0.0);
    assert_eq!(points(&[group(None, Class::Pass), group(None, Class::NoDataFail)]), 50.0);
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_name() {
    let weighted = |weight| Group { weight: Some(weight), metrics: vec![(Class::Pass, false)] };
    let marks = Marks::new(95.0, 75.0).unwrap();
    let said = [
        ("confidence: 0 ", Comparison::new(0.0, 0.25).unwrap_err()),
        ("confidence: 1 ", Comparison::new(1.0, 0.25).unwrap_err()),
        ("confidence: NaN", Comparison::new(f64::NAN, 0.25).unwrap_err()),
        ("tolerance: -0.1", Comparison::new(0.98, -0.1).unwrap_err()),
        ("tolerance: inf", Comparison::new(0.98, f64::INFINITY).unwrap_err()),
        ("increase: NaN", Limits::new(1.0, f64::NAN).unwrap_err()),
        ("decrease: -inf", Limits::new(f64::NEG_INFINITY, 1.0).unwrap_err()),
        ("canary: -inf", Samples::new("canary", &[f64::NEG_INFINITY], Missing::Zero).unwrap_err()),
        ("canary: 100001", Samples::new("canary", &[0.0; 100_001], Missing::Remove).unwrap_err()),
        ("share: 1.1", samples(&[1.0]).quantile(1.1).unwrap_err()),
        ("factor: -1", outliers(&[1.0], -1.0, false).unwrap_err()),
        ("values: inf", outliers(&[f64::INFINITY], 3.0, false).unwrap_err()),
        ("pass mark: 101", Marks::new(101.0, 75.0).unwrap_err()),
        ("marginal mark: 96", Marks::new(95.0, 96.0).unwrap_err()),
        ("weight: -1", score(&[weighted(-1.0)], marks).unwrap_err()),
        ("weights: 50", score(&[weighted(50.0)], marks).unwrap_err()),
        ("weights: 120", score(&[weighted(60.0), weighted(60.0)], marks).unwrap_err()),
    ];
    for (starts, error) in said {
        let said = error.to_string();
        assert!(said.starts_with(starts) && said.contains(" is not accepted; "), "{said}");
    }
}
