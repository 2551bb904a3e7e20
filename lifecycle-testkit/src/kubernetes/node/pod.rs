//! One pod from its binding to its end: a task of its own, which owns the tasks of its containers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::address::reported;
use super::container::ContainerTask;
use super::facts::{Facts, now};
use super::retry::insist;
use super::shared::{Power, Shared};
use super::status::{Look, status};

/// What a pod that was deleted with force still has.
const FORCED: Duration = Duration::from_secs(2);

/// One pod.
#[derive(Debug)]
pub(super) struct PodTask {
    pub(super) shared: Arc<Shared>,
    /// The newest object; `None` once it is gone.
    pub(super) object: watch::Receiver<Option<Arc<Pod>>>,
    /// Messages of evictions.
    pub(super) evictions: mpsc::UnboundedReceiver<String>,
    pub(super) address: Ipv4Addr,
}

/// What a pod's task knows.
#[derive(Debug)]
struct Known {
    pod: Arc<Pod>,
    since: Timestamp,
    evicted: Option<String>,
    /// What the API server was told last.
    sent: Option<PodStatus>,
    /// Its object is gone.
    gone: bool,
}

impl PodTask {
    /// Runs the pod until it is deleted.
    pub(super) async fn run(mut self) {
        let Some(pod) = self.object.borrow_and_update().clone() else { return };
        let report = Arc::new(watch::Sender::new(begun(&pod)));
        let stop = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        self.containers(&pod, &report, &stop).for_each(|task| drop(tasks.spawn(task.run())));
        let mut facts = report.subscribe();
        let mut power = self.shared.power.subscribe();
        let since =
            pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map_or_else(now, |it| it.0);
        let mut known = Known { pod, since, evicted: None, sent: None, gone: false };
        // it may have been deleted already
        self.heed(&mut known, &stop);
        loop {
            let seen = facts.borrow_and_update().clone();
            self.say(&mut known, &seen).await;
            let deleted = known.gone || known.pod.metadata.deletion_timestamp.is_some();
            if deleted && seen.iter().all(|facts| facts.over) {
                return self.delete(&known).await;
            }
            tokio::select! {
                Ok(()) = facts.changed() => {}
                Ok(()) = self.object.changed() => self.heed(&mut known, &stop),
                Some(message) = self.evictions.recv() => {
                    known.evicted = Some(message);
                    stop_by(&stop, Instant::now());
                }
                Ok(()) = power.changed() => if *power.borrow_and_update() == Power::On {
                    // others may have said something about the pod meanwhile
                    known.sent = None;
                },
            }
        }
    }

    fn containers<'a>(
        &'a self,
        pod: &'a Arc<Pod>,
        report: &'a Arc<watch::Sender<Vec<Facts>>>,
        stop: &'a watch::Sender<Option<Instant>>,
    ) -> impl Iterator<Item = ContainerTask> + 'a {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers).zip(begun(pod)).enumerate();
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        containers.map(move |(index, (container, facts))| ContainerTask {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(pod),
            container: container.clone(),
            index,
            address: self.address,
            report: Arc::clone(report),
            stop: stop.subscribe(),
            facts,
            token: self.shared.token_of(uid),
            running: None,
        })
    }

    /// The object has changed.
    fn heed(&mut self, known: &mut Known, stop: &watch::Sender<Option<Instant>>) {
        let options = &self.shared.options;
        match self.object.borrow_and_update().clone() {
            Some(pod) => {
                if pod.metadata.deletion_timestamp.is_some() {
                    let grace = options.seconds(pod.metadata.deletion_grace_period_seconds.unwrap_or(30));
                    stop_by(stop, Instant::now() + grace);
                }
                known.pod = pod;
            }
            None => {
                known.gone = true;
                stop_by(stop, Instant::now() + options.scaled(FORCED));
            }
        }
    }

    /// Tells the API server how the pod is, if it does not know.
    async fn say(&self, known: &mut Known, facts: &[Facts]) {
        if known.gone {
            return;
        }
        let look = Look {
            pod: &known.pod,
            pod_ip: reported(self.address),
            host_ip: self.shared.host_ip(),
            since: known.since,
            facts,
            evicted: known.evicted.as_deref(),
        };
        let before = known.sent.as_ref().or(known.pod.status.as_ref());
        let status = status(&look, before, now());
        if known.sent.as_ref() == Some(&status) {
            return;
        }
        patch(&self.shared, &known.pod, &status).await;
        known.sent = Some(status);
    }

    /// All containers have ended: the object may go.
    async fn delete(&self, known: &Known) {
        if !known.gone {
            delete(&self.shared, &known.pod).await;
        }
    }
}

/// What is known of the containers before any was started.
fn begun(pod: &Pod) -> Vec<Facts> {
    let before =
        pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.map(|it| Facts::after(before.iter().find(|status| status.name == it.name))).collect()
}

/// Moves the time by which all containers are to be gone, never to a later one.
fn stop_by(stop: &watch::Sender<Option<Instant>>, at: Instant) {
    stop.send_if_modified(|by| {
        let sooner = by.is_none_or(|by| at < by);
        if sooner {
            *by = Some(at);
        }
        sooner
    });
}

/// Writes a pod's status. `false`: the pod is gone.
pub(super) async fn patch(shared: &Shared, pod: &Pod, status: &PodStatus) -> bool {
    let (namespace, name) = names(pod);
    let api = shared.api(namespace);
    // the uid: not of another pod that has got the name
    let patch = Patch::Strategic(json!({"metadata": {"uid": pod.metadata.uid}, "status": merge(status)}));
    let params = PatchParams::default();
    insist(shared, "write a pod's status", || api.patch_status(name, &params, &patch)).await.is_some()
}

/// A status for a strategic merge, which keeps what it does not name: fields that went away, and addresses of
/// an earlier node.
fn merge(status: &PodStatus) -> Value {
    let mut merge = json!(status);
    let conditions = merge["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions.filter_map(Value::as_object_mut) {
        for field in ["reason", "message"] {
            // null takes away what was there
            condition.entry(field).or_insert(Value::Null);
        }
    }
    for addresses in ["podIPs", "hostIPs"] {
        if let Some(addresses) = merge[addresses].as_array_mut() {
            addresses.insert(0, json!({"$patch": "replace"}));
        }
    }
    merge
}

/// Takes away the object of a pod that has ended.
pub(super) async fn delete(shared: &Shared, pod: &Pod) {
    let (namespace, name) = names(pod);
    let api = shared.api(namespace);
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), ..Preconditions::default() };
    let params = DeleteParams::default().grace_period(0).preconditions(preconditions);
    insist(shared, "delete a pod that has ended", || api.delete(name, &params)).await;
}

/// Namespace and name.
pub(super) fn names(pod: &Pod) -> (&str, &str) {
    let metadata = &pod.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}
