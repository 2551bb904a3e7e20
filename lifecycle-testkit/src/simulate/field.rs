//! Readers of fields that only scenarios have.

use lifecycle_core::spec::SpecError;
use lifecycle_core::spec::field::Field;
use lifecycle_core::version::Version;

use crate::cluster::Rate;

/// Why a scenario was refused: one line, with the path of the field (`events[2].fault`; `scenario` for
/// the document as a whole) and what is accepted.
pub type ScenarioError = SpecError;

pub(super) type Outcome<T> = Result<T, ScenarioError>;

/// More versions than anybody writes.
const MAX_VERSIONS: usize = 1000;

/// The entries of a mapping from versions.
pub(super) fn by_version<'a>(field: &Field<'a>) -> Outcome<Vec<(Version, Field<'a>)>> {
    if !field.value().is_object() {
        return Err(
            field.expected("a mapping from versions to how they behave, like \"1.5.0\": {errorRate: 3%}")
        );
    }
    let entries = field.entries(MAX_VERSIONS)?.into_iter();
    entries.map(|(version, field)| Ok((field.version_in(version)?, field))).collect()
}

/// Requests a second.
pub(super) fn rate(field: &Field<'_>) -> Outcome<Rate> {
    let rate = field.value().as_f64().and_then(Rate::from_f64);
    rate.ok_or_else(|| field.expected("a number of requests a second from 0 to 1000000"))
}

/// A share written in percent, as 0 to 1.
pub(super) fn percentage(field: &Field<'_>) -> Outcome<f64> {
    let number = field.value().as_str().and_then(|text| text.strip_suffix('%'));
    match number.and_then(|number| number.trim().parse::<f64>().ok()) {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(field.expected("a percentage from 0% to 100%, like 0.1%")),
    }
}
