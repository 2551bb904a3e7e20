//! How far a rollout is within its plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::analysis::CheckState;
use crate::time::Millis;

/// How far the rollout is within its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Progress {
    /// Index of the current step.
    pub step: usize,
    /// The hooks before this step have passed: its replicas may move.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entered: bool,
    /// Time in this step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub in_step: Millis,
    /// Time with the step's weight in effect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub in_traffic: Millis,
    /// Time that counts for the bake.
    #[serde(default, skip_serializing_if = "is_default")]
    pub baked: Millis,
    /// The most that it was: a validation that starts anew is no progress.
    #[serde(default, skip_serializing_if = "is_default")]
    pub best_baked: Millis,
    /// Time without progress.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stalled: Millis,
    /// The most that progress was measured by (replicas in place).
    #[serde(default, skip_serializing_if = "is_default")]
    pub best: u32,
    /// Time since the last look.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since_look: Millis,
    /// Time without data.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_data: Millis,
    /// Was the step's replicas and weight reached at the last step?
    #[serde(default, skip_serializing_if = "is_default")]
    pub settled: bool,
    /// A person promoted this step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promoted: bool,
    /// A person promoted every step, or asked for a rollback: no gate is asked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub full: bool,
    /// A gate of this rollout was passed by a command.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overruled: bool,
    /// This is a rollback to an older revision.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollback: bool,
    /// Only the hooks after the deployment are left.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wrapping_up: bool,
    /// A replacement that was paused in its middle: desired number, stable and canary as they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<(u32, u32, u32)>,
    /// Hooks of this step that have ended, by index.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hooks_done: u64,
    /// A hook whose failure aborts the rollout has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_failure: Option<Arc<str>>,
    /// One per check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckState>,
}
