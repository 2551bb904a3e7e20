//! Where a Service really sends requests.

use std::collections::BTreeMap;

use k8s_openapi::api::discovery::v1::EndpointSlice;

/// One EndpointSlice, as far as a rollout looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointsSeen {
    /// Names of its pods, and whether each gets requests.
    pub pods: BTreeMap<String, bool>,
}

/// The Service that a slice belongs to.
#[must_use]
pub fn service_of(slice: &EndpointSlice) -> Option<&str> {
    Some(slice.metadata.labels.as_ref()?.get("kubernetes.io/service-name")?.as_str())
}

impl EndpointsSeen {
    /// The facts of a slice.
    #[must_use]
    pub fn of(slice: &EndpointSlice) -> Self {
        let endpoints = slice.endpoints.iter().flatten();
        let pods = endpoints.filter_map(|endpoint| {
            let name = endpoint
                .target_ref
                .as_ref()
                .filter(|target| target.kind.as_deref() == Some("Pod"))?
                .name
                .clone()?;
            // "nil should be interpreted as true" (the field's documentation)
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            Some((name, ready))
        });
        Self { pods: pods.collect() }
    }
}
