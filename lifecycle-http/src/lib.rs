//! Health over HTTP.

#[cfg(feature = "reqwest")]
mod client;
mod error;
mod monitor;
mod probe;
#[cfg(feature = "reqwest")]
mod prober;
#[cfg(feature = "reqwest")]
mod runner;

#[cfg(feature = "reqwest")]
pub use client::{ClientConfig, HttpProber, ProbeClient};
pub use error::ConfigError;
pub use monitor::{Attempt, Change, HealthStatus, Monitor, Observed, Polled, Streak, Verdict};
pub use probe::{Detail, Failure, Outcome, Probe, Redirects};
#[cfg(feature = "reqwest")]
pub use prober::Prober;
#[cfg(feature = "reqwest")]
pub use runner::{NoRuntime, Runner, RunnerConfig, Watched};
