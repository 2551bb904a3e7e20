//! The objects that a revision is made of. Pure: what is written to the API, and nothing about how.

mod deployment;
mod record;
mod service;
mod template;

pub use deployment::{deployment, resize};
pub use record::record;
pub use service::{release, route};
pub use template::{PodSettings, TemplateError, pod_template};

use serde_json::{Value, json};

/// The object that everything which is made belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Owner {
    /// Group and version, like `enis.andaon.com/v1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identity.
    pub uid: String,
}

impl Owner {
    /// The owner that an object of the API is, `None` for one that the API has not seen or that has no
    /// namespace.
    #[must_use]
    pub fn of<K: kube::Resource<DynamicType = ()>>(object: &K) -> Option<Self> {
        let meta = object.meta();
        Some(Self {
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            name: meta.name.clone()?,
            namespace: meta.namespace.clone()?,
            uid: meta.uid.clone()?,
        })
    }

    /// As an entry of `metadata.ownerReferences`: with the owner goes what it owns.
    #[must_use]
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
            "controller": true, "blockOwnerDeletion": true,
        })
    }
}
