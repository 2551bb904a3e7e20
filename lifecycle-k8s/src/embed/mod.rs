//! What a controller for a resource of your own is made of: the engine with the backends of Kubernetes, put together
//! for one object, whatever its kind.
//!
//! [`Rollouts`] keeps one [`Rollout`] for each object. A reconciliation asks for the object's, follows what the object
//! wants now, takes the steps that are due, and comes back when it is told to. The resource needs a status with a
//! field `rollout` of type string, which holds all that the engine has to remember. Everything that is made belongs to
//! the object by an owner reference, and goes with it; a Service that a blue-green rollout has borrowed does not: give it
//! back with [`Rollout::release`], from a finalizer of your own.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//!
//! use kube::runtime::controller::Action;
//! use lifecycle_core::spec::Manifest;
//! use lifecycle_k8s::client::WithStatus;
//! use lifecycle_k8s::embed::{Rollouts, Wanted, again, now};
//!
//! /// `manifest` says what an object asks for, in the words of the engine.
//! async fn reconcile<K: WithStatus>(
//!     object: Arc<K>,
//!     rollouts: Arc<Rollouts<K>>,
//!     manifest: fn(&K) -> Manifest,
//! ) -> Result<Action, Box<dyn std::error::Error>> {
//!     let Some(rollout) = rollouts.of(&object) else { return Ok(Action::await_change()) };
//!     let mut rollout = rollout.lock().await;
//!     if rollout.is_behind(&object) {
//!         rollout.follow(&object, &Wanted::new(&manifest(&object).spec))?;
//!     }
//!     let tick = rollout.tick(now()).await?;
//!     Ok(again(tick.as_ref()))
//! }
//! ```
//!
//! `examples/controller.rs` is a whole program.

mod cluster;
mod patience;
mod rollout;
mod rollouts;
mod wanted;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kube::runtime::controller::Action;
use lifecycle_core::driver::Tick;
use lifecycle_core::time::Timestamp;

pub(crate) use cluster::key;
pub use cluster::{Cluster, Key};
pub(crate) use patience::pause;
pub use rollout::Rollout;
pub(crate) use rollouts::Entries;
pub use rollouts::Rollouts;
pub use wanted::{NotFollowed, Wanted};

/// The machine is never woken faster than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// When to look again after calls that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The time, for [`Rollout::tick`]. The machine counts only bounded spans between two looks, so this clock may jump.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// When to look again after a tick, if nothing changes before.
#[must_use]
pub fn again(tick: Option<&Tick>) -> Action {
    let wake = tick.and_then(wakes_in);
    let retry = tick.filter(|tick| !tick.errors.is_empty()).map(|_| RETRY);
    wake.into_iter().chain(retry).min().map_or_else(Action::await_change, Action::requeue)
}

/// How long until the machine wants to look again.
pub(crate) fn wakes_in(tick: &Tick) -> Option<Duration> {
    tick.wake_at.map(|at| Duration::from(at.since(now())).max(SHORTEST_WAIT))
}
