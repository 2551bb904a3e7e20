//! What every field of the schema has in common.

use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::Value;

/// A field written as null is not written: the API server drops a null where none is allowed, and puts
/// the default there if there is one.
pub(super) fn null_is_not_written(schema: &mut Schema) {
    for (_, field) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(field) = field.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = field.get("type") {
            let only = types.iter().find(|name| *name != "null").cloned();
            field.insert("type".to_owned(), only.unwrap_or(Value::Null));
        }
        // said here, or the derive says that it is
        field.insert("nullable".to_owned(), Value::Bool(false));
    }
    transform_subschemas(&mut null_is_not_written, schema);
}
