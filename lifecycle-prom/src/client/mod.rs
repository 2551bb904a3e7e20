//! Prometheus over HTTP.

mod call;
mod clock;
mod config;
mod connection;
mod credentials;
mod endpoints;
mod tls;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, HealthCapabilities, HealthQuery, HealthSource, Reading};
use tokio::time::Instant;

use crate::answer;
use crate::query::{Ends, Questions};
use crate::target::Target;
use call::{Caller, Request};
use clock::ClockReader;
pub use config::PrometheusConfig;
pub use connection::{ConfigError, Connection, Pem};

/// One Prometheus, shared by the health sources of any number of rollouts. Cheap to clone.
///
/// - The questions of one [`measure`](HealthSource::measure) are asked side by side and have one deadline; one
///   that is late is a transient error, and the others are answered.
/// - At most [`PrometheusConfig::concurrency`] questions are on their way at any time, of all rollouts together.
///   The others wait, and their deadline runs.
/// - What is counted since an earlier answer of this source is counted exactly, and by this source alone: another one, also of the
///   same Prometheus, does not know what the earlier answer has ended with. So keep one.
/// - Where it has several addresses, the next one is asked when one does not answer; one that is dead is waited for by one question
///   at a time, and while all are, every question fails at once.
/// - Redirects are not followed, proxies of the environment are not used, and answers are read up to a limit.
#[derive(Clone, Debug)]
pub struct PrometheusSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: PrometheusConfig,
    caller: Caller,
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
        let caller = Caller::new(&config.prometheus, config.limits)?;
        let shared = Shared { config, caller, clock: ClockReader::default(), ends: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The health of this target. It knows the named queries that the target has.
    #[must_use]
    pub fn for_target(&self, target: Target) -> Arc<dyn HealthSource> {
        Arc::new(TargetHealth { shared: Arc::clone(&self.shared), target })
    }
}

#[async_trait]
impl HealthSource for TargetHealth {
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>> {
        let Shared { config, caller, clock, ends } = &*self.shared;
        if queries.is_empty() {
            return Vec::new();
        }
        let deadline = Instant::now() + config.limits.deadline;
        let clock = match clock.read(caller, config.settle, deadline).await {
            Ok(clock) => clock,
            Err(error) => return vec![Err(error); queries.len()],
        };
        let questions = Questions::new(&config.metrics, &self.target, queries, clock);
        let asked = questions.questions().iter().map(async |question| {
            let form = question.parameters();
            caller.ask(Request::Form(question.path(), &form), answer::read, deadline).await
        });
        let answers = futures::future::join_all(asked).await;
        // whoever panicked with it has remembered too little, which costs a look
        questions.readings(&answers, &mut ends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn capabilities(&self) -> HealthCapabilities {
        let able = HealthCapabilities::default().increases();
        if self.shared.config.metrics.replica.is_empty() { able } else { able.replicas() }
    }

    fn knows(&self, name: &str) -> bool {
        self.target.query(name).is_some()
    }
}
