//! Simulations: the production machine and driver on a simulated cluster, in virtual time.
//!
//! ```
//! # use lifecycle_core::spec::Manifest;
//! # use lifecycle_testkit::simulate::{Scenario, Simulation};
//! let manifest = Manifest::from_yaml("
//! apiVersion: enis.andaon.com/v1
//! kind: AgentDeployment
//! metadata: {name: edge-agent}
//! spec: {version: 1.5.0, strategy: canary, replicas: 10}
//! ").unwrap();
//! let scenario = Scenario::default_for(&manifest.spec);
//! let mut lines = Vec::new();
//! let mut simulation = Simulation::new(&manifest.spec, &scenario, 0).unwrap();
//! let outcome = simulation.run(&mut |line| lines.push(serde_json::to_string(line).unwrap()));
//! assert!(lines.last().unwrap().contains("\"kind\":\"outcome\""));
//! assert_eq!(outcome.requests.refused, 0);
//! ```

mod ending;
mod field;
mod read;
mod run;
mod scenario;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::analysis::{AnalysisPlan, Metric};
use lifecycle_core::driver::{Driver, Refused, Target};
use lifecycle_core::plan::PlanError;
use lifecycle_core::report::{Line, LineKind, OutcomeLine};
use lifecycle_core::spec::RolloutSpec;
use lifecycle_core::strategy::{self, PlanContext, Strategy};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::{Revision, RevisionNumber, Version, revision_hash};
use thiserror::Error;

use crate::cluster::{Cluster, ClusterConfig, HISTORY, Probe};
use crate::properties::Monitor;

pub use field::ScenarioError;
pub use scenario::{DRIVER_DOWN, FAULT_SPAN, Happening, Initial, Scenario, What};
pub use watch::{Unwatched, Watch};

use run::Run;
use watch::Lines;

/// A window may begin up to this much later than it was asked to, when nobody looks more often.
const GRAIN: Millis = Millis::from_secs(10);

/// Why a simulation cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// The strategy has no plan for the spec, with the scenario's router.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan needs what the simulated cluster cannot do.
    #[error("spec: {0}")]
    Refused(#[from] Refused),
}

/// One run of one rollout target on a simulated cluster. The same spec, scenario and seed give the
/// same run, to the byte.
#[derive(Debug)]
pub struct Simulation {
    run: Run,
}

impl Simulation {
    /// A simulation of what this spec asks for.
    ///
    /// # Errors
    /// When there is no plan for the spec (or for a version that the scenario updates it to) with
    /// the scenario's router.
    pub fn new(spec: &RolloutSpec, scenario: &Scenario, seed: u64) -> Result<Self, SimulateError> {
        let context = PlanContext::new(Some(scenario.cluster.splitting));
        Self::of_spec(spec, scenario, seed, |spec| strategy::compile(spec, &context))
    }

    /// The same with this strategy, whatever the spec's own is.
    ///
    /// # Errors
    /// When the strategy has no plan.
    pub fn with_strategy(
        strategy: &dyn Strategy,
        spec: &RolloutSpec,
        scenario: &Scenario,
        seed: u64,
    ) -> Result<Self, SimulateError> {
        let context = PlanContext::new(Some(scenario.cluster.splitting));
        Self::of_spec(spec, scenario, seed, |spec| strategy::compile_with(strategy, spec, &context))
    }

    fn of_spec(
        spec: &RolloutSpec,
        scenario: &Scenario,
        seed: u64,
        compile: impl Fn(&RolloutSpec) -> Result<Target, PlanError>,
    ) -> Result<Self, SimulateError> {
        let mut config = scenario.cluster.clone();
        config.probe = Probe::new(spec.health_check().interval, spec.health_check().failure_threshold);
        let at = |version: &Version| compile(&spec.clone().with_version(version.clone()));
        Self::assemble(config, scenario, seed, compile(spec)?, at)
    }

    /// A simulation of a plan that no manifest can ask for. A version that the scenario updates to
    /// gets the same plan.
    ///
    /// # Errors
    /// When the plan needs what the simulated cluster cannot do.
    pub fn of_target(target: &Target, scenario: &Scenario, seed: u64) -> Result<Self, SimulateError> {
        let at = |version: &Version| {
            let mut target = target.clone();
            if target.desired.version != *version {
                target.desired.hash = revision_hash(version, &serde_json::Value::Null).into();
                target.desired.version = version.clone();
            }
            Ok(target)
        };
        Self::assemble(scenario.cluster.clone(), scenario, seed, target.clone(), at)
    }

    fn assemble(
        config: ClusterConfig,
        scenario: &Scenario,
        seed: u64,
        target: Target,
        at: impl Fn(&Version) -> Result<Target, PlanError>,
    ) -> Result<Self, SimulateError> {
        let mut updates = BTreeMap::new();
        for happening in &scenario.events {
            if let What::Update(version) = &happening.what {
                updates.insert(version.clone(), at(version)?);
            }
        }
        let targets: Vec<&Target> = std::iter::once(&target).chain(updates.values()).collect();
        let cluster = Cluster::new(measuring(config, &targets), seed);
        for target in &targets {
            Driver::new((*target).clone(), cluster.backends())?;
        }
        for (version, profile) in &scenario.versions {
            cluster.set_profile(version, *profile);
        }
        for (url, behaviour) in &scenario.hooks {
            cluster.set_hook(Arc::clone(url), *behaviour);
        }
        cluster.watch(Monitor::new());
        if let Some(Initial { version, replicas }) = &scenario.initial {
            let hash = at(version).map_or_else(
                |_| Arc::from(revision_hash(version, &serde_json::Value::Null)),
                |target| target.desired.hash,
            );
            cluster.deploy(&Revision::new(RevisionNumber(1), hash, version.clone()), *replicas);
        }
        Ok(Self { run: Run::new(cluster, target, updates, scenario) })
    }

    /// Tells what each look said about each check, in lines of their own ([`LineKind::Look`]). The run is the same.
    #[must_use]
    pub fn explained(mut self) -> Self {
        self.run.explains = true;
        self
    }

    /// Runs to the end and hands out every line of the report, the outcome last. A simulation runs
    /// once; afterwards this answers with the outcome again.
    pub fn run(&mut self, sink: &mut dyn FnMut(&Line)) -> OutcomeLine {
        let (end, outcome) = {
            let outcome = self.run_with(&mut Lines::new(sink));
            (self.now(), outcome)
        };
        sink(&Line::new(end, LineKind::Outcome(Box::new(outcome.clone()))));
        outcome
    }

    /// Runs to the end and builds no lines: for thousands of runs.
    pub fn run_with(&mut self, watch: &mut dyn Watch) -> OutcomeLine {
        self.run.drive(watch)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.run.cluster.now()
    }

    /// The cluster, to look at it.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.run.cluster
    }

    /// How many times the driver ticked.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.run.ticks
    }
}

/// With measurements as fine and as long as these plans need them.
fn measuring(mut config: ClusterConfig, targets: &[&Target]) -> ClusterConfig {
    let analyses = || targets.iter().map(|target| target.plan.analysis());
    // the judge that counts asks how the failures of ten minutes clump
    let kept = |analysis: &AnalysisPlan| match analysis.sequential {
        Some(_) => analysis.window.max(HISTORY),
        None => analysis.window,
    };
    config.retention = analyses().map(kept).max().unwrap_or(config.retention);
    config.grain = analyses().map(|analysis| analysis.interval).fold(GRAIN, Ord::min).max(Millis(100));
    config.measure_latency = analyses()
        .any(|analysis| analysis.checks.iter().any(|check| matches!(check.metric(), Metric::Latency(_))));
    config
}
