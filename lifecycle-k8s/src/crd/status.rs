//! The status: what the operator writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{schema, value};

/// Where the rollout is. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::null_is_not_written)]
#[non_exhaustive]
pub struct AgentDeploymentStatus {
    /// pending, deploying, healthy, unhealthy or rolled_back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "value::phase")]
    pub phase: Option<String>,

    /// Replicas that were created and not asked to stop, of all revisions.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub current_replicas: i64,

    /// Those of them that are ready.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub ready_replicas: i64,

    /// Selects the pods of all revisions; for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// The generation of the spec that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Accepted, Available, Progressing, Degraded, Paused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The step of the rollout, counted from 1; 0 when none is on its way.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub step: i64,

    /// How many steps there are.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub steps: i64,

    /// Percent of the traffic that goes to the canary.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub weight: i64,

    /// The revision that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionStatus>,

    /// The revision that is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<RevisionStatus>,

    /// What each check said last, while a rollout is on its way and after one that was not promoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckStatus>,

    /// What was decided last, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<Decision>,

    /// The answer to the last command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandAnswer>,

    /// The state of the engine, for the operator alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
}

/// A revision and its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RevisionStatus {
    /// Its hash: the value of its label enis.andaon.com/revision, and the end of its Deployment's name.
    pub revision: String,

    /// Its version.
    pub version: String,

    /// Replicas that are asked for.
    #[schemars(range(min = 0))]
    pub replicas: i64,

    /// Replicas that are ready.
    #[schemars(range(min = 0))]
    pub ready: i64,
}

/// What a check said last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::null_is_not_written)]
#[non_exhaustive]
pub struct CheckStatus {
    /// The check, as it is written in the spec.
    pub check: String,

    /// Pass, Fail, Waiting, NoData, Inconclusive, Error; or Uncounted, where no look in this step has counted yet.
    #[schemars(schema_with = "value::verdict")]
    pub verdict: String,

    /// The sentence for people: what was compared, the numbers, the bound, over how long, and what it takes to decide.
    pub message: String,

    /// Since when the verdict is this one.
    pub since: Time,

    /// When the look was taken that says so. A newer one that says the same is shown after half a minute.
    pub at: Time,

    /// From when on was counted what the sentence says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<Time>,
}

/// A decision of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Decision {
    /// What was decided, one word: GoingBack.
    pub name: String,

    /// Why, one word: CheckFailed.
    pub reason: String,

    /// The sentence for people, with the numbers.
    pub message: String,

    /// When.
    pub at: Time,
}

impl Decision {
    /// This decision at this time.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        reason: impl Into<String>,
        message: impl Into<String>,
        at: Time,
    ) -> Self {
        Self { name: name.into(), reason: reason.into(), message: message.into(), at }
    }
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CommandAnswer {
    /// The id that it was given with.
    pub id: String,

    /// What it asked for.
    pub command: String,

    /// done or refused.
    #[schemars(schema_with = "value::command_result")]
    pub result: String,

    /// Why it was refused; empty when it was done.
    #[serde(default)]
    pub message: String,
}

impl CommandAnswer {
    /// This command was carried out.
    #[must_use]
    pub fn done(id: impl Into<String>, command: impl Into<String>) -> Self {
        Self { id: id.into(), command: command.into(), result: "done".into(), message: String::new() }
    }

    /// This command was refused, for this reason.
    #[must_use]
    pub fn refused(id: impl Into<String>, command: impl Into<String>, why: impl Into<String>) -> Self {
        Self { id: id.into(), command: command.into(), result: "refused".into(), message: why.into() }
    }
}
