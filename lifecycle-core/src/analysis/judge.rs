//! What a measurement says about a check.
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::plan::AnalysisPlan;
use crate::backend::Reading;

/// A finite number that can be compared and hashed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Finite(f64);

impl Finite {
    /// `None` for NaN and the infinities.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(if value == 0.0 { 0.0 } else { value }))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Finite {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Finite {}
impl std::hash::Hash for Finite {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// What is remembered of one check within a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CheckState {
    /// Failed measurements.
    pub failures: u32,
    /// Inconclusive measurements.
    pub inconclusive: u32,
    /// Measurement errors in a row.
    pub errors: u32,
    /// Successes in a row.
    pub successes: u32,
    /// What the last look said; `None` before the first.
    pub last: Option<Measurement>,
    /// Stable's value in its last full window (or the baseline).
    pub reference: Option<Finite>,
}

/// What one look says about one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Measurement {
    /// It holds.
    Pass(Finite),
    /// It does not hold.
    Fail(Finite),
    /// Too few requests to say; time passes.
    Waiting,
    /// No data: time stands still.
    NoData,
    /// Neither: the value cannot be compared.
    Inconclusive,
    /// The source failed, or what it said makes no sense.
    Error(MeasurementError),
}

/// Why a measurement is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MeasurementError {
    /// The source did not answer.
    SourceFailed,
    /// It is not a number, or infinite.
    NotANumber,
    /// The answer is not of the kind that was asked for.
    WrongKind,
}

/// Judges one look.
#[must_use]
pub fn judge(
    _check: &Check,
    _plan: &AnalysisPlan,
    _canary: Option<&Result<Reading, String>>,
    _stable: Option<&Result<Reading, String>>,
    _reference: Option<Finite>,
) -> Measurement {
    Measurement::Waiting
}
