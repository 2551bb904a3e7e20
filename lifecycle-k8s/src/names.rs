//! Every name that this crate writes into a cluster, in one place.

/// The group of the resource, and the prefix of our labels, annotations and finalizer.
pub const GROUP: &str = "enis.andaon.com";

/// The version of the resource.
pub const VERSION: &str = "v1";

/// The kind of the resource.
pub const KIND: &str = "AgentDeployment";

/// The resource in URLs and rules.
pub const PLURAL: &str = "agentdeployments";

/// The field manager of all writes.
pub const FIELD_MANAGER: &str = "lifecycle";

/// The reporting controller of Kubernetes Events.
pub const CONTROLLER: &str = "enis.andaon.com/lifecycle";

/// Label of everything that belongs to an AgentDeployment: its name.
pub const AGENT: &str = "enis.andaon.com/agent";

/// Label of everything that belongs to a revision: its hash.
pub const REVISION: &str = "enis.andaon.com/revision";

/// Annotation of a child Deployment: token of the newest wish that was carried out.
pub const TOKEN: &str = "enis.andaon.com/token";

/// Annotation of a Service: the route that is in effect, with its token.
pub const ROUTE: &str = "enis.andaon.com/route";

/// Annotation of a child Deployment and its record: the version people know the revision by.
pub const VERSION_ANNOTATION: &str = "enis.andaon.com/version";

/// Annotation of a child Deployment: the number of its revision.
pub const NUMBER_ANNOTATION: &str = "enis.andaon.com/revision-number";

/// Annotation of an AgentDeployment, written by people: `<id> <command>`.
pub const COMMAND: &str = "enis.andaon.com/command";

/// Finalizer of an AgentDeployment: what was made for it is taken away first.
pub const FINALIZER: &str = "enis.andaon.com/cleanup";

/// The Lease by which one of several operators is elected, in their own namespace.
pub const LEASE: &str = "lifecycle-operator";

/// Digits of a revision's hash.
pub const HASH_LEN: usize = 10;

/// The longest name of an AgentDeployment. A child is called `<name>-<hash>`, and with this limit that
/// is a DNS label: it can stand in a label, and pods keep all of it in their names and host names up to
/// what the Deployment controller adds.
pub const MAX_NAME: usize = 63 - 1 - HASH_LEN;

/// The name of the child Deployment, and of the record, of the revision with this hash.
///
/// # Example
/// ```
/// assert_eq!(lifecycle_k8s::names::child("edge-agent", "0a1b2c3d4e"), "edge-agent-0a1b2c3d4e");
/// ```
#[must_use]
pub fn child(agent: &str, hash: &str) -> String {
    format!("{agent}-{hash}")
}

/// Types of the conditions in the status.
pub mod condition {
    /// Does the version that is asked for serve, with all its replicas, and nothing is on its way?
    pub const READY: &str = "Ready";
    /// Is the spec followed? False: it has to be changed first, and what serves goes on serving.
    pub const ACCEPTED: &str = "Accepted";
    /// Do as many replicas serve as must, whatever their version?
    pub const AVAILABLE: &str = "Available";
    /// Is a rollout on its way, forth or back, without waiting for a person?
    pub const PROGRESSING: &str = "Progressing";
    /// Is something wrong, or was what is asked for not promoted?
    pub const DEGRADED: &str = "Degraded";
    /// Does the rollout wait for a person?
    pub const PAUSED: &str = "Paused";

    /// All of them, in the order in which the status lists them.
    pub const ALL: [&str; 6] = [READY, ACCEPTED, AVAILABLE, PROGRESSING, DEGRADED, PAUSED];
}
