//! One replica.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::{controller_of, labels_of, said};

/// A pod, as far as a rollout looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Hash of the revision that it runs, by its label.
    pub revision: String,
    /// Uid of the ReplicaSet that controls it.
    pub replica_set: String,
    /// Was it asked to stop?
    pub terminating: bool,
    /// Has it ended (evicted, failed, completed), so that it will be replaced?
    pub ended: bool,
    /// Does it pass its readiness probes?
    pub ready: bool,
    /// Have its processes started, so that probes count?
    pub probing: Probing,
    /// Why it does not come up, when that is known.
    pub trouble: Option<String>,
}

/// Do probes of a pod count?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a question with two answers")]
pub enum Probing {
    /// Its processes have not started yet: pulling an image takes its time.
    NotYet,
    /// All have started at least once, past their startup probes.
    Started,
}

/// Reasons to wait that are not trouble.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];

impl PodSeen {
    /// The facts of a pod, `None` when it is not a replica of a rollout: without our labels or without a
    /// ReplicaSet that controls it.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let (_, revision) = labels_of(&pod.metadata)?;
        let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet")?;
        let status = pod.status.as_ref();
        let containers = containers(status);
        let started = !containers.is_empty() && containers.iter().all(has_started);
        Some(Self {
            name: pod.metadata.name.clone()?,
            uid: pod.metadata.uid.clone()?,
            revision: revision.to_owned(),
            replica_set: owner.uid.clone(),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            ended: matches!(status.and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded")),
            ready: is_ready(status),
            probing: if started { Probing::Started } else { Probing::NotYet },
            trouble: trouble(status, containers),
        })
    }

    /// Does it count as created: there, not asked to stop, not ended?
    #[must_use]
    pub const fn is_created(&self) -> bool {
        !self.terminating && !self.ended
    }

    /// Does it count as ready?
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.is_created() && self.ready
    }
}

fn containers(status: Option<&PodStatus>) -> &[ContainerStatus] {
    status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

fn is_ready(status: Option<&PodStatus>) -> bool {
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Without a startup probe a container has started when it runs; the kubelet says so in `started`.
fn has_started(container: &ContainerStatus) -> bool {
    let running = container.state.as_ref().is_some_and(|state| state.running.is_some());
    running && container.started != Some(false) || container.restart_count > 0
}

/// The first container that waits for something unusual, or that cannot be scheduled.
fn trouble(status: Option<&PodStatus>, containers: &[ContainerStatus]) -> Option<String> {
    let first = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    let waiting = first.iter().chain(containers).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| !USUAL.contains(reason))?;
        let message = said(waiting.message.as_deref());
        Some(format!("container {}: {reason}: {message}", container.name))
    });
    waiting.or_else(|| {
        let conditions = status?.conditions.as_deref()?;
        let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
        let reason = scheduled.reason.as_deref().filter(|_| scheduled.status == "False")?;
        Some(format!("{reason}: {}", said(scheduled.message.as_deref())))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "a-1", "uid": "u1", "labels": {"enis.andaon.com/agent": "a", "enis.andaon.com/revision": "abc"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "rs1", "controller": true}],
            },
            "status": status,
        }))
        .unwrap()
    }

    fn seen(status: Value) -> PodSeen {
        PodSeen::of(&pod(status)).unwrap()
    }

    #[test]
    fn a_ready_pod_that_is_deleted_no_longer_counts() {
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert!(seen(ready.clone()).is_ready());
        let mut deleted = pod(ready);
        deleted.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let deleted = PodSeen::of(&deleted).unwrap();
        assert!(!deleted.is_ready() && !deleted.is_created() && deleted.terminating);
    }

    #[test]
    fn an_evicted_pod_is_not_created() {
        assert!(!seen(json!({"phase": "Failed", "reason": "Evicted"})).is_created());
    }

    #[test]
    fn a_pod_that_waits_says_why_unless_that_is_usual() {
        let waits = |reason: &str| {
            seen(json!({"containerStatuses": [{
                "name": "app", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": reason, "message": "no such image"}},
            }]}))
        };
        assert_eq!(
            waits("ImagePullBackOff").trouble.as_deref(),
            Some("container app: ImagePullBackOff: no such image")
        );
        let long = json!({"containerStatuses": [{
            "name": "app", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "RunContainerError", "message": "no such file: ".repeat(999)}},
        }]});
        let told = seen(long).trouble.unwrap();
        assert!(
            told.starts_with("container app: RunContainerError: no such file: ") && told.len() < 600,
            "{told}"
        );
        assert_eq!(waits("ContainerCreating").trouble, None);
        assert_eq!(waits("ContainerCreating").probing, Probing::NotYet);
    }

    fn container(name: &str, state: &Value, started: Option<bool>) -> Value {
        json!({
            "name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            "started": started,
        })
    }

    #[test]
    fn probes_count_once_every_container_has_started() {
        let (running, pulling) =
            (json!({"running": {}}), json!({"waiting": {"reason": "ContainerCreating"}}));
        let probing = |containers: &[Value]| seen(json!({"containerStatuses": containers})).probing;
        let (up, down) = (container("up", &running, None), container("down", &pulling, Some(false)));
        assert_eq!(probing(&[up.clone(), container("app", &running, Some(true))]), Probing::Started);
        assert_eq!(probing(&[up.clone(), down]), Probing::NotYet, "an image is pulled");
        assert_eq!(
            probing(&[up, container("app", &running, Some(false))]),
            Probing::NotYet,
            "its startup probe"
        );
        assert_eq!(probing(&[]), Probing::NotYet);
    }

    #[test]
    fn an_init_container_that_cannot_be_pulled_is_named() {
        let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        let usual = json!({"waiting": {"reason": "PodInitializing"}});
        let status = json!({
            "initContainerStatuses": [container("migrate", &waits, None)],
            "containerStatuses": [container("app", &usual, None)],
        });
        assert_eq!(
            seen(status).trouble.as_deref(),
            Some("container migrate: ImagePullBackOff: no such image")
        );
    }

    #[test]
    fn a_pod_that_cannot_be_placed_says_why() {
        let status = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
        ]});
        assert_eq!(seen(status).trouble.as_deref(), Some("Unschedulable: 0/3 nodes"));
    }

    #[test]
    fn a_container_that_crashed_has_started() {
        let status = json!({"containerStatuses": [{
            "name": "app", "image": "x", "imageID": "", "ready": false, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }]});
        assert_eq!(seen(status).probing, Probing::Started);
    }

    #[test]
    fn a_pod_of_somebody_else_is_not_looked_at() {
        let mut other = pod(json!({}));
        other.metadata.owner_references = None;
        assert_eq!(PodSeen::of(&other), None);
        let mut other = pod(json!({}));
        other.metadata.labels = None;
        assert_eq!(PodSeen::of(&other), None);
    }
}
