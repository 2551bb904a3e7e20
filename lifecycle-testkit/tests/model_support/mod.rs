//! Walks one model and says what was found.

use lifecycle_testkit::model::RolloutModel;
use stateright::{Checker, Expectation, Model};

/// Checks every reachable state of the model of this strategy on `n` replicas, with so many faults and
/// commands on a path.
pub(crate) fn check(strategy: &str, n: u32, faults: u8, commands: u8) {
    walk(strategy, RolloutModel::of(strategy, n, faults, commands).unwrap());
}

/// The same of a first deployment: nothing serves yet.
pub(crate) fn check_first(strategy: &str, n: u32, faults: u8, commands: u8) {
    walk(&format!("first {strategy}"), RolloutModel::of(strategy, n, faults, commands).unwrap().first());
}

fn walk(strategy: &str, model: RolloutModel) {
    let (n, faults, commands) = (model.n, model.faults, model.commands);
    let start = std::time::Instant::now();
    let checker = model.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!(
        "{strategy} N={n} faults={faults} commands={commands}: {states} states in {:.1?}",
        start.elapsed()
    );
    assert!(states > 100, "the model hardly moves");
    for (name, path) in checker.discoveries() {
        let expectation = checker.model().property(name).expectation.clone();
        let last = path.last_state().clone();
        assert_eq!(
            expectation,
            Expectation::Sometimes,
            "{name}: {:?}\nafter {:#?}\nin {:#?}",
            last.broken(),
            path.into_actions(),
            last.memory
        );
    }
    for property in checker.model().properties() {
        let seen = checker.discovery(property.name).is_some();
        assert!(
            property.expectation != Expectation::Sometimes || seen,
            "{} was never reached",
            property.name
        );
    }
}
