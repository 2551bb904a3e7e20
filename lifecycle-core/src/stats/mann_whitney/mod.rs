//! Mann-Whitney: samples of the canary against samples of a baseline, for people who come from Kayenta.
//!
//! Samples are one number a minute (or a scrape) of a metric: a latency, a share of errors, CPU. [`Comparison`] says
//! whether the canary's are [higher](Class::High), [lower](Class::Low) or [neither](Class::Pass), as Kayenta's judge
//! NetflixACAJudge-v1.0 does; [`score`] makes one verdict of many metrics.
//!
//! The ends of the [`Interval`] are exact: they are differences of two samples, found without a root search, so that the
//! same data in another unit have the same class. (Kayenta's search stops 1e-4 from the root, in whatever unit.)
//!
//! It may be looked at once, when all samples are there: looks in between make it wrong more often than it says. For looks
//! at any time there is [`GridTest`](super::GridTest).
//!
//! ```
//! use lifecycle_core::stats::mann_whitney::{Class, Comparison, Missing, Samples};
//!
//! // at 98 % confidence, and by more than a quarter of the difference itself
//! let comparison = Comparison::new(0.98, 0.25)?;
//! let canary = Samples::new("canary", &[20.0, 22.0, 21.0, 25.0, 30.0, f64::NAN], Missing::Remove)?;
//! let baseline = Samples::new("baseline", &[1.0, 2.2, 1.1, 2.5, 3.0], Missing::Remove)?;
//! let is = comparison.classify(&canary, &baseline);
//! assert_eq!(is.class, Class::High);
//! assert_eq!(is.interval.map(|interval| interval.estimate), Some(20.0));
//! # Ok::<(), lifecycle_core::stats::StatsError>(())
//! ```

mod classify;
mod comparison;
mod differences;
mod interval;
mod outliers;
mod ranks;
mod samples;
mod score;

pub use classify::{Class, Classification};
pub use comparison::{Comparison, Direction, Effect, Limits};
pub use interval::Interval;
pub use outliers::{OUTLIER_FACTOR, outliers, without_outliers};
pub use ranks::{common_language, normal_quantile, statistic};
pub use samples::{MAX_SAMPLES, MAX_VALUE, Missing, Samples, mean_ratio};
pub use score::{Group, Marks, Score, Verdict, score};
