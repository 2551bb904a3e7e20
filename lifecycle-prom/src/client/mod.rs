//! Prometheus over HTTP.

mod call;
mod config;

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, HealthQuery, HealthSource, Reading};
use tokio::time::Instant;

use crate::query::Questions;
use crate::target::Target;
use call::Caller;
pub use config::{ConfigError, PrometheusConfig};

/// One Prometheus, shared by the health sources of any number of rollouts. Cheap to clone.
///
/// - The questions of one [`measure`](HealthSource::measure) are asked side by side and have one deadline; one
///   that is late is a transient error, and the others are answered.
/// - At most [`PrometheusConfig::concurrency`] questions are on their way at any time, of all rollouts together.
///   The others wait, and their deadline runs.
/// - Redirects are not followed, proxies of the environment are not used, and answers are read up to a limit.
#[derive(Clone, Debug)]
pub struct PrometheusSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: PrometheusConfig,
    caller: Caller,
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
        let caller = Caller::new(&config)?;
        Ok(Self { shared: Arc::new(Shared { config, caller }) })
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
        let Shared { config, caller } = &*self.shared;
        let questions = Questions::new(&config.metrics, &self.target, queries);
        let deadline = Instant::now() + config.deadline;
        let asked = questions.promql().iter().map(|promql| caller.ask(promql, deadline));
        questions.readings(&futures::future::join_all(asked).await)
    }

    fn knows(&self, name: &str) -> bool {
        self.target.query(name).is_some()
    }
}
