//! All that is watched, shared by every rollout of a program.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use super::error::{backend_error, describe};
use super::index::{Index, IndexTrouble, Watched};
use super::lean::{Lean, watch};
use crate::look::{
    DeploymentSeen, EndpointsSeen, PodSeen, RevisionSeen, ServiceSeen, controller_of, labels_of, service_of,
};
use crate::names;
use crate::object::Owner;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third place")]
pub enum Scope {
    /// The whole cluster.
    Cluster,
    /// One namespace.
    Namespace(String),
}

impl Scope {
    /// The API of a kind of object there.
    #[must_use]
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

/// What the watches have brought in. Every look at the cluster is a look in here: nothing is polled and nothing
/// is listed again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Caches {
    /// Child Deployments, by the name of their target.
    pub deployments: Index<DeploymentSeen>,
    /// Records of revisions, by the name of their target.
    pub revisions: Index<RevisionSeen>,
    /// ReplicaSets as (own uid, uid of the Deployment), by the name of their target.
    pub replica_sets: Index<(String, String)>,
    /// Pods, by the name of their target.
    pub pods: Index<PodSeen>,
    /// Services, by their own name.
    pub services: Index<ServiceSeen>,
    /// EndpointSlices, by the name of their Service.
    pub endpoints: Index<EndpointsSeen>,
}

/// What changed: where somebody should look again. A watch brings more than one of the same: look once for many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "whoever looks has to know every one of them")]
pub enum Changed {
    /// Something of the target with this namespace and name.
    Target(Arc<str>, Arc<str>),
    /// The Service with this namespace and name, or its endpoints.
    Service(Arc<str>, Arc<str>),
}

/// Keeps [`Caches`] up to date for as long as it is polled.
#[must_use = "the caches stay empty unless this runs"]
pub struct CachesTask(BoxFuture<'static, ()>);

impl fmt::Debug for CachesTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachesTask")
    }
}

impl CachesTask {
    /// Watches until it is dropped.
    pub async fn run(self) {
        self.0.await;
    }
}

impl Caches {
    /// Empty caches, and the task that fills them.
    pub fn watch(client: &Client, scope: &Scope) -> (Arc<Self>, CachesTask) {
        Self::watch_and_tell(client, scope, None)
    }

    /// The same with all that changes, for a controller that looks again when something did. Whoever drops the
    /// stream is told nothing more.
    pub fn watch_with_changes(
        client: &Client,
        scope: &Scope,
    ) -> (Arc<Self>, CachesTask, impl futures::Stream<Item = Changed> + Send + use<>) {
        let (tell, changed) = tokio::sync::mpsc::unbounded_channel();
        let (caches, task) = Self::watch_and_tell(client, scope, Some(tell));
        let changes = futures::stream::unfold(changed, |mut changed| async {
            let change = changed.recv().await?;
            Some((change, changed))
        });
        (caches, task, changes)
    }

    fn watch_and_tell(
        client: &Client,
        scope: &Scope,
        tell: Option<UnboundedSender<Changed>>,
    ) -> (Arc<Self>, CachesTask) {
        let caches = Arc::new(Self {
            deployments: Index::new("deployments"),
            revisions: Index::new("controllerrevisions"),
            replica_sets: Index::new("replicasets"),
            pods: Index::new("pods"),
            services: Index::new("services"),
            endpoints: Index::new("endpointslices"),
        });
        let ours = || watcher::Config::default().labels(names::AGENT);
        let (target, service): (Tell, Tell) = (Changed::Target, Changed::Service);
        let feeds: Vec<BoxFuture<'static, ()>> = vec![
            feed(
                &caches,
                |c| &c.deployments,
                scope.api(client),
                ours(),
                read_deployment,
                tell.clone().map(|t| (t, target)),
            ),
            feed(
                &caches,
                |c| &c.revisions,
                scope.api(client),
                ours(),
                read_revision,
                tell.clone().map(|t| (t, target)),
            ),
            feed(
                &caches,
                |c| &c.pods,
                scope.api(client),
                ours(),
                read_pod,
                tell.clone().map(|t| (t, target)),
            ),
            feed(
                &caches,
                |c| &c.services,
                scope.api(client),
                watcher::Config::default(),
                read_service,
                tell.clone().map(|t| (t, service)),
            ),
            feed(
                &caches,
                |c| &c.endpoints,
                scope.api(client),
                watcher::Config::default().labels("kubernetes.io/service-name"),
                read_endpoints,
                tell.clone().map(|t| (t, service)),
            ),
            replica_sets(&caches, scope.api(client), ours(), tell.map(|t| (t, target))),
        ];
        (caches, CachesTask(futures::future::join_all(feeds).map(drop).boxed()))
    }

    /// Every one of them, whatever it holds.
    fn all(&self) -> [&dyn Watched; 6] {
        [&self.deployments, &self.revisions, &self.replica_sets, &self.pods, &self.services, &self.endpoints]
    }

    /// Waits until every first list has been read.
    pub async fn wait_until_synced(&self) {
        for mut synced in self.all().map(Watched::synced) {
            // the sender lives as long as this does
            let _ = synced.wait_for(|synced| *synced).await;
        }
    }

    /// Has every first list been read?
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.all().iter().all(|index| *index.synced().borrow())
    }

    /// What must not be watched any more is not known. (A watch that only lost its connection is no trouble:
    /// a write that was decided on something stale is refused by the API server.)
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] with what the API server said; [`ErrorKind::Transient`] before the first
    /// lists were read.
    pub fn check(&self, operation: &'static str) -> BackendResult<()> {
        for index in self.all() {
            let (what, trouble) = (index.what(), index.trouble());
            if let Some(IndexTrouble { kind: ErrorKind::Unauthorized, message }) = trouble {
                let message = format!("{what} cannot be watched: {message}");
                return Err(BackendError::new("kubernetes", operation, ErrorKind::Unauthorized, message));
            }
        }
        if self.is_synced() {
            return Ok(());
        }
        let message = "the first lists have not been read yet";
        Err(BackendError::new("kubernetes", operation, ErrorKind::Transient, message.to_owned()))
    }

    /// Names of the Services that carry a route of this owner.
    pub(crate) fn services_marked_by(&self, owner: &Owner) -> Vec<Arc<str>> {
        let is_theirs = |service: &ServiceSeen| {
            let record = service.record.as_ref();
            record.and_then(|record| record.owner.as_deref()) == Some(&*owner.uid)
        };
        self.services.groups_with(&owner.namespace, is_theirs)
    }

    /// The Deployments that this owner controls, by its uid.
    pub(super) fn deployments_of(&self, owner: &Owner) -> Vec<Arc<DeploymentSeen>> {
        let mut all = self.deployments.group(&owner.namespace, &owner.name);
        all.retain(|deployment| deployment.owner.as_deref() == Some(&*owner.uid));
        all
    }

    /// The pods of the owner that one of these Deployments controls, by uid.
    pub(super) fn pods_of(&self, owner: &Owner, deployments: &[Arc<DeploymentSeen>]) -> Vec<Arc<PodSeen>> {
        let (namespace, target) = (&owner.namespace, &owner.name);
        let uids: Vec<&str> = deployments.iter().map(|deployment| deployment.uid.as_str()).collect();
        let sets = self.replica_sets.group(namespace, target);
        let ours = |pod: &Arc<PodSeen>| {
            let mut theirs = sets.iter().filter(|set| set.0 == pod.replica_set);
            theirs.any(|set| uids.contains(&set.1.as_str()))
        };
        self.pods.group(namespace, target).into_iter().filter(ours).collect()
    }
}

type Tell = fn(Arc<str>, Arc<str>) -> Changed;
type Facts<V> = (ObjectMeta, Option<String>, Option<V>);

/// The parts of the metadata that a cache needs.
fn key(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectMeta::default()
    }
}

fn target(meta: &ObjectMeta) -> Option<String> {
    labels_of(meta).map(|(target, _)| target.to_owned())
}

pub(super) fn read_deployment(object: &Deployment) -> Facts<DeploymentSeen> {
    let facts = DeploymentSeen::of(object);
    (key(&object.metadata), facts.as_ref().and_then(|_| target(&object.metadata)), facts)
}

pub(super) fn read_revision(object: &ControllerRevision) -> Facts<RevisionSeen> {
    let facts = RevisionSeen::of(object);
    (key(&object.metadata), facts.as_ref().and_then(|_| target(&object.metadata)), facts)
}

fn read_pod(object: &Pod) -> Facts<PodSeen> {
    let facts = PodSeen::of(object);
    (key(&object.metadata), facts.as_ref().and_then(|_| target(&object.metadata)), facts)
}

pub(super) fn read_service(object: &Service) -> Facts<ServiceSeen> {
    let facts = ServiceSeen::of(object);
    (key(&object.metadata), facts.as_ref().and(object.metadata.name.clone()), facts)
}

fn read_endpoints(object: &EndpointSlice) -> Facts<EndpointsSeen> {
    (key(&object.metadata), service_of(object).map(str::to_owned), Some(EndpointsSeen::of(object)))
}

/// Only the metadata of ReplicaSets is fetched: they are links between pods and Deployments.
fn replica_sets(
    caches: &Arc<Caches>,
    api: Api<Lean<PartialObjectMeta<ReplicaSet>>>,
    config: watcher::Config,
    tell: Option<(UnboundedSender<Changed>, Tell)>,
) -> BoxFuture<'static, ()> {
    let stream = watch(api, config);
    consume(
        Arc::clone(caches),
        |c| &c.replica_sets,
        stream,
        |set| {
            let owner = controller_of(&set.metadata).map(|owner| owner.uid.clone());
            let facts = set.metadata.uid.clone().zip(owner);
            (key(&set.metadata), target(&set.metadata), facts)
        },
        tell,
    )
}

fn feed<K, V>(
    caches: &Arc<Caches>,
    index: fn(&Caches) -> &Index<V>,
    api: Api<Lean<K>>,
    config: watcher::Config,
    read: fn(&K) -> Facts<V>,
    tell: Option<(UnboundedSender<Changed>, Tell)>,
) -> BoxFuture<'static, ()>
where
    K: Resource<DynamicType: Default> + Clone + DeserializeOwned + fmt::Debug + Send + 'static,
    V: PartialEq + fmt::Debug + Send + Sync + 'static,
{
    consume(Arc::clone(caches), index, watch(api, config), read, tell)
}

fn consume<K: Send + 'static, V: PartialEq + fmt::Debug + Send + Sync + 'static>(
    caches: Arc<Caches>,
    index: fn(&Caches) -> &Index<V>,
    stream: impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    read: fn(&K) -> Facts<V>,
    tell: Option<(UnboundedSender<Changed>, Tell)>,
) -> BoxFuture<'static, ()> {
    async move {
        let index = index(&caches);
        let mut stream = Box::pin(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    let changed = index.feed(event, read);
                    if let Some((tell, kind)) = &tell {
                        // nobody listens any more: the program is about to end
                        changed
                            .into_iter()
                            .for_each(|(namespace, name)| drop(tell.send(kind(namespace, name))));
                    }
                }
                Err(error) => {
                    tracing::warn!(what = index.what(), %error, "the watch failed");
                    index.failed(trouble(error));
                }
            }
        }
    }
    .boxed()
}

fn trouble(error: watcher::Error) -> IndexTrouble {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            let message = describe(&error);
            IndexTrouble { kind: backend_error("watch", "", error).kind, message }
        }
        watcher::Error::WatchError(status) => {
            let kind = match status.code {
                401 | 403 => ErrorKind::Unauthorized,
                _ => ErrorKind::Transient,
            };
            IndexTrouble { kind, message: status.message }
        }
        watcher::Error::NoResourceVersion => {
            let message = "the API server answered without a resourceVersion".to_owned();
            IndexTrouble { kind: ErrorKind::Invalid, message }
        }
    }
}
