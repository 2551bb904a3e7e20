//! The machine, checked exhaustively for small N: every interleaving of ticks, crashes between any two
//! effects, lost, repeated and late writes, failing replicas, verdicts, commands and newer specs. The
//! recipe `model` walks larger ones (`model_large.rs`).
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod model_support;

use model_support::{check, check_first};

#[test]
fn rolling_keeps_its_properties() {
    check("rolling", 1, 1, 0);
    check("rolling", 1, 0, 1);
    check_first("rolling", 1, 1, 0);
    check_first("rolling", 1, 0, 1);
    check("rolling", 2, 1, 0);
    check("rolling", 2, 0, 1);
}

#[test]
fn blue_green_keeps_its_properties() {
    check("blue-green", 1, 1, 0);
    check("blue-green", 1, 0, 1);
    check_first("blue-green", 1, 1, 0);
    check_first("blue-green", 1, 0, 1);
    check("blue-green", 2, 1, 0);
    check("blue-green", 2, 0, 1);
}

#[test]
fn canary_keeps_its_properties() {
    check("canary", 1, 1, 0);
    check("canary", 1, 0, 1);
    check_first("canary", 1, 1, 0);
    check_first("canary", 1, 0, 1);
    check("canary", 2, 1, 0);
    check("canary", 2, 0, 1);
}

#[test]
fn canary_without_a_router_keeps_its_properties() {
    check("canary-ratio", 1, 1, 0);
    check("canary-ratio", 1, 0, 1);
    check("canary-ratio", 2, 1, 0);
    check("canary-ratio", 2, 0, 1);
}

#[test]
fn canary_with_a_shrinking_stable_keeps_its_properties() {
    check("canary-dynamic", 1, 1, 0);
    check("canary-dynamic", 1, 0, 1);
    check("canary-dynamic", 2, 0, 0);
}

#[test]
fn recreate_keeps_its_properties() {
    check("recreate", 1, 1, 0);
    check("recreate", 1, 0, 1);
    check_first("recreate", 1, 1, 0);
    check_first("recreate", 1, 0, 1);
    check("recreate", 2, 1, 0);
    check("recreate", 2, 0, 1);
}
