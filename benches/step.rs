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

/// Everything that a tick does between what was observed and what is saved.
fn judged(c: &mut Criterion) {
    let step = lifecycle_benches::a_look_at_a_hundred_checks().unwrap();
    let bytes = serde_json::to_string(&step.state).unwrap().len();
    println!("state with a hundred checks judged look by look, serialised: {bytes} bytes");
    c.bench_function("step/100 sequential checks judged", |b| {
        b.iter(|| machine::step(&step.plan, black_box(&step.state), step.now, black_box(&step.observation)));
    });
}

criterion_group!(benches, step, judged);
criterion_main!(benches);
