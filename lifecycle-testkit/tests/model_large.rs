//! The larger models, up to four replicas: minutes in all. Run by the recipe `model`.
#![cfg(feature = "model-large")]
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod model_support;

use model_support::{check, check_first};

/// A fault and a command on one replica, a command on three, a fault on four.
fn check_up_to_four(strategy: &str) {
    check(strategy, 1, 1, 1);
    check(strategy, 3, 0, 1);
    check(strategy, 4, 1, 0);
}

#[test]
fn rolling_keeps_its_properties() {
    check_up_to_four("rolling");
}

#[test]
fn blue_green_keeps_its_properties() {
    check_up_to_four("blue-green");
}

#[test]
fn canary_keeps_its_properties() {
    check_up_to_four("canary");
}

#[test]
fn canary_without_a_router_keeps_its_properties() {
    check_up_to_four("canary-ratio");
}

#[test]
fn recreate_keeps_its_properties() {
    check_up_to_four("recreate");
}

#[test]
fn canary_with_a_shrinking_stable_keeps_its_properties() {
    // (stable comes and goes with the weight, so its worlds are many more)
    check("canary-dynamic", 1, 1, 1);
    check("canary-dynamic", 2, 1, 0);
    check("canary-dynamic", 2, 0, 1);
    check("canary-dynamic", 4, 0, 0);
}

#[test]
fn first_deployments_keep_their_properties() {
    for strategy in ["rolling", "blue-green", "canary", "canary-ratio", "recreate"] {
        check_first(strategy, 1, 1, 1);
        check_first(strategy, 4, 1, 0);
    }
}
