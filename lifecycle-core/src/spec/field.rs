//! Reading a value by its path: every error knows where it is and what would be accepted.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::duration::parse_duration;
use super::error::{SpecError, child, quoted, shown};
use crate::plan::{Amount, Weight};
use crate::time::Millis;
use crate::version::{Version, parse_version};

/// The longest version, name or label that is accepted.
const MAX_WORD: usize = 63;

type Outcome<T> = Result<T, SpecError>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) path: String,
    pub(super) value: &'a Value,
}

/// The fields of a mapping; none, when the mapping itself was not written.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Field<'a> {
    /// The document itself.
    pub(super) const fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    /// This problem, here.
    pub(super) fn error(&self, problem: impl Into<String>) -> SpecError {
        SpecError::new(self.path.as_str(), problem)
    }

    /// "... is not `wanted`".
    fn expected<T>(&self, wanted: &str) -> Outcome<T> {
        Err(self.error(format!("{} is not {wanted}", shown(self.value))))
    }

    /// A mapping, whatever its fields.
    pub(super) fn mapping(&self) -> Outcome<&'a Map<String, Value>> {
        self.value.as_object().map_or_else(|| self.expected("a mapping"), Ok)
    }

    /// A mapping with no other fields than these.
    pub(super) fn fields(&self, known: &[&str]) -> Outcome<Fields<'a>> {
        let map = self.mapping()?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(SpecError::new(child(&self.path, key), unknown("field", key, known))),
            None => Ok(Fields { path: self.path.clone(), map: Some(map) }),
        }
    }

    /// A list of at most `limit` items.
    pub(super) fn list(&self, limit: usize) -> Outcome<Vec<Field<'a>>> {
        let Some(items) = self.value.as_array() else { return self.expected("a list") };
        if items.len() > limit {
            return Err(self.error(format!("{} items are more than {limit}", items.len())));
        }
        let item = |(at, value)| Field { path: format!("{}[{at}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Text that says something.
    pub(super) fn text(&self) -> Outcome<&'a str> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => self.expected("text"),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Outcome<bool> {
        self.value.as_bool().map_or_else(|| self.expected("true or false"), Ok)
    }

    /// A whole number in this range.
    pub(super) fn whole(&self, range: RangeInclusive<u32>) -> Outcome<u32> {
        let (least, most) = (*range.start(), *range.end());
        match self.value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if range.contains(&n) => Ok(n),
            _ => self.expected(&format!("a whole number from {least} to {most}")),
        }
    }

    /// This word and no other.
    pub(super) fn one_word(&self, word: &str) -> Outcome<()> {
        if self.value.as_str() == Some(word) { Ok(()) } else { self.expected(word) }
    }

    /// One of these words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Outcome<T> {
        match words.iter().find(|(word, _)| self.value.as_str() == Some(word)) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.expected(&format!("one of {}", words.join(", ")))
            }
        }
    }

    /// `30s`, `15m`, `1h`.
    pub(super) fn duration(&self) -> Outcome<Millis> {
        match self.value {
            Value::String(text) => parse_duration(text).map_err(|error| self.error(error.to_string())),
            Value::Number(n) if n.as_f64().is_some_and(|n| n < 0.0) => {
                Err(self.error(format!("{n} is negative: write a duration like 30s, 15m, 1h or 1h30m")))
            }
            Value::Number(n) => {
                Err(self.error(format!("{n} has no unit: write a duration like 30s, 15m, 1h or 1h30m")))
            }
            _ => self.expected("a duration like 30s, 15m, 1h or 1h30m"),
        }
    }

    /// A duration that is not zero.
    pub(super) fn time_span(&self) -> Outcome<Millis> {
        match self.duration()? {
            Millis::ZERO => Err(self.error("0s is too short: write a duration longer than 0s, like 30s")),
            span => Ok(span),
        }
    }

    /// A whole percentage.
    pub(super) fn weight(&self) -> Outcome<Weight> {
        let weight = self.value.as_u64().and_then(|n| u32::try_from(n).ok()).and_then(Weight::new);
        match weight {
            Some(weight) => Ok(weight),
            None if self.value.is_string() => {
                self.expected("a percentage: write a plain number from 0 to 100")
            }
            None => self.expected("a percentage from 0 to 100"),
        }
    }

    /// A number of replicas or a percentage of them.
    pub(super) fn amount(&self, most: u32) -> Outcome<Amount> {
        let percent =
            self.value.as_str().filter(|text| text.ends_with('%')).and_then(|text| text.parse().ok());
        if let Some(amount @ Amount::Percent(0..=100)) = percent {
            return Ok(amount);
        }
        match self.value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if n <= most => Ok(Amount::Replicas(n)),
            _ => self.expected(&format!(
                "a number of replicas from 0 to {most} or a percentage from 0% to 100%, like 25%"
            )),
        }
    }

    /// A semantic version; never a YAML number, which has already lost the zero of 1.10.
    pub(super) fn version(&self) -> Outcome<Version> {
        match self.value {
            Value::Number(n) => Err(self.error(format!(
                "{n} is read as a number, and a number cannot tell 1.10 from 1.1: quote it, like \"1.10\" or \"1.10.0\""
            ))),
            Value::String(text) if text.len() > MAX_WORD => {
                Err(self.error(format!("{} is longer than {MAX_WORD} characters", quoted(text))))
            }
            Value::String(text) => parse_version(text).map_err(|error| self.error(error.to_string())),
            _ => self.expected("a version: write MAJOR.MINOR.PATCH like 1.5.0"),
        }
    }

    /// A name that Kubernetes accepts for objects and Services.
    pub(super) fn name(&self) -> Outcome<Arc<str>> {
        let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        match self.value.as_str() {
            Some(name)
                if (1..=MAX_WORD).contains(&name.len())
                    && name.bytes().all(ok)
                    && !name.starts_with('-')
                    && !name.ends_with('-') =>
            {
                Ok(name.into())
            }
            _ => self.expected(
                "a name: write lower-case letters, digits and inner hyphens, at most 63 characters, like edge-agent",
            ),
        }
    }

    /// Text that can be the value of a Kubernetes label.
    pub(super) fn label(&self) -> Outcome<Arc<str>> {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match self.value.as_str() {
            Some(label)
                if label.len() <= MAX_WORD
                    && ends(label.chars().next())
                    && ends(label.chars().next_back())
                    && label.chars().all(ok) =>
            {
                Ok(label.into())
            }
            _ => self.expected(
                "an identifier: write letters, digits and inner '-', '_' or '.', at most 63 characters, like edge-agent",
            ),
        }
    }
}

impl<'a> Fields<'a> {
    /// Where the mapping stands (or would).
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where one of its fields stands (or would).
    pub(super) fn path_of(&self, name: &str) -> String {
        child(&self.path, name)
    }

    /// One of its fields; written as null is not written.
    pub(super) fn get(&self, name: &str) -> Option<Field<'a>> {
        let value = self.map?.get(name).filter(|value| !value.is_null())?;
        Some(Field { path: self.path_of(name), value })
    }

    /// One of its fields, read, if it was written.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<Option<T>> {
        self.get(name).map(|field| read(&field)).transpose()
    }

    /// One of its fields, read, or its default.
    pub(super) fn read_or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        Ok(self.read(name, read)?.unwrap_or(default))
    }

    /// One of its fields, read; an error when it was not written.
    pub(super) fn required<T>(
        &self,
        name: &str,
        example: &str,
        read: impl FnOnce(&Field<'a>) -> Outcome<T>,
    ) -> Outcome<T> {
        match self.read(name, read)? {
            Some(value) => Ok(value),
            None => Err(SpecError::new(self.path_of(name), format!("is missing: write {example}"))),
        }
    }

    /// The fields of a mapping in it, which may have no others than these.
    pub(super) fn section(&self, name: &str, known: &[&str]) -> Outcome<Fields<'a>> {
        match self.get(name) {
            Some(field) => field.fields(known),
            None => Ok(Fields { path: self.path_of(name), map: None }),
        }
    }
}

/// "no such `what`", with the one that was probably meant, or all there are.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .filter(|_| word.len() <= MAX_WORD)
        .map(|name| (strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase()), name))
        .min();
    match near {
        Some((distance, name)) if distance <= 1 + word.len() / 5 => {
            format!("no such {what}: did you mean {name}?")
        }
        _ => format!("no such {what}: known are {}", known.join(", ")),
    }
}
