//! One value of a document, read with its path.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::error::{SpecError, child};
use super::{MAX_DEPTH, too_deep};

/// Where reading stopped, and why when it was us who stopped it.
#[derive(Debug, Default)]
pub(super) struct Slip {
    pub(super) path: Option<String>,
    pub(super) problem: Option<String>,
}

impl Slip {
    /// What we refused, in the document of this name.
    pub(super) fn refusal(self, name: &str) -> Option<SpecError> {
        let path = self.path.filter(|path| !path.is_empty());
        self.problem.map(|problem| SpecError::new(path.unwrap_or_else(|| name.to_owned()), problem))
    }
}

/// Reads one value. Serde's errors carry no path, so the innermost node that sees one notes it.
pub(super) struct Node<'a> {
    path: String,
    depth: usize,
    slip: &'a RefCell<Slip>,
}

impl<'a> Node<'a> {
    /// The document itself.
    pub(super) const fn root(slip: &'a RefCell<Slip>) -> Self {
        Self { path: String::new(), depth: 0, slip }
    }

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
        while let Some(key) = entries.next_key_seed(Key).map_err(|error| self.note(&self.path, error))? {
            let key = match key {
                Value::String(key) => key,
                other => return Err(self.refuse(self.path.clone(), not_text(&other))),
            };
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

/// Reads the key of an entry, whatever it is: YAML takes some plain words for something else than text.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
}

/// Why this key is refused.
fn not_text(key: &Value) -> String {
    match key {
        Value::Number(n) if n.is_f64() => format!(
            "the key {n} is read as a number, and a number cannot tell 1.10 from 1.1: quote it, like \"1.10\""
        ),
        Value::Null => "a key is empty: write some text, or quote it".to_owned(),
        other => format!("the key {other} is not read as text: quote it, like \"{other}\""),
    }
}
