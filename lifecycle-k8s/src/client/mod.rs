//! The backends on the API: what the watches brought in, and writes that carry what they were decided on.

mod api;
mod caches;
mod error;
mod index;
mod router;
mod store;
mod workload;

pub use api::{Object, Part, Writer};
pub(crate) use caches::Changed;
pub use caches::{Caches, CachesTask, Scope};
pub use error::{backend_error, describe};
pub use index::{Index, IndexTrouble};
pub use router::KubeRouter;
pub use store::{Show, StatusStore};
pub use workload::KubeWorkload;
