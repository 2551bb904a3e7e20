//! Simulated clusters in virtual time, properties, conformance suites.
pub mod campaign;
pub mod cluster;
pub mod conformance;
#[cfg(feature = "model")]
pub mod model;
pub mod properties;
pub mod simulate;
pub mod strategies;
