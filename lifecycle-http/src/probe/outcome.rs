//! How one probe went.

use std::fmt;
use std::sync::Arc;

use lifecycle_core::time::Millis;
use serde::{Serialize, Serializer};

/// How much text a [`Detail`] holds: enough for a sentence, little enough for a log line.
const DETAIL_CHARS: usize = 200;

/// How one probe went.
///
/// # Example
/// ```
/// # use lifecycle_http::{Failure, Outcome};
/// let outcome = Outcome::failed(Failure::Status(503)).detail("the database\nis away");
/// assert_eq!(outcome.to_string(), "status 503: the database is away");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(clippy::exhaustive_enums, reason = "it passed or it failed")]
pub enum Outcome {
    /// The answer was there in time and is one that passes.
    Passed {
        /// The status of the answer.
        status: u16,
        /// From the beginning of the probe to the end of the answer.
        #[serde(rename = "tookMs")]
        took: Millis,
    },
    /// Everything else.
    Failed {
        /// The reason, to branch on.
        why: Failure,
        /// What else is known, for people. May be empty.
        detail: Detail,
    },
}

/// Why a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Failure {
    /// An answer with a status that does not pass.
    Status(u16),
    /// An answer with this status, which sends to another address.
    Redirect(u16),
    /// The answer, or its end, was not there in time.
    Timeout,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// The name of the host has no address.
    Unresolved,
    /// The connection was closed before the answer was whole. Over TLS it may be that the server does not
    /// accept who asks: its reason can be lost on the way.
    Closed,
    /// No TLS could be agreed on: a certificate that is not trusted, of another name or expired, or no TLS.
    TlsFailed,
    /// What came back is not HTTP.
    NotHttp,
    /// The answer is longer than is read.
    TooLarge,
    /// Anything else; the detail says what.
    Other,
}

/// A line of text for people: control characters and runs of white space are one space, and what is longer
/// than 200 characters is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Detail(Option<Arc<str>>);

impl Outcome {
    /// The probe passed.
    #[must_use]
    pub const fn passed(status: u16, took: Millis) -> Self {
        Self::Passed { status, took }
    }

    /// The probe failed.
    #[must_use]
    pub fn failed(why: Failure) -> Self {
        Self::Failed { why, detail: Detail::default() }
    }

    /// With what else is known of a failure. A pass needs no reason and stays as it is.
    #[must_use]
    pub fn detail(self, text: &str) -> Self {
        match self {
            Self::Passed { .. } => self,
            Self::Failed { why, detail: _ } => Self::Failed { why, detail: Detail::new(text) },
        }
    }

    /// Did it pass?
    #[must_use]
    pub const fn is_passed(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { status, took } => write!(f, "status {status} in {took}"),
            Self::Failed { why, detail } if detail.is_empty() => why.fmt(f),
            Self::Failed { why, detail } => write!(f, "{why}: {detail}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Redirect(status) => write!(f, "status {status} redirects, which is not followed"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Unresolved => f.write_str("the name of the host has no address"),
            Self::Closed => f.write_str("connection closed before the answer was whole"),
            Self::TlsFailed => f.write_str("TLS failed"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Other => f.write_str("failed"),
        }
    }
}

impl Detail {
    /// This text, made one line and cut where it is too long.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let separate = |c: char| c.is_whitespace() || c.is_control();
        let words = text.split(separate).filter(|word| !word.is_empty());
        let mut line = String::new();
        let mut chars = 0;
        for word in words {
            let space = if line.is_empty() { "" } else { " " };
            for c in space.chars().chain(word.chars()) {
                if chars == DETAIL_CHARS {
                    line.push_str("...");
                    return Self(Some(line.into()));
                }
                line.push(c);
                chars += 1;
            }
        }
        Self((!line.is_empty()).then(|| line.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// Is there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
