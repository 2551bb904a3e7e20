//! Analysis: checks as people write them, and what a measurement says about them.
//!
//! A [`Check`] is parsed once. [`judge`] compares one look with it and says a [`Measurement`];
//! [`CheckState::record`] takes that into account, [`CheckState::verdict`] says what all looks add up
//! to, and [`explain`] says it in words. Nothing here does I/O or knows the time.
//! With [`Sequential`] rules, checks that count requests are judged by all that came since the step began, look by look
//! ([`SequentialState`]).

mod check;
mod explain;
mod grammar;
mod judge;
mod metric;
mod no_bound;
mod plan;
mod sequential;
mod state;

pub use crate::stats::Finite;
pub use check::{Bound, Check, CheckError, Comparison};
pub use explain::explain;
pub use judge::{Measurement, MeasurementError, judge, reference_of};
pub use metric::{Arm, METRIC_NAMES, Metric};
pub use no_bound::NoBound;
pub use plan::AnalysisPlan;
pub(crate) use sequential::{BIN, BINS, Question, SequentialJudge, say};
pub use sequential::{EarlyPassRule, Sequential, SequentialState, Temper, Tempering};
pub use state::{CheckState, HISTORY, Verdict};
