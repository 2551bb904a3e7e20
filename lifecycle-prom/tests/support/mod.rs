//! What the tests share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test uses all of it; one that fails says so by panicking"
)]
#![allow(clippy::missing_panics_doc, missing_docs, unreachable_pub, reason = "for tests only")]

#[cfg(feature = "e2e")]
pub mod alertmanager;
#[cfg(feature = "e2e")]
pub mod program;
#[cfg(feature = "e2e")]
pub mod prometheus;
#[cfg(feature = "e2e")]
pub mod protobuf;
pub mod server;

use lifecycle_core::backend::{HealthQuery, Signal};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

/// The revision with this hash.
pub fn revision(hash: &str) -> Revision {
    Revision::new(RevisionNumber(1), hash, parse_version("1.5.0").unwrap())
}

/// This signal of the revision with this hash, over a trailing window.
pub fn query(signal: Signal, hash: &str, window: Millis) -> HealthQuery {
    HealthQuery::new(signal, revision(hash), window)
}
