//! From text to a value, with a limit on everything.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::error::{SpecError, child};

/// The longest text that is read. What Kubernetes accepts is a little more, and no manifest comes
/// near it.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// How deep values may be nested. Bounds the stack that reading takes.
pub const MAX_DEPTH: usize = 64;

/// Reads one YAML (1.2) or JSON document into a value.
///
/// # Errors
/// Text over [`MAX_TEXT_BYTES`] (before anything is parsed), an empty text, several documents,
/// nesting deeper than [`MAX_DEPTH`], a key that is written twice, aliases that multiply, and text
/// that is neither YAML nor JSON. Each names the field, where one was reached, and the line.
///
/// # Example
/// ```
/// # use lifecycle_core::spec::document;
/// assert_eq!(document("a: [1, 2]").unwrap(), serde_json::json!({"a": [1, 2]}));
/// assert_eq!(document("a: {b: 1, b: 2}").unwrap_err().to_string(), "a.b: is written twice");
/// ```
pub fn document(text: &str) -> Result<Value, SpecError> {
    if text.len() > MAX_TEXT_BYTES {
        let problem = format!("{} bytes of text are more than {MAX_TEXT_BYTES} (1 MiB)", text.len());
        return Err(SpecError::new("", problem));
    }
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    if begin.starts_with('{')
        && let Some(outcome) = json(text)
    {
        return outcome;
    }
    // A mark after the document begins another one, but an empty one is no second manifest.
    let end = text.trim_end();
    match yaml(end.strip_suffix("\n---").unwrap_or(end))? {
        Value::Null => Err(SpecError::new("", "the text is empty, where one manifest is expected")),
        value => Ok(value),
    }
}

/// `None` when it is not JSON: a YAML mapping in braces begins the same way.
fn json(text: &str) -> Option<Result<Value, SpecError>> {
    let slip = RefCell::new(Slip::default());
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node { path: String::new(), depth: 0, slip: &slip }.deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Some(Ok(value)),
        Err(_) => {
            let Slip { path, problem } = slip.into_inner();
            problem.map(|problem| Err(SpecError::new(path.unwrap_or_default(), problem)))
        }
    }
}

fn yaml(text: &str) -> Result<Value, SpecError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH + 1,
            flow_nesting_limit: MAX_DEPTH + 1,
            max_nodes: 100_000,
            max_events: 400_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
        // Repeated keys are found below, where their path is known.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    };
    let slip = RefCell::new(Slip::default());
    let root = Node { path: String::new(), depth: 0, slip: &slip };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| root.deserialize(reader))
        .map_err(|error| {
            let Slip { path, problem } = slip.into_inner();
            SpecError::new(path.unwrap_or_default(), problem.unwrap_or_else(|| not_yaml(&error)))
        })
}

pub(super) fn too_deep() -> String {
    format!("is nested more than {MAX_DEPTH} levels deep")
}

/// What a YAML reader's error means to somebody who wrote a manifest.
fn not_yaml(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    let place = error.location().filter(|place| place.line() > 0);
    let place =
        place.map_or(String::new(), |place| format!("line {}, column {}: ", place.line(), place.column()));
    let mut cause = error.without_snippet();
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let text = cause.render().split_whitespace().collect::<Vec<_>>().join(" ");
    let why = match cause {
        Error::MultipleDocuments { .. } => "several documents, where one manifest is expected".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "too large once its aliases are put in place, or too deeply nested, for a manifest".to_owned()
        }
        _ if text.starts_with("recursion limit") => too_deep(),
        _ => format!("is not YAML: {}", text.chars().take(160).collect::<String>()),
    };
    format!("{place}{why}")
}

/// Where reading stopped, and why when it was us who stopped it.
#[derive(Debug, Default)]
struct Slip {
    path: Option<String>,
    problem: Option<String>,
}

/// Reads one value. Serde's errors carry no path, so the innermost node that sees one notes it.
struct Node<'a> {
    path: String,
    depth: usize,
    slip: &'a RefCell<Slip>,
}

impl Node<'_> {
    fn below(&self, path: String) -> Self {
        Self { path, depth: self.depth + 1, slip: self.slip }
    }

    /// An error of the reader below `path`.
    fn note<E>(&self, path: &str, error: E) -> E {
        self.slip.borrow_mut().path.get_or_insert_with(|| path.to_owned());
        error
    }

    /// An error of our own at `path`.
    fn refuse<E: serde::de::Error>(&self, path: String, problem: String) -> E {
        let error = E::custom(&problem);
        *self.slip.borrow_mut() = Slip { path: Some(path), problem: Some(problem) };
        error
    }

    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < MAX_DEPTH {
            return Ok(());
        }
        // The whole path would be longer than it is useful.
        let top = match self.path.char_indices().nth(60) {
            Some((end, _)) => format!("{}...", &self.path[..end]),
            None => self.path.clone(),
        };
        Err(self.refuse(top, too_deep()))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.deserialize(reader)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items
                .next_element_seed(self.below(path.clone()))
                .map_err(|error| self.note(&path, error))?
            {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>().map_err(|error| self.note(&self.path, error))? {
            let path = child(&self.path, &key);
            if map.contains_key(&key) {
                return Err(self.refuse(path, "is written twice".to_owned()));
            }
            let value =
                entries.next_value_seed(self.below(path.clone())).map_err(|error| self.note(&path, error))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
