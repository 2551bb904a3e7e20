//! Replica by replica.

use super::{PlanContext, Strategy, builder};
use crate::plan::{Hold, Mode, Plan, PlanError, Weight};
use crate::spec::RolloutSpec;

/// Starts new replicas and stops old ones within `maxSurge` and `maxUnavailable`; every ready replica
/// gets an equal share of the traffic. Goes back when a new replica's readiness fails
/// `readinessAttempts` times, or when a check fails: all along and for a window after the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rolling;

/// The service-wide guard on the error rate of new replicas.
pub(super) const CHECKS: [&str; 1] = ["error_rate < 5%"];

impl Strategy for Rolling {
    fn name(&self) -> &str {
        "rolling"
    }

    fn plan(&self, spec: &RolloutSpec, _context: &PlanContext) -> Result<Plan, PlanError> {
        let rolling = spec.rolling();
        builder(self, Mode::Ratio, spec, &CHECKS)?
            .limits(rolling.room.max_surge, rolling.room.max_unavailable)
            .step(Hold::new(Weight::FULL, rolling.window))
            .readiness_attempts(rolling.readiness_attempts)
            .build()
            .map_err(|error| error.in_spec("rolling"))
    }
}
