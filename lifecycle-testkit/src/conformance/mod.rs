//! Suites that any backend can run against itself: the written contract of each trait, case by case.
//!
//! A suite takes a factory that makes a fresh *bench* for every case: the backend under test, and
//! what the suite needs around it. Time is the bench's own ([`Environment::advance`]): a simulated
//! backend jumps its virtual clock, a real one sleeps. What a bench cannot do (kill a replica, send
//! requests) it says, and the cases that need it are reported as not applicable, with that reason:
//! nothing is skipped silently.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use lifecycle_core::backend::{BackendResult, RolloutStore, store::MemoryStore};
//! use lifecycle_testkit::conformance::{self, Able, StoreBench, Unable};
//!
//! struct InMemory(Arc<MemoryStore>);
//!
//! #[async_trait::async_trait]
//! impl StoreBench for InMemory {
//!     async fn open(&self) -> BackendResult<Arc<dyn RolloutStore>> {
//!         Ok(self.0.clone())
//!     }
//!     fn outlives_the_process(&self) -> Able<()> {
//!         Err(Unable::new("the record is kept in memory"))
//!     }
//! }
//!
//! # async fn example() {
//! let report = conformance::rollout_store(|| async { Ok(InMemory(Arc::default())) }).await;
//! report.verify().unwrap();
//! # }
//! # lifecycle_testkit::cluster::at_once(example()).unwrap();
//! ```

mod health;
mod report;
mod router;
mod store;
mod suite;
mod workload;

#[cfg(test)]
mod tests;

use std::fmt;

use async_trait::async_trait;
use lifecycle_core::time::Millis;

pub use health::{HealthBench, Traffic, health_source};
pub use report::{Case, Nonconformance, Outcome, Report};
pub use router::{RouterBench, Sent, router};
pub use store::{StoreBench, rollout_store};
pub use workload::{WorkloadBench, workload};

/// What lets a suite wait.
#[async_trait]
pub trait Environment: Send + Sync {
    /// Lets this much of the backend's time pass: jumps a virtual clock, or sleeps.
    async fn advance(&self, span: Millis);

    /// How long a suite waits at most for what the backend does in its own time: replicas that start,
    /// a route that takes effect, a measurement that comes in. Default 60 s.
    fn patience(&self) -> Millis {
        Millis::from_secs(60)
    }

    /// How often a suite looks while it waits. Default 100 ms.
    fn pace(&self) -> Millis {
        Millis(100)
    }

    /// How long nothing must happen before a suite believes that nothing will. Default 3 s.
    fn quiet(&self) -> Millis {
        Millis::from_secs(3)
    }
}

/// A bench cannot do this, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unable {
    /// Why, for the report.
    pub why: String,
}

impl Unable {
    /// A bench that cannot do it for this reason.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What a bench can do, or why it cannot.
pub type Able<T> = Result<T, Unable>;
