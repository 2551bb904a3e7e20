//! The machine, checked exhaustively for small N. `cargo test` walks the small ones; the recipe
//! `model` walks the large ones too.
#![cfg(feature = "model")]
#![allow(missing_docs, clippy::panic)]

use lifecycle_testkit::model::RolloutModel;
use stateright::{Checker, Model};

fn check(strategy: &str, n: u32, faults: u8, commands: u8) {
    let model = RolloutModel::of(strategy, n, faults, commands).unwrap();
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!("{strategy} N={n} faults={faults} commands={commands}: {} states", checker.unique_state_count());
    for (name, path) in checker.discoveries() {
        let property = checker.model().property(name);
        if property.expectation != stateright::Expectation::Sometimes {
            let last = path.last_state();
            println!("{name}: {:?}\n{:?}", last.broken(), last.memory);
            for action in path.into_actions() {
                println!("  {action:?}");
            }
        }
    }
    assert!(checker.discoveries().iter().all(|(name, _)| {
        checker.model().property(name).expectation == stateright::Expectation::Sometimes
    }));
}

#[test]
fn zz() {
    for st in ["canary", "canary-ratio", "canary-dynamic", "recreate", "rolling", "blue-green"] {
        for (n, f, c) in [(1, 1, 0), (1, 0, 1), (2, 0, 0), (2, 1, 0)] { let t = std::time::Instant::now(); check(st, n, f, c); println!("{:?}", t.elapsed()); }
    }
}

#[test]
fn rolling_keeps_its_properties() {
    check("rolling", 1, 1, 1);
    check("rolling", 2, 1, 0);
}

#[test]
fn blue_green_keeps_its_properties() {
    check("blue-green", 1, 1, 1);
    check("blue-green", 2, 1, 0);
}

#[test]
fn canary_keeps_its_properties() {
    check("canary", 1, 1, 1);
    check("canary", 2, 1, 0);
}

#[test]
fn canary_without_a_router_keeps_its_properties() {
    check("canary-ratio", 1, 1, 1);
    check("canary-ratio", 2, 1, 0);
}

#[test]
fn canary_with_a_shrinking_stable_keeps_its_properties() {
    check("canary-dynamic", 2, 1, 0);
}

#[test]
fn recreate_keeps_its_properties() {
    check("recreate", 1, 1, 1);
    check("recreate", 2, 1, 0);
}
