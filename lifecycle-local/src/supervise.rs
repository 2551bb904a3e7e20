//! One process at a time, for whoever decides about processes by rules of their own: what
//! [`LocalWorkload`](crate::LocalWorkload) starts, watches and ends its replicas with.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use lifecycle_local::supervise::{HttpProbe, Launch, kill_all};
//!
//! let process = Launch::new("./agent", "mine-1", "agent.log").args(["--port", "8080"]).start()?;
//! HttpProbe::new("127.0.0.1", 8080, "/ready").ask().await?;
//! process.terminate();
//! process.ended().await;
//! println!("{:?}", process.reap());
//! kill_all("mine", Duration::from_secs(5))?;
//! # Ok(()) }
//! ```

pub use crate::process::kill::{kill_all, kill_rest};
pub use crate::process::probe::HttpProbe;
pub use crate::process::procfs::{Exit, ProcessId};
pub use crate::process::spawn::{Launch, LaunchError};
