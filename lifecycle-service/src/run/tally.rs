//! The extremes of a rollout, for its outcome.

use lifecycle_core::machine::Observation;
use lifecycle_core::report::OutcomeLine;

/// The fewest available and the most created replicas that were seen.
#[derive(Debug, Default)]
pub(super) struct Tally {
    min_available: Option<u32>,
    max_total: u32,
}

impl Tally {
    /// Counts what a tick saw.
    pub(super) fn count(&mut self, observation: &Observation) {
        let Some(groups) = &observation.groups else { return };
        let available = groups.iter().map(|group| group.available).sum();
        let total = groups.iter().map(|group| group.created).sum();
        self.min_available = Some(self.min_available.map_or(available, |least| least.min(available)));
        self.max_total = self.max_total.max(total);
    }

    /// Puts the extremes into an outcome.
    pub(super) fn write_to(&self, outcome: &mut OutcomeLine) {
        outcome.min_available = self.min_available.unwrap_or(0);
        outcome.max_total = self.max_total;
    }
}
