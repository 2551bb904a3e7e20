//! Kubernetes objects as text.

use serde::Serialize;
use serde_json::{Number, Value};
use serde_saphyr::ser_options;
use thiserror::Error;

/// An object could not be written as YAML.
#[derive(Debug, Error)]
#[error("cannot be written as YAML: {0}")]
pub struct YamlError(String);

/// These objects, one document each.
pub(crate) fn documents<T: Serialize>(objects: impl IntoIterator<Item = T>) -> Result<String, YamlError> {
    let mut text = String::new();
    for object in objects {
        // by way of a value, whose keys are sorted
        let mut value = value(object)?;
        tidy(&mut value);
        // a line that is folded in the middle of a pattern could not be read
        let options = ser_options! { min_fold_chars: usize::MAX };
        let document = serde_saphyr::to_string_with_options(&value, options);
        text.push_str("---\n");
        text.push_str(&document.map_err(|error| YamlError(error.to_string()))?);
    }
    Ok(text)
}

/// An object as JSON.
pub(crate) fn value(object: impl Serialize) -> Result<Value, YamlError> {
    serde_json::to_value(object).map_err(|error| YamlError(error.to_string()))
}

/// Whole numbers without a fraction (limits in a schema are floats), and no `nullable: false`, which
/// is the default.
fn tidy(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                *number = Number::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.retain(|name, value| name != "nullable" || *value != Value::Bool(false));
            fields.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
