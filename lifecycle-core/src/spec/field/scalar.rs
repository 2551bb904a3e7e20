//! The values that stand in fields: numbers, words, times, versions, names.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::Value;

use super::super::duration::parse_duration;
use super::super::error::{SpecError, quoted};
use super::Field;
use crate::plan::{Amount, Weight};
use crate::time::Millis;
use crate::version::{Version, parse_version};

/// The longest version, name or label that is accepted.
const MAX_WORD: usize = 63;

/// The longest URL.
const MAX_URL: usize = 2048;

impl<'a> Field<'a> {
    /// Text that says something.
    ///
    /// # Errors
    /// When it is no text, or only spaces.
    pub fn text(&self) -> Result<&'a str, SpecError> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(self.expected("text")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn boolean(&self) -> Result<bool, SpecError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A number above the first bound and at most the second; `accepted` says so for people.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, above: f64, most: f64, accepted: &str) -> Result<f64, SpecError> {
        let number = self.value().as_f64().filter(|number| *number > above && *number <= most);
        number.ok_or_else(|| self.expected(accepted))
    }

    /// A whole number in this range.
    ///
    /// # Errors
    /// When it is none.
    pub fn whole(&self, range: RangeInclusive<u32>) -> Result<u32, SpecError> {
        let (least, most) = (*range.start(), *range.end());
        match self.value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if range.contains(&n) => Ok(n),
            _ => Err(self.expected(&format!("a whole number from {least} to {most}"))),
        }
    }

    /// This word and no other.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn one_word(&self, word: &str) -> Result<(), SpecError> {
        if self.value.as_str() == Some(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    /// One of these words, each with its meaning; `what` they are, like `a strategy`.
    ///
    /// # Errors
    /// When it is none of them.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_core::spec::field::Field;
    /// let value = serde_json::json!("blue");
    /// let colour = Field::root(&value, "colour").one_of("a colour", &[("red", 1), ("green", 2)]);
    /// assert_eq!(colour.unwrap_err().to_string(), "colour: \"blue\" is not a colour: accepted are red, green");
    /// ```
    pub fn one_of<T: Clone>(&self, what: &str, words: &[(&str, T)]) -> Result<T, SpecError> {
        match words.iter().find(|(word, _)| self.value.as_str() == Some(word)) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(self.expected(&format!("{what}: accepted are {}", words.join(", "))))
            }
        }
    }

    /// `30s`, `15m`, `1h`; see [`parse_duration`].
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(&self) -> Result<Millis, SpecError> {
        Err(match self.value {
            Value::String(text) => {
                return parse_duration(text).map_err(|error| self.error(error.to_string()));
            }
            Value::Number(n) if n.as_f64().is_some_and(|n| n < 0.0) => {
                self.error(format!("{n} is negative: write a duration like 30s, 15m, 1h or 1h30m"))
            }
            Value::Number(n) => {
                self.error(format!("{n} has no unit: write a duration like 30s, 15m, 1h or 1h30m"))
            }
            _ => self.expected("a duration like 30s, 15m, 1h or 1h30m"),
        })
    }

    /// A duration that is not zero.
    ///
    /// # Errors
    /// When it is none.
    pub fn time_span(&self) -> Result<Millis, SpecError> {
        match self.duration()? {
            Millis::ZERO => Err(self.error("0s is too short: write a duration longer than 0s, like 30s")),
            span => Ok(span),
        }
    }

    /// A whole percentage.
    ///
    /// # Errors
    /// When it is none.
    pub fn weight(&self) -> Result<Weight, SpecError> {
        let weight = self.value.as_u64().and_then(|n| u32::try_from(n).ok()).and_then(Weight::new);
        weight.ok_or_else(|| {
            self.expected(match self.value.is_string() {
                true => "a percentage: write a plain number from 0 to 100",
                false => "a percentage from 0 to 100",
            })
        })
    }

    /// A number of replicas, at most `most`, or a percentage of them.
    ///
    /// # Errors
    /// When it is neither.
    pub fn amount(&self, most: u32) -> Result<Amount, SpecError> {
        let percent =
            self.value.as_str().filter(|text| text.ends_with('%')).and_then(|text| text.parse().ok());
        if let Some(amount @ Amount::Percent(0..=100)) = percent {
            return Ok(amount);
        }
        match self.value.as_u64().and_then(|n| u32::try_from(n).ok()) {
            Some(n) if n <= most => Ok(Amount::Replicas(n)),
            _ => Err(self.expected(&format!(
                "a number of replicas from 0 to {most} or a percentage from 0% to 100%, like 25%"
            ))),
        }
    }

    /// A semantic version; never a YAML number, which has already lost the zero of 1.10.
    ///
    /// # Errors
    /// When it is none.
    pub fn version(&self) -> Result<Version, SpecError> {
        match self.value {
            Value::Number(n) => Err(self.error(format!(
                "{n} is read as a number, and a number cannot tell 1.10 from 1.1: quote it, like \"1.10\" or \"1.10.0\""
            ))),
            Value::String(text) => self.version_in(text),
            _ => Err(self.expected("a version: write MAJOR.MINOR.PATCH like 1.5.0")),
        }
    }

    /// A semantic version that is the key of this field.
    ///
    /// # Errors
    /// When it is none.
    pub fn version_in(&self, text: &str) -> Result<Version, SpecError> {
        if text.len() > MAX_WORD {
            return Err(self.error(format!("{} is longer than {MAX_WORD} characters", quoted(text))));
        }
        parse_version(text).map_err(|error| self.error(error.to_string()))
    }

    /// A name that Kubernetes accepts for objects and Services.
    ///
    /// # Errors
    /// When it is none.
    pub fn name(&self) -> Result<Arc<str>, SpecError> {
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
            _ => Err(self.expected(
                "a name: write lower-case letters, digits and inner hyphens, at most 63 characters, like edge-agent",
            )),
        }
    }

    /// Text that can be the value of a Kubernetes label.
    ///
    /// # Errors
    /// When it cannot.
    pub fn label(&self) -> Result<Arc<str>, SpecError> {
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
            _ => Err(self.expected(
                "an identifier: write letters, digits and inner '-', '_' or '.', at most 63 characters, like edge-agent",
            )),
        }
    }

    /// An `http` or `https` URL.
    ///
    /// # Errors
    /// When it is none.
    pub fn url(&self) -> Result<Arc<str>, SpecError> {
        self.url_in(self.text()?)
    }

    /// An `http` or `https` URL that is the key of this field.
    ///
    /// # Errors
    /// When it is none.
    pub fn url_in(&self, text: &str) -> Result<Arc<str>, SpecError> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let named =
            host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
        if named && text.len() <= MAX_URL && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(text.into());
        }
        let shown = quoted(text);
        Err(self.error(format!("{shown} is not a URL: write one like http://host/path or https://host/path")))
    }
}
