//! The backends on the API: what the watches brought in, and writes that carry what they were decided on.

mod api;
mod caches;
mod error;
mod index;
mod lean;
mod pauses;
mod router;
mod store;
mod workload;

pub use api::{Object, Part, Writer};
pub use caches::{Caches, CachesTask, Changed, Scope};
pub use error::{backend_error, describe};
pub use index::{Index, IndexTrouble};
pub(crate) use lean::watch;
pub use router::KubeRouter;
pub use store::{Show, StatusStore, WithStatus};
pub use workload::KubeWorkload;
