//! The resource: `AgentDeployment` as Rust types, and its definition for the API server.
//!
//! The types hold what people wrote, nothing more: durations and versions stay text, words stay words,
//! so that whatever the API server has accepted (also under an older or a newer definition) can be read.
//! What it means is read in one place, by [`AgentDeployment::manifest`].
//!
//! ```
//! use lifecycle_k8s::crd::{AgentDeployment, AgentDeploymentSpec};
//!
//! let mut spec = AgentDeploymentSpec::default();
//! spec.version = "1.5.0".into();
//! spec.strategy = Some("canary".into());
//! let manifest = AgentDeployment::new("edge-agent", spec).manifest()?;
//! assert_eq!(manifest.spec.canary().steps.len(), 3);
//! # Ok::<(), lifecycle_core::spec::SpecError>(())
//! ```

mod rules;
mod schema;
mod sections;
mod status;
mod value;

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt as _};
use lifecycle_core::spec::{Manifest, SpecError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use crate::text::Json;
pub use crate::yaml::YamlError;
pub use sections::{
    Adopt, Analysis, BlueGreen, Canary, CanaryScale, CanaryStep, Hook, Probe, Rolling, Traffic,
};
pub use status::{AgentDeploymentStatus, CheckStatus, CommandAnswer, Decision, RevisionStatus};

use crate::names;

/// What shall run, and how it gets there.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "enis.andaon.com",
    version = "v1",
    kind = "AgentDeployment",
    plural = "agentdeployments",
    shortname = "agentdeploy",
    namespaced,
    status = "AgentDeploymentStatus",
    derive = "PartialEq",
    derive = "Default",
    attr = "allow(clippy::exhaustive_structs, missing_docs)",
    doc = "An application that is rolled out version by version: rolling, blue-green, canary or recreate.",
    validation = rules::name(),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.currentReplicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.stable.version", description = "The version that serves"),
    printcolumn(name = "Strategy", type_ = "string", json_path = ".spec.strategy"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "integer", json_path = ".status.step", description = "Step of the rollout, 0 when none is on its way"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".status.weight", description = "Percent of the traffic that goes to the new revision"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", priority = 1),
    printcolumn(name = "New", type_ = "string", json_path = ".status.canary.version", description = "The version that is rolled out", priority = 1),
    printcolumn(name = "Why", type_ = "string", json_path = ".status.lastDecision.message", description = "The last decision", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::null_is_not_written, transform = rules::spec)]
#[non_exhaustive]
pub struct AgentDeploymentSpec {
    /// The component that is deployed; the object's name unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::label")]
    pub agent_id: Option<String>,

    /// The semantic version that shall run, like 1.5.0; quote one that YAML takes for a number.
    #[schemars(schema_with = "value::version")]
    pub version: String,

    /// How it gets there: rolling, blue-green, canary or recreate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::strategy", extend("default" = "rolling"))]
    pub strategy: Option<String>,

    /// How many replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000), extend("default" = 1))]
    pub replicas: Option<i64>,

    /// What was promised about downtime: enterprise refuses whatever has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::tier", extend("default" = "standard"))]
    pub tier: Option<String>,

    /// How a replica is asked whether it is ready; /ready every 5s, timeout 3s, 2 failures unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = sections::readiness)]
    pub health_check: Option<Probe>,

    /// How a replica is asked whether it is alive; /health every 10s, timeout 5s, 3 failures unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = sections::liveness)]
    pub liveness: Option<Probe>,

    /// The pod template of the replicas. Another template is another revision. Without it, the template
    /// of the version's release in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::template")]
    pub template: Option<Json>,

    /// A Deployment that is there already and becomes the first stable revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,

    /// For the strategy rolling; recreate takes window and readinessAttempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Rolling>,

    /// For the strategy blue-green.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,

    /// For the strategy canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,

    /// What carries the split of the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,

    /// How health is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,

    /// URLs that are called at points of every rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hooks: Option<Vec<Hook>>,

    /// How long a replica that is stopped may finish its requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::duration", extend("default" = "5s"))]
    pub drain: Option<String>,

    /// A rollout that makes no progress for this long goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::time_span", extend("default" = "10m"))]
    pub progress_deadline: Option<String>,

    /// How many old revisions are remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), extend("default" = 10))]
    pub revision_history_limit: Option<i64>,

    /// Nothing new begins; a changed number of replicas is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub paused: Option<bool>,
}

impl AgentDeployment {
    /// What the object says, read the way every manifest is read. Its status, and what Kubernetes keeps
    /// in `metadata`, is not looked at.
    ///
    /// # Errors
    /// The first field that is wrong. The API server refuses most of that, but not all, and an object
    /// may be older than its definition.
    pub fn manifest(&self) -> Result<Manifest, SpecError> {
        let spec = serde_json::to_value(&self.spec)
            .map_err(|error| SpecError::new("spec", format!("cannot be written as JSON: {error}")))?;
        let mut metadata = BTreeMap::new();
        for (name, text) in [("name", &self.metadata.name), ("namespace", &self.metadata.namespace)] {
            if let Some(text) = text {
                metadata.insert(name, text);
            }
        }
        let api_version = format!("{}/{}", names::GROUP, names::VERSION);
        Manifest::from_value(
            json!({"apiVersion": api_version, "kind": names::KIND, "metadata": metadata, "spec": spec}),
        )
    }
}

/// The definition of the resource, for the API server.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    AgentDeployment::crd()
}

/// The same as YAML, for `kubectl apply`.
///
/// # Errors
/// None that anybody has seen: when the definition cannot be written as YAML.
pub fn yaml() -> Result<String, YamlError> {
    crate::yaml::documents([&definition()])
}
