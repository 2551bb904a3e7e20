//! Prometheus over HTTP.

mod call;
mod clock;
mod config;
mod connection;
mod credentials;
mod endpoints;
mod error;
mod joiner;
mod tls;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use lifecycle_core::backend::{
    BackendResult, HealthCapabilities, HealthQuery, HealthSource, Mark, Reading, Signal,
};
use lifecycle_core::time::Millis;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::metrics::Metrics;
use crate::query::{Clock, Ends, Question, Questions, Server};
use crate::target::Target;
use call::Caller;
use clock::ClockReader;
pub use config::PrometheusConfig;
pub use connection::{ConfigError, Connection, Pem};
pub use error::CallError;
use joiner::Joiner;

/// One Prometheus, shared by the health sources of any number of rollouts. Cheap to clone.
///
/// - The questions of one [`measure`](HealthSource::measure) are asked side by side and have one deadline; one
///   that is late is a transient error, and the others are answered.
/// - Questions of several rollouts that are asked at about the same time are asked as one: see [`PrometheusConfig::joined`].
/// - At most [`PrometheusConfig::concurrency`] questions are on their way at any time, of all rollouts together.
///   The others wait, and their deadline runs.
/// - What is counted since an earlier answer of this source is counted exactly, and by this source alone: another one, also of the
///   same Prometheus, does not know what the earlier answer has ended with. So keep one.
/// - Where it has several addresses, the next one is asked when one does not answer, or not completely; one that is dead is waited
///   for by one question at a time, and while all are, every question fails at once.
/// - Redirects are not followed, proxies of the environment are not used, and answers are read up to a limit.
#[derive(Clone, Debug)]
pub struct PrometheusSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    pods_come_with: Cow<'static, str>,
    settle: Millis,
    deadline: Duration,
    prometheus: Arc<Joiner>,
    alertmanager: Option<Arc<Joiner>>,
    clock: ClockReader,
    ends: Mutex<Ends>,
}

/// The health of one target.
#[derive(Debug)]
struct TargetHealth {
    shared: Arc<Shared>,
    target: Target,
}

impl PrometheusSource {
    /// Prepares to ask this Prometheus. Nothing is sent yet: one that is down now may be up later.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(config: PrometheusConfig) -> Result<Self, ConfigError> {
        let PrometheusConfig {
            prometheus,
            alertmanager,
            mut metrics,
            pods_come_with,
            settle,
            join_within,
            joined,
            limits,
        } = config;
        let joiner = |server, over: &Connection| {
            let caller = Caller::new(server, over, limits)?;
            Ok(Arc::new(Joiner::new(caller, join_within, joined)))
        };
        metrics.alertmanager = alertmanager.is_some();
        let shared = Shared {
            metrics: Arc::new(metrics),
            pods_come_with,
            settle,
            deadline: limits.deadline,
            prometheus: joiner("prometheus", &prometheus)?,
            alertmanager: alertmanager.map(|over| joiner("alertmanager", &over)).transpose()?,
            clock: ClockReader::default(),
            ends: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The health of this target. It knows the named queries that the target has.
    #[must_use]
    pub fn for_target(&self, target: Target) -> Arc<dyn HealthSource> {
        Arc::new(TargetHealth { shared: Arc::clone(&self.shared), target })
    }
}

impl Shared {
    async fn measure(
        &self,
        target: &Target,
        queries: &[HealthQuery],
        clock: Clock,
        deadline: Instant,
    ) -> Vec<BackendResult<Reading>> {
        let mut questions = Questions::new(Arc::clone(&self.metrics), target, queries, clock);
        let mut answers = self.ask_all(questions.questions(), deadline).await;
        let more = self.ask_all(questions.more(&answers), deadline).await;
        answers.extend(more);
        // whoever panicked with it has remembered too little, which costs a look
        questions.readings(&answers, &mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_of_alertmanager(&self, query: &HealthQuery) -> bool {
        query.signal == Signal::CriticalAlerts && self.alertmanager.is_some()
    }

    async fn ask_all(&self, questions: &[Question], deadline: Instant) -> Vec<BackendResult<Arc<Answer>>> {
        join_all(questions.iter().map(|question| self.ask(question, deadline))).await
    }

    async fn ask(&self, question: &Question, deadline: Instant) -> BackendResult<Arc<Answer>> {
        match (question.server(), &self.alertmanager) {
            (Server::Alertmanager, Some(alertmanager)) => alertmanager.ask(question, deadline).await,
            _ => self.prometheus.ask(question, deadline).await,
        }
    }
}

#[async_trait]
impl HealthSource for TargetHealth {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let shared = &*self.shared;
        if queries.is_empty() {
            return Vec::new();
        }
        let deadline = Instant::now() + shared.deadline;
        match shared.clock.read(shared.prometheus.caller(), shared.settle, deadline).await {
            Ok(clock) => shared.measure(&self.target, queries, clock, deadline).await,
            Err(error) => {
                // Alertmanager has a clock of its own
                let alone = |query: &&HealthQuery| shared.is_of_alertmanager(query);
                let of_alertmanager: Vec<HealthQuery> = queries.iter().filter(alone).cloned().collect();
                let no_time = Clock::new(Mark::default(), shared.settle);
                let answers = shared.measure(&self.target, &of_alertmanager, no_time, deadline).await;
                let mut answers = answers.into_iter();
                let answer = |query: &HealthQuery| match shared.is_of_alertmanager(query) {
                    true => answers.next().unwrap_or_else(|| Err(error.clone())),
                    false => Err(error.clone()),
                };
                queries.iter().map(answer).collect()
            }
        }
    }

    fn capabilities(&self) -> HealthCapabilities {
        let able = HealthCapabilities::default().increases();
        if self.shared.metrics.replica.is_empty() { able } else { able.replicas() }
    }

    fn knows(&self, name: &str) -> bool {
        self.target.query(name).is_some()
    }

    fn measures(&self, signal: &Signal) -> bool {
        match signal {
            Signal::Requests | Signal::Latency | Signal::CriticalAlerts => true,
            Signal::Saturation | Signal::Restarts => self.shared.metrics.pods.is_some(),
            Signal::Named(name) => self.knows(name),
            _ => false,
        }
    }

    fn lack(&self, signal: &Signal) -> Option<String> {
        let of_pods = matches!(signal, Signal::Saturation | Signal::Restarts);
        let with = &self.shared.pods_come_with;
        (of_pods && !self.measures(signal))
            .then(|| format!("Prometheus measures that only with {with}; give it, or leave the check away"))
    }
}
