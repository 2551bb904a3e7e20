//! Text: JSON that is kept and rarely looked into, and what is too long to be told.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The beginning of a text, of so many bytes at the most.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A JSON value, kept as its text: a tree of maps takes ten times the memory, and there is a pod template in every
/// object, every record and every cache of both.
///
/// # Example
/// ```
/// use lifecycle_k8s::crd::Json;
/// use serde_json::json;
///
/// let template = Json::from(json!({"spec": {"containers": []}}));
/// assert_eq!(template.value()["spec"], json!({"containers": []}));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Arc<str>);

impl Json {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Value {
        // it was made from a value
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_stays_what_it_was() {
        for value in
            [json!(null), json!({"b": [1, 2.5, 1e300, -7], "a": {"x\n\"": "ü"}}), json!(0.1), json!(u64::MAX)]
        {
            let kept: Json = serde_json::from_str(&value.to_string()).unwrap();
            assert_eq!(kept.value(), value);
            assert_eq!(serde_json::to_value(&kept).unwrap(), value);
        }
    }

    #[test]
    fn the_order_of_keys_does_not_make_another_value() {
        let one: Json = serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap();
        let other: Json = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(one, other);
    }
}
