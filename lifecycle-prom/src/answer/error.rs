//! Why an answer is none.

use lifecycle_core::backend::{BackendError, ErrorKind, Mark};
use lifecycle_core::time::Millis;
use thiserror::Error;

/// What came back is no answer, or not one to this question.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Prometheus refused the query or failed at it, and said why.
    #[error("Prometheus says {error_type}: {text}")]
    Refused {
        /// Prometheus' name for it: `bad_data`, `timeout`, `execution`.
        error_type: String,
        /// Its message.
        text: String,
    },
    /// An HTTP status that is no answer of Prometheus.
    #[error("HTTP status {status}{}", after(.text))]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// A redirect, which is not followed.
    #[error(
        "HTTP status {status} sends to {location:?}, which is not followed: give the address of Prometheus itself"
    )]
    Redirect {
        /// The status code.
        status: u16,
        /// Where it sends to.
        location: String,
    },
    /// HTML in the place of JSON.
    #[error("HTML came back in the place of JSON, from a proxy or a login page: {begins:?}")]
    Html {
        /// How it begins.
        begins: String,
    },
    /// No JSON, or none that the API knows.
    #[error("no answer of {api}: {problem}: {begins:?}")]
    NotTheApi {
        /// Which one.
        api: &'static str,
        /// What is wrong.
        problem: String,
        /// How it begins.
        begins: String,
    },
    /// More bytes than are read.
    #[error("the answer has more than {limit} bytes: let the query aggregate, with sum() for example")]
    TooLarge {
        /// How many are read.
        limit: usize,
    },
    /// The answer has warnings: parts of the data may be missing.
    #[error("the answer is incomplete: {0}")]
    Incomplete(String),
    /// Another type of result than was asked for.
    #[error("the query gives {given} where {expected} is expected")]
    WrongType {
        /// What came.
        given: &'static str,
        /// What would do.
        expected: &'static str,
    },
    /// Several series in the place of one.
    #[error(
        "{count} series where one is expected, {example} among them: let the query aggregate, with sum() for example"
    )]
    ManySeries {
        /// How many.
        count: usize,
        /// The labels of one of them.
        example: String,
    },
    /// A number that no count can be.
    #[error("{value} is no number of {what}")]
    NotACount {
        /// Of what.
        what: &'static str,
        /// The number.
        value: String,
    },
    /// Buckets that make no histogram.
    #[error("the buckets make no histogram: {0}")]
    Buckets(String),
    /// A native histogram in the place of a number.
    #[error(
        "a native histogram where a number is expected: name the metric with native_durations, or let the query give a number"
    )]
    NativeHistogram,
    /// A number in the place of a native histogram.
    #[error(
        "a number where a native histogram is expected: name the metric with durations if it is a classic histogram"
    )]
    NotNative,
    /// Bins that cannot be asked for.
    #[error("{bins} bins of {width} cannot be asked for: from 1 to {limit} of 1s to 1h are accepted")]
    Bins {
        /// How many.
        bins: u32,
        /// How long each of them.
        width: Millis,
        /// How many there may be.
        limit: u32,
    },
    /// What was scraped last is too old to say anything about now.
    #[error("the newest scrape is {age} old, more than {limit}: is Prometheus scraping?")]
    Stale {
        /// How old it is.
        age: Millis,
        /// How old it may be.
        limit: Millis,
    },
    /// Only a part was measured.
    #[error("{missing} of the {of} were not measured")]
    Partial {
        /// How many were not.
        missing: u64,
        /// Of what.
        of: &'static str,
    },
    /// The clock of Prometheus is behind a mark that it gave.
    #[error(
        "the clock of Prometheus is {} ms behind the mark of an earlier answer: it went back, or another Prometheus answers",
        .ahead.0.saturating_sub(.now.0)
    )]
    Clock {
        /// The mark.
        ahead: Mark,
        /// The time of Prometheus.
        now: Mark,
    },
    /// What was answered to the question for the time.
    #[error("{0} is no time")]
    NotATime(String),
    /// The answer is about another moment than the question.
    #[error("the answer is about another moment than was asked for: {0}")]
    AnotherMoment(String),
    /// A query that the manifest does not define.
    #[error("no query {0:?} in spec.analysis.queries")]
    UnknownQuery(String),
    /// A value that cannot be written where the query has its placeholder.
    #[error(
        "spec.analysis.queries.{0}: a value with a backtick or a line break cannot stand between backticks: use double quotes"
    )]
    CannotFillIn(String),
    /// Nothing that Prometheus is asked for.
    #[error("{0} is not measured by Prometheus")]
    NotMeasured(String),
    /// Fewer answers than questions.
    #[error("there was no answer to this question")]
    Missing,
}

impl AnswerError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { error_type, .. } => match error_type.as_str() {
                "bad_data" | "execution" => ErrorKind::Invalid,
                "not_found" => ErrorKind::NotFound,
                "unauthorized" | "forbidden" => ErrorKind::Unauthorized,
                "not_acceptable" => ErrorKind::Unsupported,
                _ => ErrorKind::Transient,
            },
            Self::Status { status, .. } => match status {
                401 | 403 | 407 => ErrorKind::Unauthorized,
                404 | 410 => ErrorKind::NotFound,
                405 | 501 => ErrorKind::Unsupported,
                408 | 425 | 429 | 500.. => ErrorKind::Transient,
                _ => ErrorKind::Invalid,
            },
            Self::Incomplete(_)
            | Self::Missing
            | Self::Stale { .. }
            | Self::Partial { .. }
            | Self::Clock { .. } => ErrorKind::Transient,
            Self::NotMeasured(_) => ErrorKind::Unsupported,
            Self::UnknownQuery(_) => ErrorKind::NotFound,
            Self::Redirect { .. }
            | Self::Html { .. }
            | Self::NotTheApi { .. }
            | Self::TooLarge { .. }
            | Self::WrongType { .. }
            | Self::ManySeries { .. }
            | Self::NotACount { .. }
            | Self::Buckets(_)
            | Self::NativeHistogram
            | Self::NotNative
            | Self::Bins { .. }
            | Self::NotATime(_)
            | Self::AnotherMoment(_)
            | Self::CannotFillIn(_) => ErrorKind::Invalid,
        }
    }
}

impl AnswerError {
    /// Is it about what was asked, so that another server with the same data would say the same?
    #[must_use]
    pub fn is_of_question(&self) -> bool {
        match self {
            Self::Refused { error_type, .. } => {
                matches!(error_type.as_str(), "bad_data" | "execution" | "timeout" | "canceled" | "not_found")
            }
            Self::Status { status, .. } => matches!(status, 400 | 413 | 414 | 422),
            Self::Redirect { .. } | Self::Html { .. } | Self::NotTheApi { .. } | Self::Incomplete(_) => false,
            _ => true,
        }
    }
}

impl AnswerError {
    /// May it be about a part of what was asked, so that the rest would be answered? (What took too long would be asked for longer
    /// still.)
    #[must_use]
    pub fn is_of_a_part(&self) -> bool {
        match self {
            Self::Refused { error_type, .. } => matches!(error_type.as_str(), "bad_data" | "execution"),
            Self::Status { status, .. } => matches!(status, 400 | 413 | 414 | 422),
            Self::TooLarge { .. }
            | Self::Incomplete(_)
            | Self::NotACount { .. }
            | Self::Buckets(_)
            | Self::NativeHistogram
            | Self::NotNative => true,
            _ => false,
        }
    }

    /// May a question about less be answered?
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        match self {
            Self::Refused { error_type, .. } => matches!(error_type.as_str(), "execution" | "timeout"),
            Self::Status { status, .. } => matches!(status, 413 | 504),
            Self::TooLarge { .. } => true,
            _ => false,
        }
    }
}

impl From<AnswerError> for BackendError {
    fn from(error: AnswerError) -> Self {
        Self::new("prometheus", "measure", error.kind(), error.to_string()).because(error)
    }
}

fn after(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text:?}") }
}
