//! What a rollout can be tested with, without a cluster.
//!
//! - [`simulate`]: one rollout, run by the production driver and machine on a simulated cluster in
//!   virtual time. The same spec, scenario and seed give the same run, to the byte.
//! - [`cluster`]: that cluster, with its faults: every backend trait of `lifecycle-core`.
//! - [`properties`]: the safety and liveness properties, checked after every fact at the boundary
//!   between the driver and its backends.
//! - [`strategies`]: `proptest` strategies for specs, worlds with fault schedules, and observations.
//! - [`campaign`]: thousands of simulations, each from one number.
//! - [`conformance`]: suites that a backend of your own can run against itself.
//! - `kubernetes` (feature `kubernetes`): a real control plane on this machine, with a node that runs pods as
//!   processes, load that follows a Service, and Prometheus.
//! - `model` (feature `model`): the machine under an exhaustive model checker.

pub mod campaign;
pub mod cluster;
pub mod conformance;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "model")]
pub mod model;
pub mod properties;
pub mod simulate;
pub mod strategies;
