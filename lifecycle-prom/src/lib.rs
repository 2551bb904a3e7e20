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
//! scrape configuration. [`Metrics`] changes each of these names. Saturation and restarts are measured where [`PodMetrics`]
//! are given.
//!
//! # What an answer covers
//! A window of 30 s should hold some scrapes: with one scrape in 15 s it holds two. What is counted,
//! and how exactly, is said at [`query`].
//!
//! # When there is no answer
//! Each state has a name: a variant of `CallError` for the way to Prometheus (feature `reqwest`) and of [`answer::AnswerError`] for what
//! came back. They are the [source](std::error::Error::source) of the
//! [`BackendError`](lifecycle_core::backend::BackendError) that whoever asked gets, and its text. Nothing is ever dressed up as a number.
//!
//! | state | answer | name |
//! |---|---|---|
//! | Prometheus is down, or a connection breaks | error, transient | `CallError::Unreachable` |
//! | known to be down: nothing is sent | error, of the kind it had | `CallError::Dead` |
//! | slow: the deadline is over | error, transient | `CallError::Late` |
//! | slow: Prometheus itself gave up | error, transient | `Refused`, type `timeout` |
//! | TLS fails | error, invalid; unauthorized where the server refused | `CallError::Tls` |
//! | the token cannot be read | error, unauthorized | `CallError::Token` |
//! | unauthorized (401, 403, 407) | error, unauthorized | `Status` |
//! | overloaded or broken (408, 425, 429, 5xx) | error, transient | `Status`, `Refused` |
//! | a redirect | error, invalid | `Redirect` |
//! | HTML, as of a login page | error, invalid | `Html` |
//! | anything else that is no answer of the API | error, invalid | `NotTheApi` |
//! | larger than is read | error, invalid | `TooLarge` |
//! | the query is wrong, or fails | error, invalid | `Refused`, type `bad_data` or `execution` |
//! | incomplete: the answer has warnings | error, transient | `Incomplete` |
//! | a string, or values over time | error, invalid | `WrongType` |
//! | several series where one is expected | error, invalid | `ManySeries` |
//! | NaN or infinite, of a query of the user's | [`Reading::Scalar`] with it | |
//! | NaN, infinite or negative, of what is counted | error, invalid | `NotACount` |
//! | buckets that make no histogram | error, invalid | `Buckets` |
//! | a native histogram where none is expected, or the other way round | error, invalid | `NativeHistogram`, `NotNative` |
//! | empty: no series, or none with a scrape in the window | [`Reading::NoData`] | |
//! | not scraped any more: the scrapes of all replicas fail, or all are gone; in a window | [`Reading::NoData`] | |
//! | series without traffic | a count of 0 requests | |
//! | stale: the newest scrape is older than 150 s | error, transient | `Stale` |
//! | a part of the pods was not measured, of saturation and restarts | error, transient | `Partial` |
//! | the same, and they are younger than the window | [`Reading::NoData`] | |
//! | a part of the replicas is not scraped any more, in a window | counts, of those up to their last scrape | |
//! | a counter was reset, in a window | counts, estimated | |
//! | a counter was reset, or nothing can be told, since a mark | [`Reading::Increase`] without a count | |
//! | the clock of Prometheus is behind a mark | error, transient | `Clock` |
//! | an answer about another moment | error, invalid | `AnotherMoment` |
//! | no such query in the manifest, or it cannot be filled in | error, not found; invalid | `UnknownQuery`, `CannotFillIn` |
//! | something that Prometheus is not asked for | error, unsupported; invalid | `NotMeasured`, `Bins` |
//!
//! What the machine does with it, with the limits of the manifest:
//!
//! | answer | a check is | then |
//! |---|---|---|
//! | an error of any kind | in error | the bake stands still; `consecutiveErrorLimit` (4) of them in a row pause the rollout: `MeasurementErrors` |
//! | NaN or infinite | in error | the same |
//! | an increase without a count | in error | the same; the next look counts from its end |
//! | durations by whose buckets a latency cannot be judged | in error | the same, but it is paused with `NoBound` |
//! | no data; of a window also 0 requests | without data | the bake stands still; 5 min of it pause the rollout: `NoData` |
//! | 0 requests since a mark, of one arm | silent | the next look counts from where this one did; a minute of it is no data |
//! | fewer than `minRequests` | waiting | it neither passes nor fails; the bake is extended up to `progressDeadline` |
//! | enough requests, or a number | a pass or a failure | `failureLimit` |
//!
//! [`Reading::Scalar`]: lifecycle_core::backend::Reading::Scalar
//! [`Reading::NoData`]: lifecycle_core::backend::Reading::NoData
//! [`Reading::Increase`]: lifecycle_core::backend::Reading::Increase

pub mod answer;
#[cfg(feature = "reqwest")]
mod client;
mod metrics;
pub mod query;
mod target;

#[cfg(feature = "reqwest")]
pub use client::{CallError, ConfigError, Connection, Pem, PrometheusConfig, PrometheusSource};
pub use metrics::{DurationUnit, Metrics, NameError, PodMetrics};
pub use target::Target;
