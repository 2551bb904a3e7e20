//! A growing share of the traffic.

use super::{PlanContext, Strategy, builder};
use crate::backend::Splitting;
use crate::plan::{Hold, Mode, Plan, PlanError, Retire, Size, Weight};
use crate::spec::{CanaryStep, RolloutSpec};
use crate::time::Millis;

/// Gives the new version a growing share of the traffic, step by step; a failed check gives it all
/// back to stable in the same step and wakes somebody up.
///
/// With a router that splits by weight, stable stays whole until promotion. Without one the weight is
/// the share of replicas, moved within `maxSurge` and `maxUnavailable`. Steps need not end at 100: the
/// rest follows when the last one has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Canary;

const CHECKS: [&str; 3] = ["error_rate < 1%", "latency_p95_canary < 1.2x stable", "no_critical_alerts"];

/// With the sequential judge: a canary that fails as often as stable is no worse, whatever stable's rate is.
const SEQUENTIAL_CHECKS: [&str; 3] =
    ["error_rate <= 1x stable", "latency_p95_canary <= 1.2x stable", "no_critical_alerts"];

impl Strategy for Canary {
    fn name(&self) -> &str {
        "canary"
    }

    fn plan(&self, spec: &RolloutSpec, context: &PlanContext) -> Result<Plan, PlanError> {
        let canary = spec.canary();
        let mode = match context.splitting {
            Some(Splitting::Weighted) => Mode::Routed { dynamic_stable: canary.dynamic_stable_scale },
            Some(Splitting::Switch) | None => {
                without_weights(spec)?;
                Mode::Ratio
            }
        };
        let checks = if spec.analysis().is_sequential() { SEQUENTIAL_CHECKS } else { CHECKS };
        let mut builder = builder(self, mode, spec, &checks)?
            .limits(canary.room.max_surge, canary.room.max_unavailable)
            .retire(Retire::after_promotion(canary.scale_down_delay))
            .page_on_rollback(true);
        if canary.steps.is_empty() {
            // Straight to 100; the gate of a step without a bake is one look.
            builder = builder.step(Hold::new(Weight::FULL, Millis::ZERO));
        }
        for CanaryStep { weight, bake, approval, scale } in canary.steps.iter().copied() {
            let size = scale.unwrap_or(Size::Share(weight));
            builder = builder.step(Hold::new(weight, bake).size(size).approval(approval));
        }
        builder.build().map_err(|error| error.in_spec("canary"))
    }
}

/// What means nothing when the weight is the share of replicas.
fn without_weights(spec: &RolloutSpec) -> Result<(), PlanError> {
    let refuse = |field: String, instead: &str| {
        let problem = format!("needs a router that splits by weight, and there is none: {instead}");
        Err(PlanError::new(field, problem))
    };
    if spec.canary().dynamic_stable_scale {
        let instead = "leave it away, stable shrinks anyway as the canary grows";
        return refuse("spec.canary.dynamicStableScale".to_owned(), instead);
    }
    match spec.canary().steps.iter().position(|step| step.scale.is_some()) {
        Some(at) => refuse(
            format!("spec.canary.steps[{at}].canaryScale"),
            "leave it away, the weight is the share of replicas",
        ),
        None => Ok(()),
    }
}
