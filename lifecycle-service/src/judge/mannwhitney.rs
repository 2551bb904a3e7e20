//! Samples of two arms, as Kayenta compares them.

use lifecycle_core::spec::SpecError;
use lifecycle_core::spec::field::Field;
use lifecycle_core::stats::mann_whitney::{
    Class, Classification, Comparison, Direction, Effect, Limits, Missing, Samples,
};
use serde::{Serialize, Serializer};

use super::read;
use crate::input::BadInput;

/// The shift of the canary, and its class: a line of JSON. What has no place there is for people.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    lower: Option<f64>,
    upper: Option<f64>,
    estimate: Option<f64>,
    #[serde(serialize_with = "word")]
    pub(super) class: Class,
    #[serde(skip)]
    pub(super) is: Classification,
    #[serde(skip)]
    pub(super) canary: Samples,
    #[serde(skip)]
    pub(super) baseline: Samples,
    #[serde(skip)]
    pub(super) confidence: f64,
    #[serde(skip)]
    pub(super) effect: &'static str,
}

fn word<S: Serializer>(class: &Class, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(class_word(*class))
}

/// The word for a class.
pub(super) const fn class_word(class: Class) -> &'static str {
    match class {
        Class::Pass => "pass",
        Class::High => "high",
        Class::Low => "low",
        Class::NoData | Class::NoDataFail => "nodata",
    }
}

/// Reads and compares.
pub(super) fn judge(file: &Field<'_>) -> Result<Compared, BadInput> {
    let known = ["judge", "confidence", "tolerance", "direction", "effect", "allowed", "canary", "baseline"];
    let fields = file.fields(&known)?;
    let confidence = fields.read_or("confidence", 0.98, read::number)?;
    let tolerance = fields.read_or("tolerance", 0.25, read::number)?;
    let direction = fields.read_or("direction", Direction::Either, direction)?;
    let (name, effect) =
        fields.read_or("effect", EFFECTS[0].1, |field| field.one_of("an effect", &EFFECTS))?;
    let comparison = Comparison::new(confidence, tolerance)?;
    let comparison = comparison.direction(direction).effect(effect);
    let comparison = match fields.read("allowed", allowed)? {
        Some((decrease, increase)) => comparison.allowed(Limits::new(decrease, increase)?),
        None => comparison,
    };
    let arm = |name: &'static str| {
        let example = format!("\"{name}\": [20, 22]");
        let values = fields.required(name, &example, |field| read::samples(field))?;
        Ok::<_, BadInput>(Samples::new(name, &values, Missing::Remove)?)
    };
    let (canary, baseline) = (arm("canary")?, arm("baseline")?);
    let is = comparison.classify(&canary, &baseline);
    let [lower, upper, estimate] =
        [is.interval.map(|i| i.lower), is.interval.map(|i| i.upper), is.interval.map(|i| i.estimate)];
    Ok(Compared { lower, upper, estimate, class: is.class, is, canary, baseline, confidence, effect: name })
}

/// Each with what people call it.
const EFFECTS: [(&str, (&str, Effect)); 2] = [
    ("mean-ratio", ("ratio of the means", Effect::MeanRatio)),
    ("cles", ("share of pairs in which the canary is higher", Effect::CommonLanguage)),
];

fn direction(field: &Field<'_>) -> Result<Direction, SpecError> {
    let words =
        [("either", Direction::Either), ("increase", Direction::Increase), ("decrease", Direction::Decrease)];
    field.one_of("a direction", &words)
}

fn allowed(field: &Field<'_>) -> Result<(f64, f64), SpecError> {
    let fields = field.fields(&["decrease", "increase"])?;
    let limit =
        |name| fields.required(name, "both, like {\"decrease\": 0.8, \"increase\": 1.2}", read::number);
    Ok((limit("decrease")?, limit("increase")?))
}
