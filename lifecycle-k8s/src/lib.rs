//! Rollouts on Kubernetes.
//!
//! Each revision of an `AgentDeployment` is one child Deployment; the machine of `lifecycle-core` moves their
//! sizes and the selector of a Service, and pods are kept by the Deployment controller. Data flows one way:
//!
//! ```text
//! watches -> look (pure: facts) -> client (the backends) -> controller (ticks the driver) -> object (pure: writes)
//! ```
//!
//! - [`crd`]: the resource, its schema and its status. [`names`]: every label and annotation.
//! - [`look`]: what pods, Deployments, Services and endpoints mean for a rollout.
//! - [`object`]: what is written.
//! - [`status`]: what people are shown. [`rbac`]: what the operator may do.
//! - `client` (feature `kube`): caches and the backends `Workload`, `TrafficRouter`, `RolloutStore`, usable under a
//!   resource of your own.
//! - `embed` (feature `kube`): the same put together for one object, to start a controller of your own from.
//! - `controller` (feature `kube`): the controller of `AgentDeployment`s.

#[cfg(feature = "kube")]
pub mod client;
#[cfg(feature = "kube")]
pub mod controller;
pub mod crd;
#[cfg(feature = "kube")]
pub mod embed;
pub mod look;
pub mod names;
pub mod object;
pub mod rbac;
pub mod status;
mod text;
mod yaml;
