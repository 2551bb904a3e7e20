//! What is known about released versions.

use std::fmt::Debug;

use async_trait::async_trait;

use super::BackendResult;
use crate::version::Version;

/// A released version of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// Which component.
    pub component: String,
    /// Which version of it.
    pub version: Version,
    /// What its replicas run, when the manifest does not say so itself.
    pub template: Option<serde_json::Value>,
}

impl Release {
    /// A release without a template.
    #[must_use]
    pub const fn new(component: String, version: Version) -> Self {
        Self { component, version, template: None }
    }
}

/// Knows released versions.
///
/// # Contract
/// Versions are compared by precedence (build metadata ignored). `releases` answers in rising order.
#[async_trait]
pub trait VersionRegistry: Send + Sync + Debug {
    /// One release, `None` when there is no such version.
    async fn release(&self, component: &str, version: &Version) -> BackendResult<Option<Release>>;

    /// All releases of a component.
    async fn releases(&self, component: &str) -> BackendResult<Vec<Release>>;
}
