//! The child Deployment of a revision.

use lifecycle_core::backend::ScaleWish;
use lifecycle_core::version::Revision;
use serde_json::{Value, json};

use super::Owner;
use crate::names;

/// The Deployment that runs the wished replicas of a revision, as it is created.
///
/// Its template is never changed afterwards (another template is another revision), so its own strategy
/// only matters when somebody else changes it: then no replica is taken away before a new one is there.
#[must_use]
pub fn deployment(owner: &Owner, wish: &ScaleWish, template: &Value) -> Value {
    let revision = &wish.revision;
    let labels = labels(owner, revision);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": names::child(&owner.name, &revision.hash),
            "namespace": owner.namespace,
            "labels": labels,
            "annotations": annotations(wish),
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "replicas": wish.replicas,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        },
    })
}

/// The change of an existing Deployment's size, for a server-side apply: only of the write that it was decided
/// on, and of nothing but the size and the wish's own marks.
#[must_use]
pub fn resize(owner: &Owner, wish: &ScaleWish, resource_version: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": names::child(&owner.name, &wish.revision.hash),
            "namespace": owner.namespace,
            "resourceVersion": resource_version,
            "annotations": annotations(wish),
        },
        "spec": {"replicas": wish.replicas},
    })
}

fn annotations(wish: &ScaleWish) -> Value {
    json!({
        names::TOKEN: wish.token.0.to_string(),
        names::NUMBER_ANNOTATION: wish.revision.number.0.to_string(),
        names::VERSION_ANNOTATION: wish.revision.version.to_string(),
    })
}

/// The labels of everything that belongs to a revision.
pub(super) fn labels(owner: &Owner, revision: &Revision) -> Value {
    json!({names::AGENT: owner.name, names::REVISION: &*revision.hash})
}
