//! The record of what a revision runs.

use lifecycle_core::version::Revision;
use serde_json::{Value, json};

use super::{Owner, deployment::labels};
use crate::names;

/// The ControllerRevision that keeps the whole pod template of a revision, for as long as the revision is
/// remembered: its Deployment can be made again from it.
#[must_use]
pub fn record(owner: &Owner, revision: &Revision, template: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": names::child(&owner.name, &revision.hash),
            "namespace": owner.namespace,
            "labels": labels(owner, revision),
            "annotations": {names::VERSION_ANNOTATION: revision.version.to_string()},
            "ownerReferences": [owner.reference()],
        },
        "revision": revision.number.0,
        "data": {"template": template},
    })
}
