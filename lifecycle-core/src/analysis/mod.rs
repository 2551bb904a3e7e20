//! Analysis: checks as people write them, and what a measurement says about them.

mod check;
mod judge;
mod plan;

pub use check::{Bound, Check, CheckError, Comparison, Metric};
pub use judge::{CheckState, Finite, Measurement, MeasurementError, judge};
pub use plan::AnalysisPlan;
