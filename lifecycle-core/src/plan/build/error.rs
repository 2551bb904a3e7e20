//! Why a plan cannot be built.

use thiserror::Error;

/// Why a plan cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct PlanError {
    /// Which part of the plan.
    pub field: String,
    /// What is wrong with it and what is accepted.
    pub problem: String,
}

impl PlanError {
    /// An error in this part of the plan.
    #[must_use]
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same error with the path of the field in a manifest whose steps and limits are in this
    /// section: `steps[1]` of `canary` is `spec.canary.steps[1]`, `drain` is `spec.drain`.
    #[must_use]
    pub fn in_spec(self, section: &str) -> Self {
        let Self { field, problem } = self;
        let of_section = ["steps", "maxSurge", "maxUnavailable", "readinessAttempts"];
        let field = match field {
            field if field == "spec" || field.starts_with("spec.") => field,
            field if of_section.iter().any(|name| field.starts_with(name)) => {
                format!("spec.{section}.{field}")
            }
            field => format!("spec.{field}"),
        };
        Self { field, problem }
    }
}
