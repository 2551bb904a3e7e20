//! One step.
use super::io::{Arm, Observation, Transition};
use super::state::State;
use crate::backend::HealthQuery;
use crate::plan::Plan;
use crate::time::Timestamp;

/// One step of the machine.
#[must_use]
pub fn step(_plan: &Plan, state: &State, _now: Timestamp, _observation: &Observation) -> Transition {
    Transition { state: state.clone(), actions: Vec::new(), events: Vec::new(), wake_at: None, save: false }
}

/// What a health source must be asked before the next step.
#[must_use]
pub fn queries(_plan: &Plan, _state: &State, _now: Timestamp) -> Vec<(Arm, HealthQuery)> {
    Vec::new()
}
