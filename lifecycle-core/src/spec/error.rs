//! Why a document was refused.

use serde_json::Value;
use thiserror::Error;

/// How much of a value an error repeats.
const SHOWN_CHARS: usize = 60;

/// Why a manifest, or another document that is read [field by field](super::field), was refused: one
/// line, with the path of the field and what is accepted.
///
/// # Example
/// ```
/// # use lifecycle_core::spec::SpecError;
/// let error = SpecError::new("spec.replicas", "0 is not a whole number from 1 to 100000");
/// assert_eq!(error.to_string(), "spec.replicas: 0 is not a whole number from 1 to 100000");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {problem}")]
#[non_exhaustive]
pub struct SpecError {
    /// The field, `spec.canary.steps[1].setWeight`; for the document as a whole its name, `manifest`.
    pub path: String,
    /// What is wrong with it and what is accepted, on one line.
    pub problem: String,
}

impl SpecError {
    /// An error in this field.
    #[must_use]
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// A value as an error repeats it: on one line, and not all of it when it is long.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// Text as an error repeats it.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

/// `parent.key`, with keys that are no plain words in brackets and quotes.
pub(super) fn child(parent: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
    if key.is_empty() || key.len() > SHOWN_CHARS || !key.chars().all(plain) {
        format!("{parent}[{}]", quoted(key))
    } else if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}
