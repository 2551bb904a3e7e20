//! Building a plan: every rule that a plan must keep.

mod error;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use error::PlanError;

use super::{Amount, Hold, MAX_STEPS, Mode, Plan, PlannedHook, Retire, Size, Weight};
use crate::analysis::AnalysisPlan;
use crate::time::Millis;

/// A plan as it is stored: unchecked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanParts {
    strategy: Arc<str>,
    mode: Mode,
    surge: Amount,
    unavailable: Amount,
    steps: Arc<[Hold]>,
    retire: Retire,
    analysis: Arc<AnalysisPlan>,
    hooks: Arc<[PlannedHook]>,
    drain: Millis,
    progress_deadline: Millis,
    readiness_attempts: Option<u32>,
    history_limit: u32,
    page_on_rollback: bool,
}

/// Builds a [`Plan`], the only way to make one.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
/// # use lifecycle_core::time::Millis;
/// let half = Weight::new(50).unwrap();
/// let plan = PlanBuilder::new("two-halves", Mode::Routed { dynamic_stable: false })
///     .step(Hold::new(half, Millis::from_secs(600)))
///     .step(Hold::new(Weight::FULL, Millis::from_secs(600)))
///     .build()
///     .unwrap();
/// assert_eq!(plan.steps().len(), 2);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PlanBuilder {
    parts: PlanParts,
    steps: Vec<Hold>,
    hooks: Vec<PlannedHook>,
}

impl PlanBuilder {
    /// A plan of this strategy and mode without steps, with the manifest's defaults for the rest:
    /// surge 1, unavailable 0, drain 5 s, progress deadline 10 min, 10 revisions of history.
    pub fn new(strategy: impl Into<Arc<str>>, mode: Mode) -> Self {
        let parts = PlanParts {
            strategy: strategy.into(),
            mode,
            surge: Amount::Replicas(1),
            unavailable: Amount::Replicas(0),
            steps: Arc::new([]),
            retire: Retire::after_promotion(Millis::ZERO),
            analysis: Arc::new(AnalysisPlan::default()),
            hooks: Arc::new([]),
            drain: Millis::from_secs(5),
            progress_deadline: Millis::from_secs(600),
            readiness_attempts: None,
            history_limit: 10,
            page_on_rollback: false,
        };
        Self { parts, steps: Vec::new(), hooks: Vec::new() }
    }

    /// Adds a step.
    pub fn step(mut self, hold: Hold) -> Self {
        self.steps.push(hold);
        self
    }

    /// How many replicas may be above and below the desired number.
    pub fn limits(mut self, surge: Amount, unavailable: Amount) -> Self {
        self.parts.surge = surge;
        self.parts.unavailable = unavailable;
        self
    }

    /// What happens to the old revision after promotion.
    pub fn retire(mut self, retire: Retire) -> Self {
        self.parts.retire = retire;
        self
    }

    /// The rules of analysis.
    pub fn analysis(mut self, analysis: AnalysisPlan) -> Self {
        self.parts.analysis = Arc::new(analysis);
        self
    }

    /// Adds a hook.
    pub fn hook(mut self, hook: PlannedHook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// How long a replica that is stopped may finish the requests it has.
    pub fn drain(mut self, drain: Millis) -> Self {
        self.parts.drain = drain;
        self
    }

    /// How long the rollout may make no progress.
    pub fn progress_deadline(mut self, deadline: Millis) -> Self {
        self.parts.progress_deadline = deadline;
        self
    }

    /// Go back after this many failed readiness verdicts of one new replica.
    pub fn readiness_attempts(mut self, attempts: u32) -> Self {
        self.parts.readiness_attempts = Some(attempts);
        self
    }

    /// How many old revisions are remembered.
    pub fn history_limit(mut self, limit: u32) -> Self {
        self.parts.history_limit = limit;
        self
    }

    /// A rollback wakes somebody up.
    pub fn page_on_rollback(mut self, page: bool) -> Self {
        self.parts.page_on_rollback = page;
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// No steps or more than [`MAX_STEPS`], weights that fall, a canary too small for its weight to
    /// be carried by anyone, surge and unavailable both written as zero (property S3), an exclusive
    /// plan with more than one step, more than 64 hooks, an interval or deadline of zero.
    pub fn build(mut self) -> Result<Plan, PlanError> {
        self.parts.steps = self.steps.into();
        self.parts.hooks = self.hooks.into();
        Plan::try_from(self.parts)
    }
}

impl TryFrom<PlanParts> for Plan {
    type Error = PlanError;

    fn try_from(parts: PlanParts) -> Result<Self, PlanError> {
        let PlanParts {
            strategy,
            mode,
            surge,
            unavailable,
            steps,
            retire,
            analysis,
            hooks,
            drain,
            progress_deadline,
            readiness_attempts,
            history_limit,
            page_on_rollback,
        } = parts;
        check_steps(mode, &steps)?;
        check_limits(surge, unavailable)?;
        if hooks.len() > 64 {
            return Err(PlanError::new(
                "hooks",
                format!("{} hooks are more than 64: write fewer", hooks.len()),
            ));
        }
        for (field, value) in
            [("progressDeadline", progress_deadline), ("analysis.interval", analysis.interval)]
        {
            if value.is_zero() {
                return Err(PlanError::new(
                    field,
                    "0s is too short: write a duration longer than 0s, like 30s",
                ));
            }
        }
        if readiness_attempts == Some(0) {
            return Err(PlanError::new("readinessAttempts", "0 attempts: write 1 or more"));
        }
        Ok(Self {
            strategy,
            mode,
            surge,
            unavailable,
            steps,
            retire,
            analysis,
            hooks,
            drain,
            progress_deadline,
            readiness_attempts,
            history_limit,
            page_on_rollback,
        })
    }
}

impl From<Plan> for PlanParts {
    fn from(plan: Plan) -> Self {
        let Plan {
            strategy,
            mode,
            surge,
            unavailable,
            steps,
            retire,
            analysis,
            hooks,
            drain,
            progress_deadline,
            readiness_attempts,
            history_limit,
            page_on_rollback,
        } = plan;
        Self {
            strategy,
            mode,
            surge,
            unavailable,
            steps,
            retire,
            analysis,
            hooks,
            drain,
            progress_deadline,
            readiness_attempts,
            history_limit,
            page_on_rollback,
        }
    }
}

/// Both zero cannot move anything (property S3). Percentages that only *round* to zero are another
/// matter: [`super::Limits::resolve`].
fn check_limits(surge: Amount, unavailable: Amount) -> Result<(), PlanError> {
    if surge.is_zero() && unavailable.is_zero() {
        return Err(PlanError::new(
            "maxSurge",
            "maxSurge and maxUnavailable are both 0, and nothing could move: make one of them at least 1 or 1%",
        ));
    }
    for (field, amount) in [("maxSurge", surge), ("maxUnavailable", unavailable)] {
        if let Amount::Percent(p) = amount
            && p > 100
        {
            return Err(PlanError::new(field, format!("{p}% is not a percentage from 0% to 100%")));
        }
    }
    Ok(())
}

fn check_steps(mode: Mode, steps: &[Hold]) -> Result<(), PlanError> {
    let problem = |at: usize, problem: String| Err(PlanError::new(format!("steps[{at}]"), problem));
    if steps.is_empty() {
        return Err(PlanError::new("steps", "there are none: a plan needs at least one"));
    }
    if steps.len() > MAX_STEPS {
        return Err(PlanError::new(
            "steps",
            format!("{} steps are more than {MAX_STEPS}: write fewer", steps.len()),
        ));
    }
    let mut before = Weight::ZERO;
    for (at, hold) in steps.iter().enumerate() {
        if hold.weight < before {
            let text = format!(
                "weight {} is below the {before} of the step before: write the same or more",
                hold.weight
            );
            return problem(at, text);
        }
        before = hold.weight;
        let nobody = matches!(hold.size, Size::Exactly(0) | Size::Share(Weight::ZERO));
        if nobody && !hold.weight.is_zero() {
            return problem(at, format!("no replica to carry a weight of {}: write at least 1", hold.weight));
        }
    }
    if mode == Mode::Exclusive && steps.len() > 1 {
        return problem(1, "an exclusive plan has one step: old out, new in".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
