//! A whole second set, and one switch.

use super::{PlanContext, Strategy, builder};
use crate::plan::{Hold, Mode, Plan, PlanError, Retire, Size, Weight};
use crate::spec::RolloutSpec;

/// Brings up green at the size of blue, validates it without traffic (readiness and hooks), switches
/// all traffic at once, and monitors. Blue keeps its replicas for `scaleDownAfter`, so that going back
/// is one switch, and is kept for rollback for `keepFor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlueGreen;

/// The baseline is blue's latency just before the switch.
const CHECKS: [&str; 2] = ["error_rate < 1%", "p95_latency <= 2x baseline"];

impl Strategy for BlueGreen {
    fn name(&self) -> &str {
        "blue-green"
    }

    fn plan(&self, spec: &RolloutSpec, context: &PlanContext) -> Result<Plan, PlanError> {
        if context.splitting.is_none() {
            let problem = "blue-green switches traffic with a router, and there is none: write rolling or canary, or give it a router";
            return Err(PlanError::new("spec.strategy", problem));
        }
        let blue_green = spec.blue_green();
        // Green has no requests before the switch: no check could say anything.
        let validate = Hold::new(Weight::ZERO, blue_green.validate)
            .size(Size::Share(Weight::FULL))
            .ungated()
            .approval(!blue_green.auto_promote);
        builder(self, Mode::Routed { dynamic_stable: false }, spec, &CHECKS)?
            .step(validate)
            .step(Hold::new(Weight::FULL, blue_green.monitor))
            .retire(Retire::after_switch(blue_green.scale_down_after, blue_green.keep_for))
            .build()
            .map_err(|error| error.in_spec("blueGreen"))
    }
}
