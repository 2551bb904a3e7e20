//! Health over HTTP: whether others are well, and whether one is well oneself.
//!
//! Three parts, of which the first does no I/O and needs no runtime:
//! - [`Monitor`] decides when a target is probed and what its answers mean; [`Probe`] says how.
//! - `ProbeClient` makes probers over HTTP, and `Runner` drives any number of monitors with them.
//! - `Dependencies` checks what a service needs and makes the answer to `GET /ready`, a [`ReadyReport`];
//!   [`Alive`] is the answer to `GET /health`.
//!
//! The parts that do I/O are there with the feature `reqwest`, which is on by default. No web framework is
//! needed: an answer is a status code and something that serde serialises.
//!
//! ```
//! # #[cfg(feature = "reqwest")] mod needs_reqwest {
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use lifecycle_http::{
//!     ClientConfig, Dependencies, Probe, ProbeClient, ReadyReport, Runner, RunnerConfig, TcpCheck, Watched,
//! };
//!
//! /// Watches whether an agent is ready. What is returned knows it; dropping it or the runner ends the probes.
//! fn watch(agent: &str) -> Result<(Runner, Watched), Box<dyn Error>> {
//!     let client = ProbeClient::new(ClientConfig::default())?;
//!     let runner = Runner::new(RunnerConfig::default().on_change(|name, change| println!("{name}: {change}")))?;
//!     let watched = runner.watch("edge-agent", Probe::readiness(), Arc::new(client.prober(agent)?));
//!     Ok((runner, watched))
//! }
//!
//! /// What the service itself needs. Its handler of `GET /ready` calls `ready` and answers with the status
//! /// code of the report and the report as JSON.
//! fn needs(database: &str, inference: &str) -> Result<Dependencies, Box<dyn Error>> {
//!     let client = ProbeClient::new(ClientConfig::default())?;
//!     Ok(Dependencies::builder()
//!         .required("database", Duration::from_secs(1), Arc::new(TcpCheck::new(database)?))
//!         .optional("inference", Duration::from_secs(1), Arc::new(client.check(inference)?))
//!         .build()?)
//! }
//!
//! async fn answer(needs: &Dependencies) -> serde_json::Result<(u16, String)> {
//!     let report: ReadyReport = needs.ready().await;
//!     Ok((report.status_code(), serde_json::to_string(&report)?))
//! }
//! # }
//! ```
//!
//! # What is a pass
//! - A status from 200 to 399, as the kubelet has it, in an answer that is whole within the timeout. Redirects
//!   are not followed, and fail unless [`Redirects::Pass`] is set: see there.
//! - Everything else is a [`Failure`], which names the reason.
//! - No data is never a pass. A verdict is [`Unknown`](Verdict::Unknown) until a threshold was reached, and
//!   again when nobody probes any more; a dependency that could not be checked in time has failed.
//!
//! # What changes a verdict
//! So many results of one kind in a row, and nothing else: no answer that came late, twice or out of order, no
//! gap in which nobody looked, no clock that jumped. Every [`Change`] carries the numbers it is based on, and
//! is a sentence for people. [`Monitor`] has the whole contract, and that of the schedule.
//!
//! # What is bounded
//! The time of every probe and check, the probes that are on their way at once, how much of an answer is read,
//! how much text of other people is kept, and how often a dependency is checked, whoever asks.
//!
//! # What is kept secret
//! Names and passwords in addresses, headers and private keys appear in no error and no debug output. What a
//! dependency answers is for the log of the service; `/ready`, which anybody may ask for, names the reason
//! alone.

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
