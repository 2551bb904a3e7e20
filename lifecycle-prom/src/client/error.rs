//! Why there is no answer.

use std::time::Duration;

use lifecycle_core::backend::ErrorKind;
use thiserror::Error;

use crate::answer::AnswerError;

/// Why there is no answer from an address: the [source](std::error::Error::source) of the
/// [`BackendError`](lifecycle_core::backend::BackendError) that says so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// There was no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline, or the share of it that this address had, is over.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// TLS could not be agreed on.
    #[error("TLS: {problem}")]
    Tls {
        /// What TLS says.
        problem: String,
        /// Has the server refused the client? Else the client does not trust the server.
        refused: bool,
    },
    /// The token that says who asks cannot be read.
    #[error("{0}")]
    Token(String),
    /// Nothing was sent, because it is known that nobody answers.
    #[error("not asked: it has failed {times} times in a row, and {}; at last: {last}", again(.again_in))]
    Dead {
        /// How often.
        times: u32,
        /// When it is asked again; zero while one question finds out.
        again_in: Duration,
        /// What was wrong the last time.
        last: Box<CallError>,
    },
    /// What came back is no answer, or not one to this question.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl CallError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::Late(_) => ErrorKind::Transient,
            Self::Tls { refused: true, .. } | Self::Token(_) => ErrorKind::Unauthorized,
            Self::Tls { refused: false, .. } => ErrorKind::Invalid,
            Self::Dead { last, .. } => last.kind(),
            Self::Answer(error) => error.kind(),
        }
    }

    /// Is it about the question, so that another address would say the same?
    pub(super) fn is_of_question(&self) -> bool {
        matches!(self, Self::Answer(error) if error.is_of_question())
    }

    /// Has the server answered, though another one may know more?
    pub(super) fn is_incomplete(&self) -> bool {
        matches!(self, Self::Answer(AnswerError::Incomplete(_)))
    }

    /// May it be about a part of the question, so that the rest would be answered?
    pub(super) fn is_of_a_part(&self) -> bool {
        matches!(self, Self::Answer(error) if error.is_of_a_part())
    }

    /// May a question about less be answered?
    pub(super) fn is_too_much(&self) -> bool {
        match self {
            Self::Late(_) => true,
            Self::Answer(error) => error.is_too_much(),
            _ => false,
        }
    }
}

fn again(after: &Duration) -> String {
    match after.as_millis() {
        0 => "is being tried again".to_owned(),
        ms => format!("is tried again in {ms} ms"),
    }
}
