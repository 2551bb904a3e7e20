//! What objects of the API mean for a rollout. Pure: an object in, the few facts that are needed out. The
//! caches keep these facts and not the objects, which are larger by a factor of fifty.

mod attempts;
mod deployment;
mod endpoints;
mod group;
mod pod;
mod readiness;
mod revision;
mod service;

pub use attempts::Attempts;
pub use deployment::{DeploymentSeen, Drift};
pub use endpoints::{EndpointsSeen, service_of};
pub use group::{Confirmed, group_status};
pub use pod::{PodSeen, Probing};
pub use readiness::Readiness;
pub use revision::RevisionSeen;
pub use service::{RecordedRoute, RouteRecord, ServiceSeen};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The owner that controls an object, as its kind and uid.
#[must_use]
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// What Kubernetes says of a trouble, as much of it as is kept: it goes into the record, the status and Events. (Why a
/// process could not be started can be its whole configuration.)
fn said(message: Option<&str>) -> &str {
    const MOST: usize = 512;
    message.map_or("no message", |message| crate::text::cut(message, MOST))
}

/// Which rollout target and revision an object belongs to, by its labels.
#[must_use]
pub fn labels_of(meta: &ObjectMeta) -> Option<(&str, &str)> {
    let labels = meta.labels.as_ref()?;
    Some((labels.get(crate::names::AGENT)?, labels.get(crate::names::REVISION)?))
}

fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    Some(meta.annotations.as_ref()?.get(name)?.as_str())
}
