//! Reading a document field by field: every error knows where it is and what would be accepted.
//!
//! The manifest is read with it, and so is every other document that wants errors of this kind:
//!
//! ```
//! use lifecycle_core::spec::document;
//! use lifecycle_core::spec::field::Field;
//! use lifecycle_core::time::Millis;
//!
//! let value = document("{proxy: {port: 80000}}", "settings")?;
//! let fields = Field::root(&value, "settings").fields(&["proxy", "grace"])?;
//! let grace = fields.read_or("grace", Millis::from_secs(5), Field::duration)?;
//! assert_eq!(grace, Millis::from_secs(5));
//!
//! let proxy = fields.section("proxy", &["port"])?;
//! let error = proxy.required("port", "a port like port: 8080", |field| field.whole(1..=65535)).unwrap_err();
//! assert_eq!(error.to_string(), "proxy.port: 80000 is not a whole number from 1 to 65535");
//! # Ok::<(), lifecycle_core::spec::SpecError>(())
//! ```

mod scalar;

use serde_json::{Map, Value};

use super::error::{SpecError, child, shown};

/// The longest word for which a similar one is looked for.
const MAX_MISSPELT: usize = 63;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// What the document is called in errors about all of it.
    root: &'a str,
    path: String,
    value: &'a Value,
}

/// The fields of a mapping; none, when the mapping itself was not written.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    root: &'a str,
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Field<'a> {
    /// The document itself. An error about all of it has `name` for its path: `manifest`, `scenario`.
    #[must_use]
    pub const fn root(value: &'a Value, name: &'a str) -> Self {
        Self { root: name, path: String::new(), value }
    }

    /// Where it stands: `spec.canary.steps[1].setWeight`; empty for the document itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was written.
    #[must_use]
    pub const fn value(&self) -> &'a Value {
        self.value
    }

    /// This problem, here.
    #[must_use]
    pub fn error(&self, problem: impl Into<String>) -> SpecError {
        error_at(self.root, &self.path, problem)
    }

    /// "... is not `wanted`", here.
    #[must_use]
    pub fn expected(&self, wanted: &str) -> SpecError {
        self.error(format!("{} is not {wanted}", shown(self.value)))
    }

    /// A mapping with no other fields than these.
    ///
    /// # Errors
    /// When it is none, or has another field.
    pub fn fields(&self, known: &[&str]) -> Result<Fields<'a>, SpecError> {
        let Some(map) = self.value.as_object() else {
            return Err(self.expected(&format!("a mapping: accepted fields are {}", known.join(", "))));
        };
        let fields = Fields { root: self.root, path: self.path.clone(), map: Some(map) };
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(fields.error_at(key, unknown("field", key, known))),
            None => Ok(fields),
        }
    }

    /// The entries of a mapping whose keys are free; at most `limit` of them.
    ///
    /// # Errors
    /// When it is no mapping, or a larger one.
    pub fn entries(&self, limit: usize) -> Result<Vec<(&'a str, Self)>, SpecError> {
        let Some(map) = self.value.as_object() else { return Err(self.expected("a mapping")) };
        if map.len() > limit {
            return Err(self.error(format!("{} entries are more than {limit}", map.len())));
        }
        let entry = |(key, value): (&'a String, &'a Value)| {
            (key.as_str(), Field { root: self.root, path: child(&self.path, key), value })
        };
        Ok(map.iter().map(entry).collect())
    }

    /// A list of at most `limit` items.
    ///
    /// # Errors
    /// When it is none, or a longer one.
    pub fn list(&self, limit: usize) -> Result<Vec<Self>, SpecError> {
        let Some(items) = self.value.as_array() else { return Err(self.expected("a list")) };
        if items.len() > limit {
            return Err(self.error(format!("{} items are more than {limit}", items.len())));
        }
        let item = |(at, value)| Field { root: self.root, path: format!("{}[{at}]", self.path), value };
        Ok(items.iter().enumerate().map(item).collect())
    }
}

impl<'a> Fields<'a> {
    /// Where one of its fields stands (or would).
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        child(&self.path, name)
    }

    /// This problem, in one of its fields.
    #[must_use]
    pub fn error_at(&self, name: &str, problem: impl Into<String>) -> SpecError {
        SpecError::new(self.path_of(name), problem)
    }

    /// One of its fields; written as null is not written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        let value = self.map?.get(name).filter(|value| !value.is_null())?;
        Some(Field { root: self.root, path: self.path_of(name), value })
    }

    /// One of its fields, read, if it was written.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, SpecError>,
    ) -> Result<Option<T>, SpecError> {
        self.get(name).map(|field| read(&field)).transpose()
    }

    /// One of its fields, read, or its default.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read_or<T>(
        &self,
        name: &str,
        default: T,
        read: impl FnOnce(&Field<'a>) -> Result<T, SpecError>,
    ) -> Result<T, SpecError> {
        Ok(self.read(name, read)?.unwrap_or(default))
    }

    /// One of its fields, read.
    ///
    /// # Errors
    /// Those of `read`; when it was not written, "is missing: write `example`".
    pub fn required<T>(
        &self,
        name: &str,
        example: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, SpecError>,
    ) -> Result<T, SpecError> {
        match self.read(name, read)? {
            Some(value) => Ok(value),
            None => Err(self.error_at(name, format!("is missing: write {example}"))),
        }
    }

    /// The fields of a mapping in it, which may have no others than these.
    ///
    /// # Errors
    /// When it was written and is no mapping, or has another field.
    pub fn section(&self, name: &str, known: &[&str]) -> Result<Self, SpecError> {
        match self.get(name) {
            Some(field) => field.fields(known),
            None => Ok(Fields { root: self.root, path: self.path_of(name), map: None }),
        }
    }

    /// None of these may be written, for this reason.
    ///
    /// # Errors
    /// The first that was.
    pub fn without(&self, names: &[&str], why: &str) -> Result<(), SpecError> {
        match names.iter().find_map(|name| self.get(name)) {
            Some(field) => Err(field.error(why)),
            None => Ok(()),
        }
    }
}

fn error_at(root: &str, path: &str, problem: impl Into<String>) -> SpecError {
    SpecError::new(if path.is_empty() { root } else { path }, problem)
}

/// "no such `what`", with the one that was probably meant, or all there are.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .filter(|_| word.len() <= MAX_MISSPELT)
        .map(|name| (strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase()), name))
        .min();
    match near {
        Some((distance, name)) if distance <= 1 + word.len() / 5 => {
            format!("no such {what}: did you mean {name}?")
        }
        _ => format!("no such {what}: accepted are {}", known.join(", ")),
    }
}
