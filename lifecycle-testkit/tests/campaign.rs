//! Thousands of rollouts of every strategy with faults: no property is broken.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use lifecycle_testkit::campaign::{Case, Summary};

/// Both cores take half of the seeds each.
fn campaign(seeds: std::ops::Range<u64>) -> Summary {
    let half = |rest: u64| {
        let seeds = seeds.clone();
        std::thread::spawn(move || Summary::of(seeds.filter(move |seed| seed % 2 == rest)).unwrap())
    };
    let (even, odd) = (half(0), half(1));
    even.join().unwrap().and(odd.join().unwrap())
}

#[test]
fn ten_thousand_faulted_rollouts_break_no_property() {
    let summary = campaign(0..10_000);
    println!("{summary:#?}");
    let mut broken = summary.broken.clone();
    broken.sort_unstable();
    let first: Vec<String> =
        broken.iter().take(10).map(|(seed, what)| format!("seed {seed}: {}", what.join("; "))).collect();
    assert!(broken.is_empty(), "{} seeds broke a property:\n{}", broken.len(), first.join("\n"));
    assert!(summary.ran >= 9_000, "only {} of 10,000 seeds had a plan", summary.ran);

    let sometimes = summary.sometimes;
    assert_eq!(sometimes.crashed_in, [true; 5], "a driver died in every phase");
    assert_eq!(sometimes.aborted_in, [true; 5], "abort was commanded in every phase");
    assert_eq!(sometimes.superseded_in, [true; 5], "another version was asked for in every phase");
    assert_eq!(sometimes.crashed_after, [true; 3], "a driver died between every pair of effects");
    let [_, progressing, promoting, _, _] = sometimes.went_back_from;
    assert!(progressing && promoting, "a rollout went back from every forward phase");
    assert!(sometimes.promoted && sometimes.paused);
}

#[test]
fn a_seed_replays_to_the_same_end() {
    for seed in [1, 7, 42] {
        let run = || Case::of(seed).unwrap().run().map(|finished| format!("{:?}", finished.outcome));
        assert_eq!(run(), run());
    }
}
