//! What became of a comparison.

use super::interval::Interval;

/// What the samples of one metric say of the canary. The words are Kayenta's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "Kayenta has these five")]
pub enum Class {
    /// No change that matters.
    Pass,
    /// Higher than the baseline.
    High,
    /// Lower than the baseline.
    Low,
    /// An arm has no samples: nothing is known.
    NoData,
    /// An arm has no samples and should have: that is a failure.
    NoDataFail,
}

impl Class {
    /// `pass`, `high`, `low`, `no-data` or `no-data-fail`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::High => "high",
            Self::Low => "low",
            Self::NoData => "no-data",
            Self::NoDataFail => "no-data-fail",
        }
    }
}

/// The class of one metric, and the numbers that it is based on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classification {
    /// What the samples say.
    pub class: Class,
    /// Does that fail everything?
    pub is_critical: bool,
    /// How much higher the canary is; `None` without samples.
    pub interval: Option<Interval>,
    /// The size of the change; `None` where it says nothing.
    pub effect: Option<f64>,
}

impl Classification {
    /// Of an arm without samples; a pass is never critical.
    pub(super) fn without_data(class: Class, is_critical: bool) -> Self {
        Self { class, is_critical: is_critical && class != Class::Pass, interval: None, effect: None }
    }
}
