//! Following the pods of the cluster: pending ones are bound, those of this node are run or marked.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::mark::Marks;
use super::options::Mode;
use super::pod::{PodTask, names};
use super::pods::Entry;
use super::retry::insist;
use super::shared::{Power, Shared};

/// Calls of bindings and marks under way at once.
const AT_ONCE: usize = 8;

/// Follows pods, for as long as the node lives. All tasks of its pods end with it.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    calls: Arc<Semaphore>,
    /// Uids of pods that were bound, or are being bound.
    bound: BTreeSet<String>,
    marks: Marks,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let calls = Arc::new(Semaphore::new(AT_ONCE));
        let marks = Marks::new(Arc::clone(&shared), Arc::clone(&calls));
        Self { shared, tasks: JoinSet::new(), calls, bound: BTreeSet::new(), marks }
    }

    /// Works for ever. A node that is cut off hears nothing; once it is back it looks at everything anew.
    pub(super) async fn run(mut self) {
        loop {
            self.shared.connected().await;
            let mut power = self.shared.power.subscribe();
            let pods = Api::all(self.shared.client.clone());
            let events = watcher(pods, watcher::Config::default()).default_backoff();
            let mut events = std::pin::pin!(events);
            let mut listed = BTreeSet::new();
            loop {
                tokio::select! {
                    _ = power.wait_for(|power| *power != Power::On) => break,
                    Some(event) = events.next() => match event {
                        Ok(event) => self.handle(event, &mut listed),
                        Err(error) => tracing::debug!(%error, "pods are not seen for the moment"),
                    },
                    Some(_) = self.tasks.join_next() => {}
                }
            }
        }
    }

    fn handle(&mut self, event: Event<Pod>, listed: &mut BTreeSet<String>) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(pod) => {
                listed.extend(pod.metadata.uid.clone());
                self.see(pod);
            }
            Event::Apply(pod) => self.see(pod),
            Event::Delete(pod) => self.gone(pod.metadata.uid.as_deref().unwrap_or_default()),
            Event::InitDone => {
                self.bound.retain(|uid| listed.contains(uid));
                self.marks.retain(listed);
                self.shared.pods.others(listed).iter().for_each(|uid| self.gone(uid));
            }
        }
    }

    fn gone(&mut self, uid: &str) {
        self.bound.remove(uid);
        self.marks.remove(uid);
        if let Some(address) = self.shared.pods.remove(uid) {
            self.shared.addresses.give_back(address);
        }
    }

    fn see(&mut self, pod: Pod) {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let Some(uid) = pod.metadata.uid.clone() else { return };
        if node.is_none_or(str::is_empty) {
            return self.bind(&uid, &pod);
        }
        if node != Some(self.shared.options.name.as_str()) {
            self.bound.remove(&uid);
            return;
        }
        match self.shared.options.mode {
            Mode::Processes => self.run_pod(uid, pod),
            Mode::MarkReady { after } => self.marks.see(&mut self.tasks, uid, pod, after),
        }
    }

    fn run_pod(&mut self, uid: String, pod: Pod) {
        let pod = Arc::new(pod);
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if self.shared.pods.update(&uid, &pod) || matches!(phase, Some("Succeeded" | "Failed")) {
            return;
        }
        let Some(address) = self.shared.addresses.take() else {
            return tracing::error!(uid, "no address is left for a pod");
        };
        let (namespace, name) = names(&pod);
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let object = watch::Sender::new(Some(pod));
        let (evictions, orders) = mpsc::unbounded_channel();
        let task = PodTask {
            shared: Arc::clone(&self.shared),
            object: object.subscribe(),
            evictions: orders,
            address,
        };
        self.shared.pods.insert(uid, Entry { namespace, name, address, object, evictions });
        self.tasks.spawn(task.run());
    }

    /// Takes a pending pod, if it is one for this node and no other has taken it.
    fn bind(&mut self, uid: &str, pod: &Pod) {
        let options = &self.shared.options;
        let full = self.bound.len().max(self.shared.pods.len()) >= options.capacity;
        if !options.binds || full || !fits(pod, &self.shared) || !self.bound.insert(uid.to_owned()) {
            return;
        }
        let (namespace, name) = names(pod);
        let target = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(options.name.clone()),
            ..ObjectReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            // not another pod that has got the name
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        };
        let (binding, name) = (Binding { metadata, target }, name.to_owned());
        let (shared, calls, api) =
            (Arc::clone(&self.shared), Arc::clone(&self.calls), self.shared.api(namespace));
        self.tasks.spawn(async move {
            // never closed
            let _permit = calls.acquire().await;
            let params = PostParams::default();
            let bind = || api.create_subresource::<_, Value>("binding", &name, &params, &binding);
            // a conflict: another node has it
            let bind = || bind().map(|bound| if is_conflict(&bound) { Ok(Value::Null) } else { bound });
            insist(&shared, "bind a pod", bind).await;
        });
    }
}

fn is_conflict<T>(answer: &kube::Result<T>) -> bool {
    matches!(answer, Err(kube::Error::Api(refusal)) if refusal.code == 409)
}

/// Is it a pod for this node?
fn fits(pod: &Pod, shared: &Shared) -> bool {
    let options = &shared.options;
    let spec = pod.spec.as_ref();
    let gates = spec.and_then(|spec| spec.scheduling_gates.as_ref());
    let selector = spec.and_then(|spec| spec.node_selector.as_ref());
    let own = |(label, value): (&String, &String)| {
        options.labels.get(label) == Some(value)
            || (label == "kubernetes.io/hostname" && *value == options.name)
    };
    pod.metadata.deletion_timestamp.is_none()
        && gates.is_none_or(Vec::is_empty)
        && selector.into_iter().flatten().all(own)
}
