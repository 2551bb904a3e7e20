//! The simulated cluster is checked against a real one: random operations on both, and after each has settled
//! both have to show the same. `just e2e`.
//!
//! The seeds are 0..20; `DIFFERENTIAL_SEEDS=40..80` tries others. A difference is shown with its seed.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod model;
mod operation;
mod real;
#[path = "../conformance/world.rs"]
#[allow(dead_code, reason = "the conformance suites need more of it")]
mod world;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use futures::StreamExt as _;

use model::Model;
use operation::{Operation, Tokens};
use real::Real;
use world::World;

/// Operations of one sequence.
const OPERATIONS: u64 = 8;
/// Sequences at the same time: most of the time is waiting.
const AT_ONCE: usize = 5;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("DIFFERENTIAL_SEEDS") else { return 0..20 };
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("DIFFERENTIAL_SEEDS={text} is no range of seeds like 10..40"))
}

/// Runs the sequence of this seed. Which kinds of operations were in it.
async fn compare(world: &World, seed: u64) -> BTreeSet<&'static str> {
    let (mut chance, mut tokens) = (fastrand::Rng::with_seed(seed), Tokens::default());
    let (model, mut real) = (Model::new(seed), Real::new(world).await);
    let (mut history, mut kinds) = (Vec::new(), BTreeSet::new());
    for _ in 0..OPERATIONS {
        let mut batch = vec![Operation::draw(&mut chance, &mut tokens, &model.seen())];
        while chance.u32(0..4) == 0 {
            // what the one before has begun is still on its way
            batch.push(Operation::scale(&mut chance, &mut tokens));
        }
        kinds.extend(batch.iter().map(Operation::kind));
        history.push(batch.iter().map(ToString::to_string).collect::<Vec<_>>().join(", at once "));
        let (mut expected, mut answers) = (Vec::new(), Vec::new());
        for operation in &batch {
            expected.push(model.apply(operation));
            answers.push(real.apply(operation).await);
        }
        let settled = model.settled();
        let shown = real.settled(&settled).await;
        assert_eq!(
            (answers, &shown),
            (expected, &settled),
            "seed {seed}: the real cluster (left) and the simulated one (right) differ after\n  {}",
            history.join("\n  "),
        );
    }
    println!("seed {seed}: {}", history.join("; "));
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_cluster_shows_what_the_real_one_shows() {
    let (world, since) = (World::start("differential").await, Instant::now());
    let (seeds, world) = (seeds(), &world);
    let sequences = futures::stream::iter(seeds.clone()).map(async |seed| compare(world, seed).await);
    let kinds: Vec<BTreeSet<_>> = sequences.buffer_unordered(AT_ONCE).collect().await;
    println!(
        "{} sequences of {OPERATIONS} operations in {:.1} s",
        kinds.len(),
        since.elapsed().as_secs_f64()
    );
    if kinds.len() >= 20 {
        let kinds: BTreeSet<_> = kinds.into_iter().flatten().collect();
        assert_eq!(kinds, Operation::KINDS.into_iter().collect(), "every kind of operation has its turn");
    }
}
