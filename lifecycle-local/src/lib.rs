//! Rollouts of real processes on one machine, without a cluster.
//!
//! - [`LocalWorkload`] runs each replica as a process of its own, which outlives its supervisor;
//! - [`proxy`] is a reverse proxy in a process of its own, which outlives it too, with weights that
//!   switch atomically ([`LocalRouter`]);
//! - [`LocalHealth`] answers from the proxy's own exact counts;
//! - [`Local`] opens a state directory and puts them together as the [`Backends`] of a driver.
//!
//! Killing the driver at any time loses no request: processes and proxy go on, and the next
//! [`Local::open`] finds them again by pid and start time.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use lifecycle_core::backend::store::MemoryStore;
//! use lifecycle_core::version::{parse_version, revision_hash};
//! use lifecycle_local::{Local, LocalConfig, ProcessTemplate, ProxyCommand};
//!
//! // A program that calls `lifecycle_local::proxy::serve_file` with its last argument.
//! let proxy = ProxyCommand::new("/usr/local/bin/lifecycle", ["proxy"]);
//! let local = Local::open(LocalConfig::new("state", "127.0.0.1:8080".parse()?, proxy)).await?;
//!
//! let template = serde_json::json!({"command": ["./agent", "--port", "{port}"]});
//! let version = parse_version("1.5.0")?;
//! let hash = revision_hash(&version, &template);
//! local.register(&hash, &version, ProcessTemplate::parse(&template)?).await?;
//! let backends = local.backends(Arc::new(MemoryStore::new()));
//! // ... a `lifecycle_core::driver::Driver` with these backends does the rest
//! # Ok(()) }
//! ```
//!
//! # What it needs
//! Linux: processes are told apart by `/proc`.
//!
//! [`Backends`]: lifecycle_core::backend::Backends

mod background;
mod config;
mod control;
mod error;
mod files;
mod health;
mod hook;
mod http;
mod local;
mod look;
mod notify;
mod paths;
mod process;
pub mod proxy;
mod router;
mod shutdown;
pub mod supervise;
mod template;

pub use config::{Backoff, LocalConfig, Probe, Probes, ProxyCommand};
pub use error::LocalError;
pub use health::LocalHealth;
pub use hook::HttpHook;
pub use local::{Local, LocalStatus, kill_everything};
pub use look::{Seen, SeenReplica, look};
pub use notify::FileNotifier;
pub use process::{Changes, LocalWorkload, ReplicaState, ReplicaStatus, TOKEN_VARIABLE};
pub use router::LocalRouter;
pub use shutdown::{ShutDown, forget, shut_down};
pub use template::ProcessTemplate;
