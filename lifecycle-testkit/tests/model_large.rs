//! The larger models: minutes each. Run by the recipe `model`.
#![cfg(feature = "model-large")]
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod model_support;

use model_support::{check, check_first};

#[test]
fn rolling_keeps_its_properties() {
    check("rolling", 1, 1, 1);
    check("rolling", 3, 1, 0);
    check("rolling", 4, 0, 0);
}

#[test]
fn blue_green_keeps_its_properties() {
    check("blue-green", 1, 1, 1);
    check("blue-green", 2, 2, 0);
    check("blue-green", 4, 1, 0);
}

#[test]
fn canary_keeps_its_properties() {
    check("canary", 1, 1, 1);
    check("canary", 2, 2, 0);
    check("canary", 4, 1, 0);
}

#[test]
fn canary_without_a_router_keeps_its_properties() {
    check("canary-ratio", 1, 1, 1);
    check("canary-ratio", 3, 1, 0);
    check("canary-ratio", 4, 0, 0);
}

#[test]
fn canary_with_a_shrinking_stable_keeps_its_properties() {
    check("canary-dynamic", 1, 1, 1);
    check("canary-dynamic", 2, 1, 0);
    check("canary-dynamic", 3, 0, 0);
}

#[test]
fn recreate_keeps_its_properties() {
    check("recreate", 2, 1, 1);
    check("recreate", 2, 2, 0);
    check("recreate", 4, 1, 0);
}

#[test]
fn first_deployments_keep_their_properties() {
    for strategy in ["rolling", "blue-green", "canary", "canary-ratio", "recreate"] {
        check_first(strategy, 1, 1, 1);
        check_first(strategy, 4, 1, 0);
    }
}
