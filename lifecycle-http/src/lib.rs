//! Health over HTTP.

mod error;
mod monitor;
mod probe;

pub use error::ConfigError;
pub use monitor::{Attempt, Change, HealthStatus, Monitor, Observed, Polled, Streak, Verdict};
pub use probe::{Detail, Failure, Outcome, Probe, Redirects};
