//! The node against a real control plane: pods are processes with real HTTP.
//!
//! `just e2e` builds what this needs: `target/control-plane` and `agent-app`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod end;
mod faults;
mod lost;
mod restart;
mod run;
mod start;
mod world;
