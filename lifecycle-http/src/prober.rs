//! What asks a target.

use std::fmt::Debug;

use async_trait::async_trait;
use lifecycle_core::time::Millis;

use crate::probe::{Outcome, Probe};

/// Asks one target, once a call. [`HttpProber`](crate::HttpProber) does so over HTTP.
///
/// # Contract
/// - It answers within `timeout`, and says [`Failure::Timeout`](crate::Failure::Timeout) when it could not
///   know by then. Whoever calls does not wait longer.
/// - Whatever goes wrong is an [`Outcome`]. [`Probe::judge`] says what a status counts as.
/// - Cancel safety: a dropped call leaves nothing behind, no connection and no task.
#[async_trait]
pub trait Prober: Send + Sync + Debug {
    /// Asks for the path of this probe.
    async fn probe(&self, probe: &Probe, timeout: Millis) -> Outcome;
}
