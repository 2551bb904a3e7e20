//! The rules by which a plan judges health.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::Check;
use super::sequential::Sequential;
use crate::time::Millis;

/// The rules by which a plan judges health. The defaults are those of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AnalysisPlan {
    /// Between two looks.
    pub interval: Millis,
    /// The trailing window that a look judges.
    pub window: Millis,
    /// Requests that each arm must have in the window; with fewer a check waits.
    pub min_requests: u64,
    /// Failed measurements that are tolerated.
    pub failure_limit: u32,
    /// Inconclusive measurements that are tolerated.
    pub inconclusive_limit: u32,
    /// Measurement errors in a row that are tolerated.
    pub consecutive_error_limit: u32,
    /// Successes in a row after which a failed measurement before them is forgiven; 0 is never.
    pub consecutive_success_limit: u32,
    /// No look before the step has had this much time.
    pub initial_delay: Millis,
    /// Without data for this long the rollout pauses.
    pub no_data_limit: Millis,
    /// The checks.
    pub checks: Vec<Check>,
    /// Queries that the user defined: name and text.
    pub queries: Vec<(Arc<str>, Arc<str>)>,
    /// The rules of the sequential judge; without them every check is judged by its trailing window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Sequential>,
    /// Checks that are measured and told, and decide nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<Check>,
}

impl AnalysisPlan {
    /// Does this check decide nothing?
    #[must_use]
    pub fn is_dry_run(&self, check: &Check) -> bool {
        self.dry_run.contains(check)
    }
}

impl Default for AnalysisPlan {
    fn default() -> Self {
        Self {
            interval: Millis::from_secs(10),
            window: Millis::from_secs(300),
            min_requests: 500,
            failure_limit: 0,
            inconclusive_limit: 3,
            consecutive_error_limit: 4,
            consecutive_success_limit: 0,
            initial_delay: Millis::ZERO,
            no_data_limit: Millis::from_secs(300),
            checks: Vec::new(),
            queries: Vec::new(),
            sequential: None,
            dry_run: Vec::new(),
        }
    }
}
