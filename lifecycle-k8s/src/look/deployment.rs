//! One replica group: the child Deployment of a revision.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use lifecycle_core::backend::Token;
use lifecycle_core::version::{Revision, RevisionNumber, Version};
use serde_json::Value;

use super::{annotation, controller_of, labels_of, said};
use crate::names;

/// A child Deployment, as far as a rollout looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeploymentSeen {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Which write it is.
    pub resource_version: String,
    /// Which spec it has: every change of it counts.
    pub generation: i64,
    /// Uid of the object that controls it.
    pub owner: Option<String>,
    /// The revision that it runs.
    pub revision: Revision,
    /// Token of the newest wish that was written to it.
    pub token: Token,
    /// The size that was asked for.
    pub replicas: u32,
    /// Has the Deployment controller acted on the newest write?
    pub observed: bool,
    /// What of its template is ours, as some text: another one when somebody takes a part of it away.
    pub owned: String,
    /// Was its template changed by somebody else?
    pub drift: Option<Drift>,
    /// Is it being deleted?
    pub terminating: bool,
    /// Why it makes no pods, when that is known.
    pub trouble: Option<String>,
}

/// Somebody else changed what a revision runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// The field manager that did, like `kubectl-edit`.
    pub by: String,
}

impl DeploymentSeen {
    /// The facts of a Deployment, `None` when it is not the group of a revision.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let meta = &deployment.metadata;
        let (_, hash) = labels_of(meta)?;
        let version = Version::parse(annotation(meta, names::VERSION_ANNOTATION)?).ok()?;
        let number = annotation(meta, names::NUMBER_ANNOTATION)?.parse().ok()?;
        let token = annotation(meta, names::TOKEN)?.parse().ok()?;
        let replicas = deployment.spec.as_ref()?.replicas.unwrap_or(1);
        let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            resource_version: meta.resource_version.clone()?,
            generation: meta.generation.unwrap_or_default(),
            owner: controller_of(meta).map(|owner| owner.uid.clone()),
            revision: Revision::new(RevisionNumber(number), hash, version),
            token: Token(token),
            replicas: u32::try_from(replicas).unwrap_or(0),
            observed: observed >= meta.generation && meta.generation.is_some(),
            owned: owned(deployment),
            drift: drift(deployment),
            terminating: meta.deletion_timestamp.is_some(),
            trouble: trouble(deployment),
        })
    }
}

fn template_fields(entry: &ManagedFieldsEntry) -> Option<&Value> {
    let template = entry.fields_v1.as_ref()?.0.get("f:spec")?.get("f:template")?;
    template.as_object().is_some_and(|fields| !fields.is_empty()).then_some(template)
}

fn owned(deployment: &Deployment) -> String {
    let managed = deployment.metadata.managed_fields.as_deref().unwrap_or_default();
    let ours = managed.iter().filter(|entry| entry.manager.as_deref() == Some(names::FIELD_MANAGER));
    ours.filter_map(template_fields).map(Value::to_string).collect()
}

/// The template is ours alone; whoever else owns a field of it has changed it.
fn drift(deployment: &Deployment) -> Option<Drift> {
    let managed = deployment.metadata.managed_fields.as_deref().unwrap_or_default();
    managed.iter().find_map(|entry| {
        let manager = entry.manager.as_deref().filter(|manager| *manager != names::FIELD_MANAGER)?;
        // the Deployment controller writes the status, and annotations of the object itself
        template_fields(entry).map(|_| Drift { by: manager.to_owned() })
    })
}

fn trouble(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let failure = conditions.iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let reason = failure.reason.as_deref().unwrap_or("ReplicaFailure");
    Some(format!("{reason}: {}", said(failure.message.as_deref())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(managed: Value, generation: u32, observed: u32) -> DeploymentSeen {
        let deployment = serde_json::from_value(json!({
            "metadata": {
                "name": "a-abc", "uid": "u1", "resourceVersion": "7", "generation": generation,
                "labels": {"enis.andaon.com/agent": "a", "enis.andaon.com/revision": "abc"},
                "annotations": {
                    "enis.andaon.com/version": "1.5.0", "enis.andaon.com/revision-number": "2",
                    "enis.andaon.com/token": "9",
                },
                "managedFields": managed,
            },
            "spec": {"replicas": 3, "selector": {}, "template": {}},
            "status": {"observedGeneration": observed},
        }));
        DeploymentSeen::of(&deployment.unwrap()).unwrap()
    }

    fn entry(manager: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn a_write_is_observed_once_the_controller_has_acted_on_it() {
        assert!(!deployment(json!([]), 3, 2).observed);
        assert!(deployment(json!([]), 3, 3).observed);
    }

    #[test]
    fn a_template_that_somebody_else_changed_is_told() {
        let template = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}});
        let ours = entry(names::FIELD_MANAGER, template.clone());
        assert_eq!(deployment(json!([ours.clone()]), 1, 1).drift, None);
        let edited = deployment(json!([ours, entry("kubectl-edit", template)]), 1, 1);
        assert_eq!(edited.drift.map(|drift| drift.by).as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn a_part_of_the_template_that_is_taken_away_shows_in_what_is_ours() {
        let ours = |fields: Value| {
            let template = json!({"f:spec": {"f:template": fields}});
            let replicas = json!({"f:spec": {"f:replicas": {}}});
            let managed =
                json!([entry(names::FIELD_MANAGER, template), entry(names::FIELD_MANAGER, replicas)]);
            deployment(managed, 1, 1).owned
        };
        let whole = ours(json!({"f:spec": {"f:containers": {}, "f:volumes": {}}}));
        assert_eq!(whole, ours(json!({"f:spec": {"f:containers": {}, "f:volumes": {}}})));
        assert_ne!(whole, ours(json!({"f:spec": {"f:containers": {}}})));
    }

    #[test]
    fn another_size_and_the_controllers_status_are_no_drift() {
        let scaled = entry("kubectl", json!({"f:spec": {"f:replicas": {}}}));
        let status =
            entry("kube-controller-manager", json!({"f:status": {}, "f:metadata": {"f:annotations": {}}}));
        assert_eq!(deployment(json!([scaled, status]), 1, 1).drift, None);
    }
}
