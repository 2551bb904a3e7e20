//! Statistics of release decisions: tests that may be looked at at any time and say how often they are wrong.
//!
//! Numbers in, evidence out: nothing here knows of checks, gates or sources. An *e-value* E is evidence against the null
//! hypothesis that is at most 1 in expectation while that is true, at every look; whoever alarms at the first look with
//! E >= 1 / alpha is wrong with probability alpha at the most (Ville's inequality). All of it is kept as logarithms,
//! because E overflows a double in ordinary use.
//!
//! - [`GridTest`] compares the error rates of two arms look by look (GRID-S); [`LatencyTest`] does so for the buckets of
//!   a histogram; [`EarlyPass`] certifies that one arm is not that much worse; [`ObjectiveTest`] compares one arm with
//!   an absolute rate.
//! - [`Dispersion`] measures how much more than by chance failures vary, by which the tests are tempered.
//! - [`mann_whitney`] compares samples of two arms once, at the end, as Kayenta does.
//! - [`sprt`] is Wald's test, [`multinomial`] and [`truncated_beta`] are tests of shares that have to stay the same: for
//!   comparison.
//!
//! Every number is checked against the tables in `tests/vectors`. [`crate::analysis::Sequential`] judges checks by these
//! tests.
//!
//! ```
//! use lifecycle_core::stats::{Counts, Evidence, GridTest, Look};
//!
//! let test = GridTest::of_rates(1.0, 1.0)?;
//! let mut evidence = Evidence::default();
//! // failed of all requests since the look before: canary, stable
//! for (canary, stable) in [((1, 300), (1, 2_700)), ((12, 300), (2, 2_700))] {
//!     test.look(&mut evidence, Look::new(Counts::new(canary.0, canary.1)?, Counts::new(stable.0, stable.1)?));
//! }
//! assert!(evidence.exceeds(0.01), "1 in 100 stable canaries would look as bad, at any of its looks");
//! # Ok::<(), lifecycle_core::stats::StatsError>(())
//! ```

mod dispersion;
mod early;
mod error;
mod finite;
mod grid;
mod latency;
mod ln;
mod look;
pub mod mann_whitney;
pub mod multinomial;
mod objective;
mod probability;
mod ratios;
pub mod sprt;
pub mod truncated_beta;

pub use dispersion::{Dispersion, Halves};
pub use early::EarlyPass;
pub use error::StatsError;
pub use finite::Finite;
pub use grid::{Evidence, GridTest, LATENCIES, RATES};
pub use latency::LatencyTest;
pub(crate) use ln::mean as ln_mean;
pub use look::{Counts, Look};
pub use objective::{OBJECTIVES, ObjectiveTest, objective};
pub use probability::Alpha;
