//! Progressive delivery as a pure, replayable machine: rolling, blue-green, canary and recreate rollouts
//! with analysis and automatic rollback, for any backend.
//!
//! # The loop
//!
//! A [`Strategy`](strategy::Strategy) compiles a [spec](spec::Manifest) to a [`Plan`](plan::Plan): a
//! bounded, valid list of steps. One [machine] runs every plan. It is a function:
//!
//! ```text
//! step(&Plan, &State, now, &Observation) -> Transition { state, actions, events, wake_at, save }
//! ```
//!
//! A [`Driver`](driver::Driver) puts it to work: each [`tick`](driver::Driver::tick) observes the
//! [backends](backend), steps, saves the state, applies the actions, once. It sleeps nowhere; the caller
//! waits until [`wake_at`](driver::Tick::wake_at) or an event and ticks again:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use async_trait::async_trait;
//! use lifecycle_core::backend::store::MemoryStore;
//! use lifecycle_core::backend::{BackendResult, Backends, GroupStatus, ScaleWish, Workload};
//! use lifecycle_core::driver::Driver;
//! use lifecycle_core::spec::Manifest;
//! use lifecycle_core::strategy::{self, PlanContext};
//! use lifecycle_core::time::Timestamp;
//!
//! /// A workload whose replicas are there as soon as they are wished for.
//! #[derive(Debug, Default)]
//! struct Instant(Mutex<Vec<GroupStatus>>);
//!
//! #[async_trait]
//! impl Workload for Instant {
//!     async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
//!         Ok(self.0.lock().unwrap().clone())
//!     }
//!
//!     async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
//!         let mut groups = self.0.lock().unwrap();
//!         groups.retain(|group| group.revision != wish.revision);
//!         let mut group = GroupStatus::empty(wish.revision.clone());
//!         group.token = wish.token;
//!         (group.desired, group.created) = (wish.replicas, wish.replicas);
//!         (group.ready, group.available) = (wish.replicas, wish.replicas);
//!         groups.push(group);
//!         Ok(())
//!     }
//! }
//!
//! # fn block_on<F: std::future::Future>(future: F) -> F::Output {
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     let mut future = std::pin::pin!(future);
//! #     loop { if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut context) { return out } }
//! # }
//! # block_on(async {
//! let manifest = Manifest::from_yaml("
//! apiVersion: enis.andaon.com/v1
//! kind: AgentDeployment
//! metadata: {name: edge-agent}
//! spec:
//!   version: 1.5.0
//!   replicas: 3
//!   rolling: {window: 30s}
//!   analysis: {checks: []}
//! ")?;
//! let backends = Backends::new(Arc::new(Instant::default()), Arc::new(MemoryStore::new()));
//! let target = strategy::compile(&manifest.spec, &PlanContext::of(&backends))?;
//! let mut driver = Driver::new(target, backends)?;
//!
//! let mut now = Timestamp::ZERO; // a program shows its clock; this one jumps to each wake-up
//! let mut told = Vec::new();
//! loop {
//!     let tick = driver.tick(now).await?;
//!     told.extend(tick.events.iter().map(|event| event.kind.name()));
//!     match tick.wake_at {
//!         Some(wake) => now = wake,
//!         None => break, // nothing is left to do
//!     }
//! }
//! assert_eq!(told, ["RolloutStarted", "StepStarted", "Scaled", "GatePassed", "Promoted"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What holds
//!
//! - **The machine does no I/O, reads no clock, draws no random number and has no error to return.** A
//!   backend that could not answer is an observation.
//! - **Actions are idempotent wishes, acknowledged by observation.** A lost, repeated or late write needs
//!   no special case; a [`Token`](backend::Token) fences off what is too late.
//! - **State is saved before its actions are applied.** A crash anywhere is a reload.
//! - **Every decision is an [`Event`](machine::Event)** with its reason and its numbers.
//!
//! The safety and liveness properties, their checker, a simulated cluster and conformance suites for
//! backends are in `lifecycle-testkit`.

pub mod analysis;
pub mod backend;
pub mod driver;
pub mod machine;
pub mod plan;
pub mod report;
pub mod spec;
pub mod stats;
pub mod strategy;
pub mod time;
pub mod version;

/// The code of the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Readme;
