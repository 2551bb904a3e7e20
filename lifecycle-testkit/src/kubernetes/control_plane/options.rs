//! What a control plane can be asked for.

use std::time::Duration;

/// How a control plane is to be.
///
/// ```
/// use std::time::Duration;
/// use lifecycle_testkit::kubernetes::control_plane::ControlPlaneOptions;
///
/// let options = ControlPlaneOptions::new().user("viewer").node_monitor_grace_period(Duration::from_secs(4));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ControlPlaneOptions {
    pub(super) users: Vec<String>,
    pub(super) node_monitor_grace_period: Duration,
    pub(super) eviction_after: Duration,
    pub(super) start_timeout: Duration,
}

impl ControlPlaneOptions {
    /// The user `admin` only, nodes that are lost after 5 s without a sign of life, and their pods evicted after 300 s.
    pub fn new() -> Self {
        Self {
            users: Vec::new(),
            node_monitor_grace_period: Duration::from_secs(5),
            eviction_after: Duration::from_secs(300),
            start_timeout: Duration::from_secs(60),
        }
    }

    /// One more user who can authenticate and, until RBAC gives something, may do nothing.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.users.push(name.into());
        self
    }

    /// How long a node may be silent before it counts as lost; 5 s. A node renews its lease or status about
    /// four times in that time. At least one second.
    #[must_use]
    pub fn node_monitor_grace_period(mut self, time: Duration) -> Self {
        self.node_monitor_grace_period = time.max(Duration::from_secs(1));
        self
    }

    /// How long a pod without tolerations of its own stays bound to a lost node; 300 s, as everywhere. Whole
    /// seconds.
    #[must_use]
    pub fn eviction_after(mut self, time: Duration) -> Self {
        self.eviction_after = time;
        self
    }

    /// How long a component may take to get ready; 60 s, which is meant for busy machines.
    #[must_use]
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.start_timeout = time;
        self
    }
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self::new()
    }
}
