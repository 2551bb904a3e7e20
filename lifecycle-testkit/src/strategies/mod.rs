//! Strategies of `proptest` for whatever a rollout depends on: specs, worlds with fault schedules, and
//! single observations. Use them for properties of your own.
//!
//! ```
//! use lifecycle_testkit::simulate::{Simulation, Unwatched};
//! use lifecycle_testkit::strategies::{manifests, scenarios};
//! use proptest::prelude::*;
//!
//! proptest!(ProptestConfig::with_cases(8), |(manifest in manifests(), seed in any::<u64>())| {
//!     // whatever is rolled out, and whatever goes wrong meanwhile: no property is broken
//!     let scenario = lifecycle_testkit::simulate::Scenario::default_for(&manifest.spec);
//!     let mut simulation = Simulation::new(&manifest.spec, &scenario, seed).unwrap();
//!     prop_assert_eq!(simulation.run_with(&mut Unwatched).violations, Vec::<String>::new());
//! });
//! # let _ = scenarios;
//! ```

mod manifest;
mod observation;
mod scenario;

pub use manifest::{manifests, manifests_of};
pub use observation::{group_statuses, observations};
pub use scenario::{FaultKinds, scenarios};
