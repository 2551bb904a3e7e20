//! S13: a driver that dies after any effect of a rollout, sent or lost with it, brings about the same end
//! with as many replicas created and deleted. S15: so do lost observations.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

use lifecycle_core::report::OutcomeLine;
use lifecycle_core::spec::Manifest;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_testkit::cluster::Fault;
use lifecycle_testkit::simulate::{Happening, Scenario, Simulation, Unwatched, What};

fn manifest(strategy: &str) -> Manifest {
    Manifest::from_yaml(&format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}},
           spec: {{version: 1.5.0, strategy: {strategy}, replicas: 4}}}}"
    ))
    .unwrap()
}

/// Everything that must not depend on when the driver died.
#[derive(Debug, PartialEq, Eq)]
struct End {
    outcome: &'static str,
    version: Option<String>,
    created: u64,
    left: Vec<(String, u32, u32)>,
}

fn run(strategy: &str, bad: bool, happening: Option<Happening>) -> (End, u64, OutcomeLine) {
    let manifest = manifest(strategy);
    let mut scenario = Scenario::default_for(&manifest.spec);
    if bad {
        let profile = lifecycle_testkit::cluster::Profile::default().error_rate(0.2);
        scenario.versions.insert(manifest.spec.version().clone(), profile);
    }
    scenario.events.extend(happening);
    let mut simulation = Simulation::new(&manifest.spec, &scenario, 3).unwrap();
    let outcome = simulation.run_with(&mut Unwatched);
    let world = simulation.cluster().world();
    let left = world
        .groups
        .iter()
        .map(|group| (group.revision.version.to_string(), group.created, group.ready))
        .collect();
    let end = End {
        outcome: outcome.outcome,
        version: outcome.version.clone(),
        created: simulation.cluster().created(),
        left,
    };
    (end, simulation.cluster().writes(), outcome)
}

#[test]
fn a_crash_after_any_effect_changes_neither_the_end_nor_the_replicas_created() {
    let mut points = 0;
    for strategy in ["rolling", "blue-green", "canary", "recreate"] {
        for bad in [false, true] {
            let (undisturbed, writes, _) = run(strategy, bad, None);
            assert!(writes > 2, "{strategy} hardly writes");
            for after in 0..writes {
                let crash = What::Crash { after: Some(after), down: Millis::from_secs(1) };
                let (end, _, outcome) = run(strategy, bad, Some(Happening::new(Timestamp::ZERO, crash)));
                assert_eq!(outcome.violations, Vec::<String>::new(), "{strategy}, died after write {after}");
                assert_eq!(end, undisturbed, "{strategy}, died after write {after}");
                points += 1;
            }
        }
    }
    assert!(points > 60, "only {points} points were tried");
}

#[test]
fn observations_that_come_late_change_neither_the_end_nor_the_replicas_created() {
    for strategy in ["rolling", "blue-green", "canary", "recreate"] {
        let (undisturbed, _, _) = run(strategy, false, None);
        for minute in [0, 1, 15, 31, 90] {
            let stale = What::Fault(Fault::StaleWatch, Millis::from_secs(90));
            let at = Timestamp::ZERO + Millis::from_secs(60 * minute);
            let (end, _, outcome) = run(strategy, false, Some(Happening::new(at, stale)));
            assert_eq!(outcome.violations, Vec::<String>::new(), "{strategy}, stale from minute {minute}");
            assert_eq!(end, undisturbed, "{strategy}, stale from minute {minute}");
        }
    }
}
