//! What is said of a setting that cannot be used.

use thiserror::Error;

/// How much of a given text an error repeats.
const SHOWN_CHARS: usize = 60;

/// A setting that cannot be used: its name, what is wrong with it and what is accepted, on one line.
///
/// # Example
/// ```
/// # use std::time::Duration;
/// # use lifecycle_http::Probe;
/// let error = Probe::readiness().with_interval(Duration::ZERO).unwrap_err();
/// assert_eq!(error.field, "interval");
/// assert_eq!(error.to_string(), "interval: 0s is too short: write a time from 1ms to 366 days");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting, as it is called where it is set.
    pub field: String,
    /// What is wrong with it and what is accepted.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Text as an error repeats it: quoted, on one line, and not all of it when it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}
