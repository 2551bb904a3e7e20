//! Answers of Prometheus and Alertmanager: what their HTTP APIs sent back, and what that says.
//!
//! Whatever comes back becomes an [`Answer`] or an [`AnswerError`] that says what it was; nothing is
//! guessed. What a warning goes with is incomplete and no answer.

mod alerts;
mod arm;
pub(crate) mod counts;
mod error;
pub(crate) mod histogram;
pub(crate) mod increase;
pub(crate) mod native;
pub(crate) mod pods;
pub(crate) mod replicas;
pub(crate) mod scalar;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use crate::metrics::Metrics;
pub use alerts::read_alerts;
pub(crate) use arm::Arm;
pub use error::AnswerError;
pub use native::Native;

/// The label that tells apart what one question asks for. Without it, it is what is counted and has not failed.
pub(crate) const COUNT: &str = "lifecycle_count";
/// Its value for failed requests.
pub(crate) const FAILED: &str = "failed";
/// For when the newest series was scraped, in seconds.
pub(crate) const SCRAPED: &str = "scraped";
/// For the sum of the counters at the later mark.
pub(crate) const NOW: &str = "now";
/// For that at the earlier one.
pub(crate) const THEN: &str = "then";
/// For the number of series that say more than their difference does.
pub(crate) const CHANGED: &str = "changed";
/// The label that has the name of a replica.
pub(crate) const REPLICA: &str = "lifecycle_replica";
/// For the sum of what may be used.
pub(crate) const LIMIT: &str = "limit";
/// For the number of what is too new to be measured.
pub(crate) const YOUNG: &str = "young";
/// For the number of series of which cannot be told how much they have grown.
pub(crate) const UNKNOWN: &str = "unknown";

/// How errors call it.
const API: &str = "Prometheus' API";

/// How much of a body an error repeats.
const SHOWN_CHARS: usize = 120;

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Any number of series with one value each.
    Vector(Vec<Series>),
    /// A number.
    Scalar(f64),
    /// Text: no query is answered by it.
    Text,
    /// Series with many values each, one for each step of a range query.
    Matrix(Vec<Line>),
}

/// One series of a matrix.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Moments in seconds since 1970, and its values then.
    pub values: Vec<(f64, f64)>,
}

impl Line {
    /// A series with these labels, and values at these moments.
    #[must_use]
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, values: Vec<(f64, f64)>) -> Self {
        Self { labels: owned(labels), values }
    }
}

fn owned<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a series says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number; NaN and the infinities are numbers.
    Number(f64),
    /// A native histogram.
    Native(Native),
}

/// One series of a vector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Its labels, with `__name__` where the query has kept it.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: Value,
    /// The moment that it is the value of, in seconds since 1970.
    pub at: f64,
}

impl Series {
    /// A series with these labels and this value.
    #[must_use]
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) -> Self {
        Self { labels: owned(labels), value: Value::Number(value), at: 0.0 }
    }

    /// Of this moment, in seconds since 1970.
    #[must_use]
    pub const fn of(mut self, at: f64) -> Self {
        self.at = at;
        self
    }

    /// Is it of this moment, to the millisecond?
    fn is_of(&self, mark: Mark) -> bool {
        (self.at * 1000.0).round() == mark.0 as f64
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        arm::label(&self.labels, name)
    }

    fn number(&self) -> Result<f64, AnswerError> {
        match self.value {
            Value::Number(value) => Ok(value),
            Value::Native(_) => Err(AnswerError::NativeHistogram),
        }
    }

    fn native(&self) -> Result<&Native, AnswerError> {
        match &self.value {
            Value::Native(native) => Ok(native),
            Value::Number(_) => Err(AnswerError::NotNative),
        }
    }

    /// The labels as PromQL writes them, for people.
    fn shown(&self) -> String {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        shown(&format!("{{{}}}", labels.join(",")))
    }
}

/// Reads what `/api/v1/query` has sent back: its status, where a redirect points to, and the body.
///
/// # Errors
/// When it is no successful and complete answer.
///
/// # Example
/// ```
/// # use lifecycle_prom::answer::{self, Answer};
/// let body = br#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"NaN"]}}"#;
/// assert!(matches!(answer::read(200, None, body), Ok(Answer::Scalar(value)) if value.is_nan()));
/// assert!(answer::read(502, None, b"<html>Bad Gateway</html>").is_err());
/// ```
pub fn read(status: u16, location: Option<&str>, body: &[u8]) -> Result<Answer, AnswerError> {
    let text = String::from_utf8_lossy(body);
    let problem = problem_of_http(status, location, body);
    match serde_json::from_slice::<Body>(body) {
        // An error that Prometheus itself explains says more than its status.
        Ok(Body { status: said, error, error_type, .. })
            if said == "error" && error.is_some() && !(300..400).contains(&status) =>
        {
            let error_type = shown(&error_type.unwrap_or_default());
            Err(AnswerError::Refused { error_type, text: shown(&error.unwrap_or_default()) })
        }
        parsed => match (problem, parsed) {
            (Some(problem), _) => Err(problem),
            (None, Ok(Body { status: said, data: Some(data), warnings, .. })) if said == "success" => {
                // Prometheus before 2.54, and Thanos, put remarks about the question among them, which take nothing from the answer
                let mut warnings = warnings.unwrap_or_default();
                warnings.retain(|warning| !warning.starts_with("PromQL info:"));
                match warnings {
                    warnings if warnings.is_empty() => data.read(),
                    warnings => Err(AnswerError::Incomplete(shown(&warnings.join("; ")))),
                }
            }
            (None, Ok(_)) => Err(not_the_api("neither success with data nor an error", &text)),
            (None, Err(error)) => Err(not_the_api(&error.to_string(), &text)),
        },
    }
}

/// What HTTP says is wrong, whatever API it is.
fn problem_of_http(status: u16, location: Option<&str>, body: &[u8]) -> Option<AnswerError> {
    let text = || shown(&String::from_utf8_lossy(body));
    match status {
        300..400 => Some(AnswerError::Redirect { status, location: shown(location.unwrap_or_default()) }),
        200 if body.trim_ascii_start().starts_with(b"<") => Some(AnswerError::Html { begins: text() }),
        200 => None,
        _ => Some(AnswerError::Status { status, text: text() }),
    }
}

fn not_the_api(problem: &str, text: &str) -> AnswerError {
    AnswerError::NotTheApi { api: API, problem: shown(problem), begins: shown(text) }
}

/// The beginning of a text that came from outside, on one line.
fn shown(text: &str) -> String {
    let text = text.trim();
    let line: String = text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() { format!("{line}...") } else { line }
}

/// What the API sends, <https://prometheus.io/docs/prometheus/latest/querying/api/>.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Element>),
    Scalar(Sample),
    String(IgnoredAny),
    Matrix(Vec<Elements>),
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: Option<Sample>,
    histogram: Option<(f64, native::Wire)>,
}

#[derive(Deserialize)]
struct Elements {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Sample>,
    histograms: Option<IgnoredAny>,
}

/// A time and a value, which is text because JSON has no NaN.
#[derive(Deserialize)]
struct Sample(f64, String);

impl Sample {
    fn number(&self) -> Result<f64, AnswerError> {
        // Rust reads what Prometheus writes: NaN, +Inf, -Inf and decimal numbers.
        self.1.parse().map_err(|_| not_the_api("a value is no number", &self.1))
    }
}

impl Data {
    fn read(self) -> Result<Answer, AnswerError> {
        match self {
            Self::Vector(elements) => elements
                .into_iter()
                .map(|Element { metric: labels, value, histogram }| {
                    let (at, value) = match (value, histogram) {
                        (Some(sample), _) => (sample.0, Value::Number(sample.number()?)),
                        (None, Some((at, native))) => (at, Value::Native(Native::read(&native)?)),
                        (None, None) => return Err(not_the_api("a series has no value", "")),
                    };
                    Ok(Series { labels, value, at })
                })
                .collect::<Result<_, _>>()
                .map(Answer::Vector),
            Self::Scalar(sample) => sample.number().map(Answer::Scalar),
            Self::String(_) => Ok(Answer::Text),
            Self::Matrix(elements) => elements
                .into_iter()
                .map(|Elements { metric: labels, values, histograms }| match histograms {
                    Some(_) => Err(AnswerError::NativeHistogram),
                    None => {
                        let values = values.iter().map(|sample| Ok((sample.0, sample.number()?)));
                        Ok(Line { labels, values: values.collect::<Result<_, _>>()? })
                    }
                })
                .collect::<Result<_, _>>()
                .map(Answer::Matrix),
        }
    }
}

impl Answer {
    /// The series of a vector.
    fn vector(&self) -> Result<&[Series], AnswerError> {
        let given = match self {
            Self::Vector(series) => return Ok(series),
            Self::Scalar(_) => "a scalar",
            Self::Text => "a string",
            Self::Matrix(_) => "a range of values",
        };
        Err(AnswerError::WrongType { given, expected: "an instant vector" })
    }

    /// The series of a matrix.
    fn matrix(&self) -> Result<&[Line], AnswerError> {
        let given = match self {
            Self::Matrix(lines) => return Ok(lines),
            Self::Vector(_) => "an instant vector",
            Self::Scalar(_) => "a scalar",
            Self::Text => "a string",
        };
        Err(AnswerError::WrongType { given, expected: "a range of values" })
    }

    /// The number, where it is one without labels.
    pub(crate) fn number(&self) -> Result<f64, AnswerError> {
        match self {
            Self::Scalar(value) => Ok(*value),
            _ => match self.vector()? {
                [one] if one.labels.is_empty() => one.number(),
                _ => Err(AnswerError::WrongType { given: "a vector", expected: "a scalar" }),
            },
        }
    }
}

/// Is the newest scrape of this arm recent enough? Where none is told it is not asked for.
fn age(series: &[Series], metrics: &Metrics, arm: &Arm) -> Result<(), AnswerError> {
    let Some(scraped) = arm.one(series, SCRAPED) else { return Ok(()) };
    let age = (scraped.at - scraped.number()?) * 1000.0;
    // (a NaN is no age, and saturates to 0)
    let age = Millis(age.max(0.0) as u64);
    match age > metrics.stale_after {
        true => Err(AnswerError::Stale { age, limit: metrics.stale_after }),
        false => Ok(()),
    }
}

/// Is any series of this arm scraped still, as the part [`SCRAPED`] of the answer says, and is that recent enough? What its series
/// have counted in a window outlives them: it says nothing about now.
fn is_live(series: &[Series], metrics: &Metrics, arm: &Arm) -> Result<bool, AnswerError> {
    age(series, metrics, arm)?;
    Ok(arm.one(series, SCRAPED).is_some())
}

#[cfg(test)]
mod tests;
