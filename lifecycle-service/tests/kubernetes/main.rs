//! The operator on a real API server: as a process of its own, under its own ServiceAccount with exactly the
//! rules that `lifecycle rbac` prints, with pods that are real processes, a real Prometheus and real load.
//! `just e2e` runs it.

#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

mod bad_input;
mod commands;
mod crashes;
mod documented;
mod ending;
mod example_controller;
mod faults;
mod hooks;
mod judged;
mod keeping;
mod late_service;
mod nodes;
mod orders;
mod quiet;
mod resumed;
mod services;
mod strategies;
mod support;
