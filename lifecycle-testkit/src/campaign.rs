//! Thousands of rollouts, each from one number: a spec, a world and a fault schedule, run to the end
//! with every property checked after every event.

use lifecycle_core::report::OutcomeLine;
use lifecycle_core::spec::Manifest;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::properties::Sometimes;
use crate::simulate::{Scenario, Simulation, Unwatched};
use crate::strategies::{FaultKinds, manifests, scenarios};

/// What one seed of a campaign is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// What is rolled out.
    pub manifest: Manifest,
    /// The world and what goes wrong in it.
    pub scenario: Scenario,
}

/// How one seed went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished {
    /// How the rollout ended, with the properties that were broken.
    pub outcome: OutcomeLine,
    /// The rare paths that were taken.
    pub sometimes: Sometimes,
}

impl Case {
    /// The case of this seed: the same on every machine.
    ///
    /// # Errors
    /// When the generator gives up (it does not, for the strategies of this crate).
    pub fn of(seed: u64) -> Result<Self, String> {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let tree = (manifests(), scenarios(FaultKinds::All))
            .new_tree(&mut runner)
            .map_err(|reason| format!("seed {seed}: {reason}"))?;
        let (manifest, scenario) = tree.current();
        Ok(Self { seed, manifest, scenario })
    }

    /// The simulation of it, not run yet. `None` when the strategy has no plan for this world (a canary
    /// with a weight and a router that only switches, say).
    #[must_use]
    pub fn simulation(&self) -> Option<Simulation> {
        Simulation::new(&self.manifest.spec, &self.scenario, self.seed).ok()
    }

    /// Runs it to the end. `None` when the strategy has no plan for this world.
    #[must_use]
    pub fn run(&self) -> Option<Finished> {
        let mut simulation = self.simulation()?;
        let outcome = simulation.run_with(&mut Unwatched);
        Some(Finished { outcome, sometimes: simulation.cluster().sometimes() })
    }
}

/// What a range of seeds brought.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Rollouts that were run.
    pub ran: u64,
    /// Seeds whose spec has no plan in its world.
    pub without_plan: u64,
    /// The rare paths that were taken by any of them.
    pub sometimes: Sometimes,
    /// Outcomes and how often each came.
    pub outcomes: std::collections::BTreeMap<&'static str, u64>,
    /// Seeds that broke a property, with what they broke.
    pub broken: Vec<(u64, Vec<String>)>,
}

impl Summary {
    /// Runs every seed of the range.
    ///
    /// # Errors
    /// When a case cannot be generated.
    pub fn of(seeds: impl IntoIterator<Item = u64>) -> Result<Self, String> {
        let mut summary = Self::default();
        for seed in seeds {
            let Some(finished) = Case::of(seed)?.run() else {
                summary.without_plan += 1;
                continue;
            };
            summary.ran += 1;
            summary.sometimes = summary.sometimes.or(finished.sometimes);
            *summary.outcomes.entry(finished.outcome.outcome).or_default() += 1;
            if !finished.outcome.violations.is_empty() {
                summary.broken.push((seed, finished.outcome.violations));
            }
        }
        Ok(summary)
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.ran += other.ran;
        self.without_plan += other.without_plan;
        self.sometimes = self.sometimes.or(other.sometimes);
        for (outcome, times) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += times;
        }
        self.broken.extend(other.broken);
        self
    }
}
