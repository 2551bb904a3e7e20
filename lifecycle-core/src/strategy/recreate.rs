//! Old out, then new in.

use super::{PlanContext, Strategy, builder, rolling};
use crate::plan::{Hold, Mode, Plan, PlanError, Weight};
use crate::spec::RolloutSpec;

/// Stops every old replica before the first new one starts, for versions that must never run
/// together: downtime. The way back is the same the other way. It has no section of its own: window,
/// readiness attempts and checks are those of rolling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recreate;

impl Strategy for Recreate {
    fn name(&self) -> &str {
        "recreate"
    }

    fn plan(&self, spec: &RolloutSpec, _context: &PlanContext) -> Result<Plan, PlanError> {
        builder(self, Mode::Exclusive, spec, &rolling::CHECKS)?
            .step(Hold::new(Weight::FULL, spec.rolling().window))
            .readiness_attempts(spec.rolling().readiness_attempts)
            .build()
            .map_err(|error| error.in_spec("rolling"))
    }
}
