//! From text to a value, with a limit on everything.

mod node;

use std::cell::RefCell;

use serde::de::{DeserializeSeed, Deserializer};
use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::error::SpecError;
use node::{Node, Slip};

/// The longest text that is read. What Kubernetes accepts is a little more, and no manifest comes
/// near it.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// How deep values may be nested. Bounds the stack that reading takes.
pub const MAX_DEPTH: usize = 64;

/// Reads one YAML (1.2) or JSON document into a value. `name` is what errors call all of it:
/// `manifest`, `scenario`.
///
/// # Errors
/// Text over [`MAX_TEXT_BYTES`] (before anything is parsed), an empty text, several documents,
/// nesting deeper than [`MAX_DEPTH`], a key that is written twice, a key that YAML reads as a number
/// (1.10 would become 1.1) or another value that is no text, aliases that multiply, and text that is
/// neither YAML nor JSON. Each names the field, where one was reached, and the line.
///
/// # Example
/// ```
/// # use lifecycle_core::spec::document;
/// assert_eq!(document("a: [1, 2]", "list").unwrap(), serde_json::json!({"a": [1, 2]}));
/// assert_eq!(document("a: {b: 1, b: 2}", "list").unwrap_err().to_string(), "a.b: is written twice");
/// assert_eq!(document("", "list").unwrap_err().to_string(), "list: the text is empty, where one list is expected");
/// ```
pub fn document(text: &str, name: &str) -> Result<Value, SpecError> {
    if text.len() > MAX_TEXT_BYTES {
        let problem = format!("{} bytes of text are more than {MAX_TEXT_BYTES} (1 MiB)", text.len());
        return Err(SpecError::new(name, problem));
    }
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    if begin.starts_with('{')
        && let Some(outcome) = json(text, name)
    {
        return outcome;
    }
    // A mark after the document begins another one, but an empty one is no second document.
    let end = text.trim_end();
    match yaml(end.strip_suffix("\n---").unwrap_or(end), name)? {
        Value::Null => Err(SpecError::new(name, format!("the text is empty, where one {name} is expected"))),
        value => Ok(value),
    }
}

/// `None` when it is not JSON: a YAML mapping in braces begins the same way.
fn json(text: &str, name: &str) -> Option<Result<Value, SpecError>> {
    let slip = RefCell::new(Slip::default());
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Node::root(&slip).deserialize(&mut reader);
    match value.and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Some(Ok(value)),
        Err(_) => slip.into_inner().refusal(name).map(Err),
    }
}

/// Reads what a deserializer holds, as [`document`] reads a text.
pub(super) fn value<'de, D: Deserializer<'de>>(reader: D, name: &str) -> Result<Value, D::Error> {
    let slip = RefCell::new(Slip::default());
    Node::root(&slip).deserialize(reader).map_err(|error| match slip.into_inner().refusal(name) {
        Some(refusal) => serde::de::Error::custom(refusal),
        None => error,
    })
}

fn yaml(text: &str, name: &str) -> Result<Value, SpecError> {
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
    let root = Node::root(&slip);
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| root.deserialize(reader))
        .map_err(|error| {
            let Slip { path, problem } = slip.into_inner();
            let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| name.to_owned());
            SpecError::new(path, problem.unwrap_or_else(|| not_yaml(&error, name)))
        })
}

pub(super) fn too_deep() -> String {
    format!("is nested more than {MAX_DEPTH} levels deep")
}

/// What a YAML reader's error means to somebody who wrote a manifest, or what else `name` is.
fn not_yaml(error: &serde_saphyr::Error, name: &str) -> String {
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
        Error::MultipleDocuments { .. } => format!("several documents, where one {name} is expected"),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            format!("too large once its aliases are put in place, or too deeply nested, for a {name}")
        }
        _ if text.starts_with("recursion limit") => too_deep(),
        _ => format!("is not YAML: {}", text.chars().take(160).collect::<String>()),
    };
    format!("{place}{why}")
}
