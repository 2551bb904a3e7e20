//! Prometheus as the judge of a rollout.
//!
//! [`query`] writes PromQL and [`answer`] reads what came back, both without I/O. `client` (feature
//! `reqwest`, on by default) puts HTTP between the two: [`PrometheusSource`] is one connection for
//! any number of rollouts, and [`PrometheusSource::for_target`] a
//! [`HealthSource`](lifecycle_core::backend::HealthSource) for one of them.
//!
//! ```no_run
//! # #[cfg(feature = "reqwest")] {
//! # use lifecycle_prom::{PrometheusConfig, PrometheusSource, Target};
//! let source = PrometheusSource::new(PrometheusConfig::new("http://prometheus.monitoring:9090")?)?;
//! let health = source.for_target(Target::new("default", "edge-agent"));
//! # let _ = health;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is expected of the metrics
//! By default a counter `http_requests_total` with the label `code`, a classic histogram
//! `http_request_duration_seconds`, and on both of them, as on alerts, the labels `namespace`, `agent`
//! (the name of the AgentDeployment) and `revision` (its hash). On Kubernetes the last two are the
//! labels `enis.andaon.com/agent` and `enis.andaon.com/revision` of the pods, to be relabelled by the
//! scrape configuration. [`Metrics`] changes each of these names.
//!
//! # What an answer covers
//! A window of 30 s should hold some scrapes: with one scrape in 15 s it holds two. What is counted,
//! and how exactly, is said at [`query`].

pub mod answer;
#[cfg(feature = "reqwest")]
mod client;
mod metrics;
pub mod query;
mod target;

#[cfg(feature = "reqwest")]
pub use client::{ConfigError, Connection, Pem, PrometheusConfig, PrometheusSource};
pub use metrics::{DurationUnit, Metrics, NameError};
pub use target::Target;
