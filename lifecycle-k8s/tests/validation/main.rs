//! What a real API server accepts, refuses and says: `just e2e`.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod cluster;
#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod meaning;
mod messages;
