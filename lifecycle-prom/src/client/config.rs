//! How Prometheus is asked.

use std::borrow::Cow;
use std::time::Duration;

use lifecycle_core::time::Millis;

use super::connection::{ConfigError, Connection};
use crate::metrics::Metrics;

/// Where Prometheus is, how it is asked, and what its metrics are called.
///
/// # Example
/// ```
/// # use lifecycle_prom::{Connection, Metrics, PrometheusConfig};
/// let config = PrometheusConfig::new("http://prometheus.monitoring:9090")?.metrics(Metrics::istio());
/// let thanos = Connection::new("https://thanos.example.com")?.bearer_token("secret")?;
/// let config = PrometheusConfig::over(thanos);
/// # Ok::<(), lifecycle_prom::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PrometheusConfig {
    pub(super) prometheus: Connection,
    pub(super) alertmanager: Option<Connection>,
    pub(super) metrics: Metrics,
    pub(super) pods_come_with: Cow<'static, str>,
    pub(super) settle: Millis,
    pub(super) join_within: Duration,
    pub(super) joined: usize,
    pub(super) limits: Limits,
}

/// What one call may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) rest: Duration,
    pub(super) max_answer_bytes: usize,
    pub(super) concurrency: usize,
}

impl PrometheusConfig {
    /// The Prometheus at this address: see [`Connection::new`].
    ///
    /// # Errors
    /// When it is not the address of an HTTP server.
    pub fn new(address: &str) -> Result<Self, ConfigError> {
        Ok(Self::over(Connection::new(address)?))
    }

    /// The Prometheus, or whatever has its API, over this connection.
    pub fn over(prometheus: Connection) -> Self {
        Self {
            prometheus,
            alertmanager: None,
            metrics: Metrics::default(),
            pods_come_with: Cow::Borrowed("Metrics::pods"),
            settle: Millis::from_secs(1),
            join_within: Duration::from_millis(20),
            joined: 100,
            limits: Limits {
                deadline: Duration::from_secs(5),
                rest: Duration::from_secs(1),
                max_answer_bytes: 8 << 20,
                concurrency: 16,
            },
        }
    }

    /// Takes critical alerts from this Alertmanager, where those that are silenced or inhibited do not count, instead of from the
    /// series `ALERTS` of Prometheus.
    pub fn alertmanager(mut self, alertmanager: Connection) -> Self {
        self.alertmanager = Some(alertmanager);
        self
    }

    /// How long the questions of one look may take together, at all addresses together. Default 5 s. Where there are several
    /// addresses each gets its share of what is left, so that one that does not answer leaves time for the next.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// For how long an address that failed is tried last, and one that failed twice in a row is not tried at all; then it is
    /// tried by one question. Default 1 s, which is shorter than any time between two looks should be: a look never fails because of
    /// an earlier one. While no address is left, questions fail at once, so that nobody waits for a server
    /// that is known to be dead.
    pub const fn rest(mut self, rest: Duration) -> Self {
        self.limits.rest = rest;
        self
    }

    /// How many deployments may share a question. Default 100; with 1 each asks for itself. Where Prometheus refuses a question, or its
    /// answer is incomplete or too large, each half of them is asked for in its place within the same deadline, and so on:
    /// fewer than twice as many questions as deployments, and only those that are refused by themselves get the error. Where it was
    /// too much for none of them but for all together, took too long, or left no time to ask for less, half as many share one for ten
    /// minutes.
    pub fn joined(mut self, deployments: usize) -> Self {
        self.joined = deployments.max(1);
        self
    }

    /// How long a question waits for others to share it with, once in each look, whose questions wait side by side. Default 20 ms, and
    /// 1 ms more for each question that was asked in the second before, up to 250 ms.
    pub const fn join_within(mut self, time: Duration) -> Self {
        self.join_within = time;
        self
    }

    /// The largest answer that is read. Default 8 MiB: what is larger does not aggregate.
    pub const fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_answer_bytes = bytes;
        self
    }

    /// How many questions may be on their way, of all rollouts together. Default 16: a Prometheus answers 20
    /// at a time unless it is told otherwise.
    pub fn concurrency(mut self, questions: usize) -> Self {
        self.limits.concurrency = questions.max(1);
        self
    }

    /// How long it takes until what was scraped is stored: about as long as the slowest replica takes to show its metrics.
    /// Default 1 s. What is counted ends that much before now. Too short a time costs looks, never exactness: see
    /// [`Ends`](crate::query::Ends).
    pub const fn settle(mut self, time: Millis) -> Self {
        self.settle = time;
        self
    }

    /// What metrics and labels are called.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// What whoever runs this has to give so that there are [metrics of pods](Metrics::pods), such as a flag: a check of saturation or
    /// restarts that is refused without them names it. Default `Metrics::pods`.
    pub fn pods_come_with(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.pods_come_with = what.into();
        self
    }
}
