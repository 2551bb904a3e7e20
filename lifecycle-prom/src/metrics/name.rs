//! Names of metrics and labels.

use thiserror::Error;

/// This is no name that Prometheus accepts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {given:?} is not {of}: {accepted}")]
#[non_exhaustive]
pub struct NameError {
    /// Which of the names.
    pub field: &'static str,
    /// What was given.
    pub given: String,
    of: &'static str,
    accepted: &'static str,
}

impl NameError {
    pub(super) fn new(field: &'static str, given: &str, of: &'static str, accepted: &'static str) -> Self {
        Self { field, given: given.to_owned(), of, accepted }
    }
}

pub(super) fn metric(field: &'static str, name: &str) -> Result<String, NameError> {
    let accepted = "write letters, digits, _ and :, not beginning with a digit";
    word(name, "_:").ok_or_else(|| NameError::new(field, name, "the name of a metric", accepted))
}

pub(super) fn label(field: &'static str, name: &str) -> Result<String, NameError> {
    let accepted = "write letters, digits and _, not beginning with a digit";
    word(name, "_").ok_or_else(|| NameError::new(field, name, "the name of a label", accepted))
}

fn word(name: &str, also: &str) -> Option<String> {
    let letter = |c: char| c.is_ascii_alphabetic() || also.contains(c);
    let fits = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    fits.then(|| name.to_owned())
}
