//! Placeholder.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]
#[test]
fn nothing() {}
