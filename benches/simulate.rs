//! Complete two-hour canaries in the simulator, on one core.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use lifecycle_testkit::simulate::{Simulation, Unwatched};

fn simulate(c: &mut Criterion) {
    for replicas in [10, 100] {
        let (manifest, scenario) = lifecycle_benches::canary(replicas).unwrap();
        let mut seed = 0;
        c.bench_function(&format!("simulate/2 h canary, {replicas} replicas, 10 s ticks"), |b| {
            b.iter(|| {
                seed += 1;
                let mut simulation = Simulation::new(&manifest.spec, &scenario, seed).unwrap();
                let outcome = simulation.run_with(&mut Unwatched);
                assert_eq!(outcome.outcome, "promoted", "{outcome:?}");
                assert!(simulation.ticks() > 700);
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = simulate
}
criterion_main!(benches);
