//! One step of the machine, and the size of its state.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use lifecycle_core::machine;

fn step(c: &mut Criterion) {
    for replicas in [10, 100] {
        let steps = lifecycle_benches::judging_steps(replicas).unwrap();
        let step = &steps[steps.len() / 2];
        let bytes = serde_json::to_string(&step.state).unwrap().len();
        println!("state of a canary of {replicas} replicas, serialised: {bytes} bytes");
        c.bench_function(&format!("step/{replicas} replicas, 3 checks judged"), |b| {
            b.iter(|| {
                machine::step(&step.plan, black_box(&step.state), step.now, black_box(&step.observation))
            });
        });
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
