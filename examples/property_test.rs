//! A property of your own, over whatever may happen: "a version that fails half of its requests is never
//! stable, and the version that served before still serves". Run it with
//! `cargo run -p lifecycle-examples --example property_test`.

use lifecycle_core::analysis::{Arm, Check, Metric};
use lifecycle_core::version::Version;
use lifecycle_testkit::cluster::Profile;
use lifecycle_testkit::simulate::{Initial, Simulation, Unwatched, What};
use lifecycle_testkit::strategies::{FaultKinds, manifests_of, scenarios};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let worlds = (manifests_of("canary"), scenarios(FaultKinds::All), any::<u64>());
    runner.run(&worlds, |(manifest, mut scenario, seed)| {
        // (without a check there are the ones of the strategy, of which one is)
        let checks = manifest.spec.analysis().checks.as_ref();
        prop_assume!(checks.is_none_or(|checks| checks.iter().any(counts_failures)));
        // 1.4.0 serves; 1.5.0 is broken; faults may happen, but nobody overrules the gates
        scenario.initial = Some(Initial::new(Version::new(1, 4, 0), manifest.spec.replicas()));
        scenario.versions.insert(Version::new(1, 5, 0), Profile::default().error_rate(0.5));
        scenario.events.retain(|happening| happening.what.is_fault());
        scenario.events.retain(|happening| !matches!(happening.what, What::ClockJump(_)));

        let Ok(mut simulation) = Simulation::new(&manifest.spec, &scenario, seed) else { return Ok(()) };
        let outcome = simulation.run_with(&mut Unwatched);
        prop_assert_eq!(outcome.version.as_deref(), Some("1.4.0"), "{:?}", outcome);
        prop_assert_eq!(outcome.violations, Vec::<String>::new());
        Ok(())
    })?;
    println!("256 rollouts of a broken version: none was promoted");
    Ok(())
}

/// Whether the check says anything of what the new version fails at.
fn counts_failures(check: &Check) -> bool {
    check.arm() == Arm::Canary && matches!(check.metric(), Metric::ErrorRate | Metric::SuccessRate)
}
