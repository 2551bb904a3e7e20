//! Strategies: what makes a plan of a spec.
//!
//! A strategy decides nothing while a rollout runs. It compiles a spec to a [`Plan`] once, and one
//! machine runs every plan, so that a strategy of your own inherits every safety property:
//!
//! ```
//! use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, PlanError, Weight};
//! use lifecycle_core::spec::RolloutSpec;
//! use lifecycle_core::strategy::{PlanContext, Strategy};
//! use lifecycle_core::time::Millis;
//!
//! #[derive(Debug)]
//! struct Halves;
//!
//! impl Strategy for Halves {
//!     fn name(&self) -> &str {
//!         "halves"
//!     }
//!
//!     fn plan(&self, spec: &RolloutSpec, _context: &PlanContext) -> Result<Plan, PlanError> {
//!         let half = Weight::new(50).ok_or_else(|| PlanError::new("half", "no weight"))?;
//!         PlanBuilder::new(self.name(), Mode::Ratio)
//!             .step(Hold::new(half, Millis::from_secs(600)))
//!             .step(Hold::new(Weight::FULL, Millis::from_secs(600)))
//!             .analysis(spec.analysis().plan(Vec::new()))
//!             .drain(spec.drain())
//!             .build()
//!     }
//! }
//! ```

mod blue_green;
mod canary;
mod recreate;
mod rolling;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

pub use blue_green::BlueGreen;
pub use canary::Canary;
pub use recreate::Recreate;
pub use rolling::Rolling;

use crate::analysis::AnalysisPlan;
use crate::backend::{Backends, Splitting};
use crate::driver::Target;
use crate::plan::{Mode, Plan, PlanBuilder, PlanError};
use crate::spec::RolloutSpec;

/// Compiles a spec to a plan.
///
/// # Contract
/// Pure: the same spec and context give the same plan.
pub trait Strategy: Send + Sync + Debug {
    /// The name that plans and people know it by.
    fn name(&self) -> &str;

    /// The plan for this spec.
    ///
    /// # Errors
    /// When there is none in this context. The error's field is a path in the manifest.
    fn plan(&self, spec: &RolloutSpec, context: &PlanContext) -> Result<Plan, PlanError>;
}

const _: Option<&dyn Strategy> = None; // dyn-compatible

/// What a strategy may know of the backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PlanContext {
    /// How finely the router splits; `None` without a router.
    pub splitting: Option<Splitting>,
}

impl PlanContext {
    /// With a router that splits like this, or without one.
    #[must_use]
    pub const fn new(splitting: Option<Splitting>) -> Self {
        Self { splitting }
    }

    /// What these backends can do.
    #[must_use]
    pub fn of(backends: &Backends) -> Self {
        Self::new(backends.router.as_ref().map(|router| router.capabilities().splitting))
    }
}

/// The strategies that manifests name.
static STRATEGIES: [&dyn Strategy; 4] = [&Rolling, &BlueGreen, &Canary, &Recreate];

/// The strategy that manifests call this: `rolling`, `blue-green`, `canary` or `recreate`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Strategy> {
    STRATEGIES.into_iter().find(|strategy| strategy.name() == name)
}

/// Compiles a spec with its own strategy into what a driver works on.
///
/// # Errors
/// When the strategy has no plan for it in this context; the field is a path in the manifest.
///
/// # Example
/// ```
/// # use lifecycle_core::{spec::Manifest, strategy::{self, PlanContext}};
/// let manifest = Manifest::from_yaml("
/// apiVersion: enis.andaon.com/v1
/// kind: AgentDeployment
/// metadata: {name: edge-agent}
/// spec: {version: 1.5.0, strategy: canary, replicas: 10}
/// ").unwrap();
/// let target = strategy::compile(&manifest.spec, &PlanContext::default()).unwrap();
/// assert_eq!(target.plan.steps().len(), 3);
/// assert_eq!(target.desired.replicas, 10);
/// ```
pub fn compile(spec: &RolloutSpec, context: &PlanContext) -> Result<Target, PlanError> {
    let name = spec.strategy().name();
    let strategy =
        by_name(name).ok_or_else(|| PlanError::new("spec.strategy", format!("no such strategy: {name}")))?;
    compile_with(strategy, spec, context)
}

/// Compiles a spec with this strategy, whatever the spec's own is.
///
/// # Errors
/// When the strategy has no plan for it in this context.
pub fn compile_with(
    strategy: &dyn Strategy,
    spec: &RolloutSpec,
    context: &PlanContext,
) -> Result<Target, PlanError> {
    let plan = strategy.plan(spec, context)?;
    let desired = spec.desired(plan.mode());
    Ok(Target::new(Arc::new(plan), desired))
}

/// A plan without steps, with what every strategy takes from the spec: analysis (with these checks when
/// the spec gives none), hooks, drain, deadline and history. A strategy of your own starts from it too.
///
/// # Errors
/// When one of the default checks cannot be read.
pub fn builder(
    strategy: &dyn Strategy,
    mode: Mode,
    spec: &RolloutSpec,
    default_checks: &[&str],
) -> Result<PlanBuilder, PlanError> {
    let builder = PlanBuilder::new(strategy.name(), mode)
        .analysis(analysis(spec, default_checks)?)
        .drain(spec.drain())
        .progress_deadline(spec.progress_deadline())
        .history_limit(spec.revision_history_limit());
    Ok(spec.hooks().iter().cloned().fold(builder, PlanBuilder::hook))
}

fn analysis(spec: &RolloutSpec, default_checks: &[&str]) -> Result<AnalysisPlan, PlanError> {
    let parsed = default_checks.iter().map(|text| text.parse());
    let checks = parsed.collect::<Result<Vec<_>, _>>();
    let checks =
        checks.map_err(|error: crate::analysis::CheckError| PlanError::new("checks", error.to_string()))?;
    Ok(spec.analysis().plan(checks))
}
