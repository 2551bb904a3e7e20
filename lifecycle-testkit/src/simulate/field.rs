//! Reading a scenario by its paths: every error knows where it is and what would be accepted.

use std::ops::RangeInclusive;

use lifecycle_core::spec::parse_duration;
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Version, parse_version};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::cluster::Rate;

/// How much of a value an error repeats.
const SHOWN_CHARS: usize = 60;

/// Why a scenario was refused: one line, with the path of the field and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {problem}")]
#[non_exhaustive]
pub struct ScenarioError {
    /// The field, `events[2].fault`; `scenario` for the document as a whole.
    pub path: String,
    /// What is wrong with it and what is accepted, on one line.
    pub problem: String,
}

impl ScenarioError {
    pub(super) fn new(path: &str, problem: impl Into<String>) -> Self {
        Self { path: if path.is_empty() { "scenario" } else { path }.to_owned(), problem: problem.into() }
    }
}

pub(super) type Outcome<T> = Result<T, ScenarioError>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) path: String,
    value: &'a Value,
}

/// The fields of a mapping; none, when the mapping itself was not written.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    pub(super) path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Field<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn refuse<T>(&self, problem: impl Into<String>) -> Outcome<T> {
        Err(ScenarioError::new(&self.path, problem))
    }

    /// "... is not `wanted`".
    fn expected<T>(&self, wanted: &str) -> Outcome<T> {
        self.refuse(format!("{} is not {wanted}", shown(self.value)))
    }

    /// A mapping with no other fields than these.
    pub(super) fn fields(&self, known: &[&str]) -> Outcome<Fields<'a>> {
        let Some(map) = self.value.as_object() else {
            return self.expected(&format!("a mapping: accepted fields are {}", known.join(", ")));
        };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(ScenarioError::new(
                &child(&self.path, key),
                format!("no such field: accepted are {}", known.join(", ")),
            )),
            None => Ok(Fields { path: self.path.clone(), map: Some(map) }),
        }
    }

    /// The entries of a mapping from versions.
    pub(super) fn by_version(&self) -> Outcome<Vec<(Version, Field<'a>)>> {
        let Some(map) = self.value.as_object() else {
            return self
                .expected("a mapping from versions to how they behave, like \"1.5.0\": {errorRate: 3%}");
        };
        let entry = |(key, value): (&'a String, &'a Value)| {
            let field = Field { path: child(&self.path, key), value };
            match parse_version(key) {
                Ok(version) => Ok((version, field)),
                Err(error) => field.refuse(error.to_string()),
            }
        };
        map.iter().map(entry).collect()
    }

    /// A list of at most `limit` items.
    pub(super) fn list(&self, limit: usize) -> Outcome<Vec<Self>> {
        let Some(items) = self.value.as_array() else { return self.expected("a list") };
        if items.len() > limit {
            return self.refuse(format!("{} items are more than {limit}", items.len()));
        }
        let item = |(at, value)| Field { path: format!("{}[{at}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A whole number in this range.
    pub(super) fn whole(&self, range: &RangeInclusive<u32>) -> Outcome<u32> {
        match self.value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(n) => Ok(n),
            None => self.expected(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> Outcome<Rate> {
        match self.value.as_f64().and_then(Rate::from_f64) {
            Some(rate) => Ok(rate),
            None => self.expected("a number of requests a second from 0 to 1000000"),
        }
    }

    /// A share written in percent, as 0 to 1.
    pub(super) fn percentage(&self) -> Outcome<f64> {
        let number = self.value.as_str().and_then(|text| text.strip_suffix('%'));
        match number.and_then(|number| number.trim().parse::<f64>().ok()) {
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
            _ => self.expected("a percentage from 0% to 100%, like 0.1%"),
        }
    }

    /// `30s`, `15m`, `1h`.
    pub(super) fn duration(&self) -> Outcome<Millis> {
        match self.value {
            Value::String(text) => parse_duration(text).or_else(|error| self.refuse(error.to_string())),
            Value::Number(n) => {
                self.refuse(format!("{n} has no unit: write a duration like 30s, 15m, 1h or 1h30m"))
            }
            _ => self.expected("a duration like 30s, 15m, 1h or 1h30m"),
        }
    }

    /// A duration that is not zero.
    pub(super) fn time_span(&self) -> Outcome<Millis> {
        match self.duration()? {
            Millis::ZERO => self.refuse("0s is too short: write a duration longer than 0s, like 30s"),
            span => Ok(span),
        }
    }

    pub(super) fn version(&self) -> Outcome<Version> {
        match self.value {
            Value::Number(n) => self.refuse(format!(
                "{n} is read as a number, and a number cannot tell 1.10 from 1.1: quote it, like \"1.10\""
            )),
            Value::String(text) if text.len() <= 63 => {
                parse_version(text).or_else(|error| self.refuse(error.to_string()))
            }
            _ => self.expected("a version: write MAJOR.MINOR.PATCH like 1.5.0"),
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// One of these words.
    pub(super) fn one_of<T: Clone>(&self, what: &str, words: &[(&str, T)]) -> Outcome<T> {
        match words.iter().find(|(word, _)| self.value.as_str() == Some(word)) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.expected(&format!("{what}: accepted are {}", words.join(", ")))
            }
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn path_of(&self, name: &str) -> String {
        child(&self.path, name)
    }

    /// One of its fields; written as null is not written.
    pub(super) fn get(&self, name: &str) -> Option<Field<'a>> {
        let value = self.map?.get(name).filter(|value| !value.is_null())?;
        Some(Field { path: self.path_of(name), value })
    }

    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<Option<T>> {
        self.get(name).map(|field| read(&field)).transpose()
    }

    pub(super) fn read_or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        Ok(self.read(name, read)?.unwrap_or(default))
    }

    pub(super) fn required<T>(
        &self,
        name: &str,
        example: &str,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        match self.read(name, read)? {
            Some(value) => Ok(value),
            None => Err(ScenarioError::new(&self.path_of(name), format!("is missing: write {example}"))),
        }
    }

    /// The fields of a mapping in it, which may have no others than these.
    pub(super) fn section(&self, name: &str, known: &[&str]) -> Outcome<Self> {
        match self.get(name) {
            Some(field) => field.fields(known),
            None => Ok(Fields { path: self.path_of(name), map: None }),
        }
    }

    /// None of these may be written.
    pub(super) fn without(&self, names: &[&str], why: &str) -> Outcome<()> {
        match names.iter().find_map(|name| self.get(name)) {
            Some(field) => field.refuse(why),
            None => Ok(()),
        }
    }
}

/// A value as an error repeats it: on one line, and not all of it when it is long.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

/// `parent.key`, with keys that are no plain words in brackets and quotes.
fn child(parent: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || key.len() > SHOWN_CHARS || !key.chars().all(plain) {
        format!("{parent}[{}]", quoted(key))
    } else if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}
