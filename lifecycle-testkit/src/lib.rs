//! Simulated clusters in virtual time, properties, conformance suites.
pub mod properties;
