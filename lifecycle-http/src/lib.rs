//! Health over HTTP.

mod answer;
#[cfg(feature = "reqwest")]
mod client;
#[cfg(feature = "reqwest")]
mod dependency;
mod error;
mod monitor;
mod probe;
#[cfg(feature = "reqwest")]
mod prober;
#[cfg(feature = "reqwest")]
mod runner;

pub use answer::{Alive, CheckFailure, CheckResult, ReadyReport};
#[cfg(feature = "reqwest")]
pub use client::{ClientConfig, HttpCheck, HttpProber, ProbeClient};
#[cfg(feature = "reqwest")]
pub use dependency::{Dependencies, DependenciesBuilder, DependencyCheck, TcpCheck};
pub use error::ConfigError;
pub use monitor::{Attempt, Change, HealthStatus, Monitor, Observed, Polled, Streak, Verdict};
pub use probe::{Detail, Failure, Outcome, Probe, Redirects};
#[cfg(feature = "reqwest")]
pub use prober::Prober;
#[cfg(feature = "reqwest")]
pub use runner::{NoRuntime, Runner, RunnerConfig, Watched};
