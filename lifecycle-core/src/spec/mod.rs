//! The manifest: what people write, parsed into values that cannot be wrong.
//!
//! [`Manifest::from_yaml`] and [`Manifest::from_value`] are the only ways in. Each field is read by
//! its path, so that an error says where it is and what would be accepted, on one line:
//!
//! ```
//! # use lifecycle_core::spec::Manifest;
//! let error = Manifest::from_yaml("
//! apiVersion: enis.andaon.com/v1
//! kind: AgentDeployment
//! metadata: {name: edge-agent}
//! spec:
//!   version: 1.5.0
//!   strategy: canary
//!   canary: {steps: [{setWeight: 10}, {setWeight: 120}]}
//! ").unwrap_err();
//! assert_eq!(error.to_string(), "spec.canary.steps[1].setWeight: 120 is not a percentage from 0 to 100");
//! ```

mod analysis;
mod duration;
mod error;
pub mod field;
mod kind;
mod parts;
mod rollout;
mod strategies;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use analysis::AnalysisSpec;
pub use duration::{DurationError, parse_duration};
pub use error::SpecError;
pub use kind::{StrategyKind, Tier};
pub use parts::{Probe, Traffic, TrafficProvider};
pub use rollout::{MAX_REPLICAS, RolloutSpec};
pub use strategies::{BlueGreen, Canary, CanaryStep, Rolling, Room};
pub use text::{MAX_DEPTH, MAX_TEXT_BYTES, document};

use field::Field;

/// The `apiVersion` of manifests.
pub const API_VERSION: &str = "enis.andaon.com/v1";

/// The `kind` of manifests.
pub const KIND: &str = "AgentDeployment";

/// What errors call the document as a whole.
const NAME: &str = "manifest";

/// What Kubernetes keeps in `metadata`: accepted, so that an object read from the API is a manifest.
const METADATA: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// An `AgentDeployment`: a name and what shall run under it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace; `default` unless written.
    pub namespace: Arc<str>,
    /// What shall run, and how it gets there.
    pub spec: RolloutSpec,
}

impl Manifest {
    /// Reads a manifest from YAML or JSON.
    ///
    /// # Errors
    /// The first field that is wrong; see [`document`] for what is refused before any field is read.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_core::spec::Manifest;
    /// let manifest = Manifest::from_yaml("
    /// apiVersion: enis.andaon.com/v1
    /// kind: AgentDeployment
    /// metadata: {name: edge-agent}
    /// spec: {version: v1.5, strategy: canary, replicas: 10}
    /// ").unwrap();
    /// assert_eq!(manifest.spec.version().to_string(), "1.5.0");
    /// assert_eq!(manifest.spec.canary().steps.len(), 3);
    /// ```
    pub fn from_yaml(text: &str) -> Result<Self, SpecError> {
        Self::read(&document(text, NAME)?)
    }

    /// Reads a manifest from a value, as an API hands it over. `status` is not looked at.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn from_value(value: Value) -> Result<Self, SpecError> {
        check_depth(&value, "", MAX_DEPTH)?;
        Self::read(&value)
    }

    fn read(value: &Value) -> Result<Self, SpecError> {
        let root = Field::root(value, NAME);
        if !value.is_object() {
            return Err(root.expected("a manifest: write a mapping with apiVersion, kind, metadata and spec"));
        }
        let fields = root.fields(&["apiVersion", "kind", "metadata", "spec", "status"])?;
        for (name, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            fields.required(name, wanted, |field| field.one_word(wanted))?;
        }
        let metadata = fields.section("metadata", &METADATA)?;
        let name = metadata.required("name", "a name like edge-agent", Field::name)?;
        let namespace = metadata.read_or("namespace", "default".into(), Field::name)?;
        let spec = fields.required("spec", "what shall run, at least {version: 1.5.0}", |field| {
            RolloutSpec::read(field, &name)
        })?;
        Ok(Self { name, namespace, spec })
    }
}

/// The same as [`Manifest::from_value`]: an error keeps the path of its field, in whatever format.
///
/// # Example
/// ```
/// # use lifecycle_core::spec::Manifest;
/// #[derive(Debug, serde::Deserialize)]
/// struct Request {
///     dry_run: bool,
///     manifest: Manifest,
/// }
/// let text = r#"{"dry_run": true, "manifest": {
///     "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": "edge-agent"},
///     "spec": {"version": "1.5.0", "replicas": 0}
/// }}"#;
/// let error = serde_json::from_str::<Request>(text).unwrap_err();
/// assert!(error.to_string().starts_with("spec.replicas: 0 is not a whole number from 1 to 100000"));
///
/// let request: Request = serde_json::from_str(&text.replace("0}", "3}")).unwrap();
/// assert!(request.dry_run && request.manifest.spec.replicas() == 3);
/// ```
impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Self::read(&text::value(reader, NAME)?).map_err(serde::de::Error::custom)
    }
}

/// A value that did not come through [`document`] may be of any depth.
fn check_depth(value: &Value, path: &str, left: usize) -> Result<(), SpecError> {
    if left == 0 && (value.is_array() || value.is_object()) {
        return Err(SpecError::new(if path.is_empty() { NAME } else { path }, text::too_deep()));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_depth(item, path, left - 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let path = if left + 3 > MAX_DEPTH { error::child(path, key) } else { path.to_owned() };
            check_depth(value, &path, left - 1)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
