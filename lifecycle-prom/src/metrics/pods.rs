//! The names of what is known of pods.

use super::labels::{Labels, RevisionValue};
use super::name::{NameError, label, metric};

/// The metrics of pods, for saturation and restarts.
///
/// They are not the application's: [kube-state-metrics](https://github.com/kubernetes/kube-state-metrics)
/// and the kubelets (cAdvisor) have them, and no series of theirs says which AgentDeployment and which
/// revision a pod is of. `kube_pod_labels` does, once kube-state-metrics is told to export the two labels:
///
/// ```text
/// --metric-labels-allowlist=pods=[enis.andaon.com/agent,enis.andaon.com/revision]
/// ```
///
/// All of these series must have the labels `namespace` and `pod` of the pod that they are about, which
/// for kube-state-metrics takes `honor_labels: true` in the scrape configuration. What is made of them is
/// said at [`query`](crate::query).
///
/// # Example
/// ```
/// # use lifecycle_prom::{Metrics, PodMetrics};
/// let metrics = Metrics::default().pods(PodMetrics::default().restarts("pod_restarts_total")?);
/// # Ok::<(), lifecycle_prom::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PodMetrics {
    pub(crate) labels: String,
    /// The labels that those have.
    pub(crate) of: Labels,
    pub(crate) restarts: String,
    pub(crate) cpu: String,
    pub(crate) limits: String,
    pub(crate) created: String,
    pub(crate) phase: String,
}

impl Default for PodMetrics {
    fn default() -> Self {
        Self {
            labels: "kube_pod_labels".to_owned(),
            of: Labels {
                namespace: Some("namespace".to_owned()),
                agent: Some("label_enis_andaon_com_agent".to_owned()),
                revision: "label_enis_andaon_com_revision".to_owned(),
                value: RevisionValue::hash(),
            },
            restarts: "kube_pod_container_status_restarts_total".to_owned(),
            cpu: "container_cpu_usage_seconds_total".to_owned(),
            limits: "kube_pod_container_resource_limits".to_owned(),
            created: "kube_pod_created".to_owned(),
            phase: "kube_pod_status_phase".to_owned(),
        }
    }
}

impl PodMetrics {
    /// The series that have the labels of pods, and the labels in which they have the name of the
    /// AgentDeployment and the hash of the revision. Default `kube_pod_labels`,
    /// `label_enis_andaon_com_agent`, `label_enis_andaon_com_revision`.
    ///
    /// # Errors
    /// When one of them is not the name of a metric, or of a label; so for every name here.
    pub fn labels(mut self, series: &str, agent: &str, revision: &str) -> Result<Self, NameError> {
        self.labels = metric("labels of pods", series)?;
        self.of.agent = Some(label("agent label of pods", agent)?);
        self.of.revision = label("revision label of pods", revision)?;
        Ok(self)
    }

    /// The counter of restarts of a container. Default `kube_pod_container_status_restarts_total`.
    ///
    /// # Errors
    /// When it is not the name of a metric.
    pub fn restarts(mut self, name: &str) -> Result<Self, NameError> {
        self.restarts = metric("restarts", name)?;
        Ok(self)
    }

    /// The counter of the seconds that a container has used of a processor, and the gauge of its limits,
    /// whose label `resource` is `cpu`. Default `container_cpu_usage_seconds_total`,
    /// `kube_pod_container_resource_limits`.
    ///
    /// # Errors
    /// When one of them is not the name of a metric.
    pub fn cpu(mut self, used: &str, limits: &str) -> Result<Self, NameError> {
        self.cpu = metric("cpu usage", used)?;
        self.limits = metric("cpu limits", limits)?;
        Ok(self)
    }

    /// When a pod was created, in seconds since 1970, and the gauges of its phase, of which the one is 1 whose label `phase` is
    /// the pod's. Default `kube_pod_created`, `kube_pod_status_phase`. Without them a pod that is new, or does not run, cannot be told
    /// from one that somebody has forgotten to measure.
    ///
    /// # Errors
    /// When one of them is not the name of a metric.
    pub fn state(mut self, created: &str, phase: &str) -> Result<Self, NameError> {
        self.created = metric("creation of pods", created)?;
        self.phase = metric("phase of pods", phase)?;
        Ok(self)
    }
}
