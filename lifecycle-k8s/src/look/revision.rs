//! What a revision runs, kept apart from its Deployment.

use k8s_openapi::api::apps::v1::ControllerRevision;
use lifecycle_core::version::Version;

use super::{Readiness, annotation, controller_of, labels_of};
use crate::names;
use crate::text::Json;

/// A ControllerRevision of ours: the version and the pod template of one revision, so that its Deployment can
/// be made again after somebody deleted it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevisionSeen {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Uid of the object that controls it.
    pub owner: Option<String>,
    /// Hash of the revision.
    pub hash: String,
    /// The version people know it by.
    pub version: Version,
    /// The pod template with everything that was added to it.
    pub template: Json,
    /// How its pods are asked whether they are ready.
    pub readiness: Readiness,
}

impl RevisionSeen {
    /// The facts of a ControllerRevision, `None` when it is not one of ours.
    #[must_use]
    pub fn of(object: &ControllerRevision) -> Option<Self> {
        let meta = &object.metadata;
        let (_, hash) = labels_of(meta)?;
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone()?,
            owner: controller_of(meta).map(|owner| owner.uid.clone()),
            hash: hash.to_owned(),
            version: Version::parse(annotation(meta, names::VERSION_ANNOTATION)?).ok()?,
            template: object.data.as_ref()?.0.get("template")?.into(),
            readiness: Readiness::of(object.data.as_ref()?.0.get("template")?),
        })
    }
}
