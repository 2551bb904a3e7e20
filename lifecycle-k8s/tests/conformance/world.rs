//! One control plane for all tests of a program; a node, the caches and targets of a test's own.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Client, CustomResourceExt as _};
use lifecycle_core::backend::{ScaleWish, Token, Workload as _};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, Version};
use lifecycle_k8s::client::{Caches, KubeRouter, KubeWorkload, Scope, Writer};
use lifecycle_k8s::crd::{self, AgentDeployment};
use lifecycle_k8s::look::PodSeen;
use lifecycle_k8s::names;
use lifecycle_k8s::object::{self, Owner, PodSettings, pod_template};
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifecycle_testkit::kubernetes::node::{Image, Node, NodeOptions};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

/// Longer than anything takes on a busy machine; nothing waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Number of the revision that never gets ready.
pub(crate) const NEVER: u32 = 9;
/// How many times as fast as written the seconds of a pod pass.
const TIME_SCALE: u32 = 10;
/// The drain of every wish, and of every pod as the node scales it.
pub(crate) const DRAIN: Millis = Millis::from_secs(1);
/// The name of every target and of its Service; each has a namespace of its own.
pub(crate) const TARGET: &str = "edge-agent";

/// Ends with the process of the tests.
static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();

/// One that nobody shares, with the definition of the resource in it.
pub(crate) async fn control_plane() -> ControlPlane {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let definitions = Api::all(control_plane.client().await.unwrap());
    let (name, apply) = (AgentDeployment::crd_name(), PatchParams::apply("test"));
    definitions.patch(name, &apply, &Patch::Apply(crd::definition())).await.unwrap();
    await_condition(definitions, name, is_crd_established()).await.unwrap();
    control_plane
}

/// A node, and what the watches bring in.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) node: Node,
    caches: Arc<Caches>,
    watches: AbortHandle,
    targets: AtomicU32,
}

impl Drop for World {
    fn drop(&mut self) {
        self.watches.abort();
    }
}

impl World {
    /// On the control plane that all tests share.
    pub(crate) async fn start(name: &str) -> Self {
        Self::on(CONTROL_PLANE.get_or_init(control_plane).await, name).await
    }

    pub(crate) async fn on(control_plane: &ControlPlane, name: &str) -> Self {
        let client = control_plane.client().await.unwrap();
        let image = Image::built("agent-app").unwrap().env("VERSION", "{tag}");
        let options = NodeOptions::new(name).image("agent-app", image).time_scale(TIME_SCALE.into());
        let node = Node::start(client.clone(), options).await.unwrap();
        let (caches, watches) = Caches::watch(&client, &Scope::Cluster);
        let watches = tokio::spawn(watches.run()).abort_handle();
        caches.wait_until_synced().await;
        Self { client, node, caches, watches, targets: AtomicU32::new(0) }
    }

    /// A target in a namespace of its own.
    pub(crate) async fn target(&self) -> Target {
        let number = self.targets.fetch_add(1, Ordering::Relaxed);
        Target::new(self, format!("{}-{number}", self.node.name())).await
    }
}

/// An AgentDeployment that nobody drives, a Service, and the backends for them.
pub(crate) struct Target {
    pub(crate) owner: Owner,
    pub(crate) writer: Writer,
    pub(crate) caches: Arc<Caches>,
    pub(crate) workload: Arc<KubeWorkload>,
    pub(crate) router: Arc<KubeRouter>,
    /// What revision 1 runs, which is the newest.
    newest: Value,
}

/// Its processes would take time from what comes after it.
impl Drop for Target {
    fn drop(&mut self) {
        let deployments = self.writer.api::<Deployment>();
        tokio::spawn(async move {
            let (delete, all) = (DeleteParams::background(), ListParams::default());
            // whatever is left ends with the node
            drop(deployments.delete_collection(&delete, &all).await);
        });
    }
}

impl Target {
    async fn new(world: &World, namespace: String) -> Self {
        let object: Namespace = from(json!({"metadata": {"name": namespace}}));
        Api::all(world.client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let writer = Writer::new(world.client.clone(), namespace);
        let agent = json!({
            "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": TARGET},
            "spec": {"version": "1.0.0", "template": template(&revision(1), world.node.name())},
        });
        let agent: AgentDeployment = writer.create(TARGET, &agent).await.unwrap();
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": TARGET},
            "spec": {"selector": {"enis.andaon.com/agent": TARGET}, "ports": [{"port": 80, "targetPort": 8080}]},
        });
        let service: Service = writer.create(TARGET, &service).await.unwrap();
        let (owner, caches) = (Owner::of(&agent).unwrap(), Arc::clone(&world.caches));
        let (workload, router) = backends(&owner, &writer, &caches);
        let newest = whole_template(&agent, 1, world.node.name());
        let target = Self { owner, writer, caches, workload, router, newest };
        target.register();
        target.record(&agent, world.node.name()).await;
        seen("the Service in the cache", || target.router.exists().then_some(()).ok_or(&service)).await;
        target
    }

    /// The newest revision is the spec's.
    fn register(&self) {
        self.workload.register(Arc::clone(&revision(1).hash), &self.newest);
    }

    /// Begins anew with what the API server knows, as a program does that was started again.
    pub(crate) fn restart(&mut self) {
        (self.workload, self.router) = backends(&self.owner, &self.writer, &self.caches);
        self.register();
    }

    /// The other revisions were recorded by rollouts before.
    async fn record(&self, agent: &AgentDeployment, node: &str) {
        for number in [2, NEVER] {
            let revision = revision(number);
            let template = whole_template(agent, number, node);
            let name = names::child(TARGET, &revision.hash);
            let record = object::record(&self.owner, &revision, &template);
            self.writer.create::<ControllerRevision>(&name, &record).await.unwrap();
        }
        seen("the records in the cache", || {
            let records = self.workload.records();
            if records.len() == 2 { Ok(()) } else { Err(records) }
        })
        .await;
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.owner.namespace
    }

    /// The pods of a revision, by name.
    pub(crate) fn pods(&self, of: &Revision) -> Vec<Arc<PodSeen>> {
        let mut pods = self.caches.pods.group(self.namespace(), TARGET);
        pods.retain(|pod| pod.revision == *of.hash);
        pods
    }

    /// Changes the size of a group as somebody else would, and waits until the watch has told so.
    pub(crate) async fn change_size(&self, of: &Revision, replicas: u32) {
        let name = names::child(TARGET, &of.hash);
        let params =
            PatchParams { field_manager: Some("kubectl-scale".to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.writer.api::<Deployment>().patch(&name, &params, &patch).await.unwrap();
        seen("the other size in the cache", || {
            let seen = self.workload.deployments();
            let is_there = seen.iter().any(|seen| seen.revision == *of && seen.replicas == replicas);
            if is_there { Ok(()) } else { Err(seen) }
        })
        .await;
    }

    /// Wishes for a size; says it again while somebody else is writing.
    pub(crate) async fn scale(&self, number: u32, replicas: u32, token: u64) {
        let wish = ScaleWish::new(revision(number), replicas, Token(token), DRAIN);
        until("an answer to a wish", async || self.workload.scale(&wish).await).await;
    }
}

pub(crate) fn revision(number: u32) -> Revision {
    Revision::new(RevisionNumber(number), format!("hash{number}"), Version::new(number.into(), 0, 0))
}

pub(crate) fn backends(
    owner: &Owner,
    writer: &Writer,
    caches: &Arc<Caches>,
) -> (Arc<KubeWorkload>, Arc<KubeRouter>) {
    let workload = KubeWorkload::new(owner.clone(), writer.clone(), Arc::clone(caches));
    let router = KubeRouter::new(owner.clone(), TARGET.into(), writer.clone(), Arc::clone(caches));
    (Arc::new(workload), Arc::new(router))
}

/// What a revision of this target runs, with all that is added.
fn whole_template(agent: &AgentDeployment, number: u32, node: &str) -> Value {
    let revision = revision(number);
    let mut agent = agent.clone();
    agent.spec.version = revision.version.to_string();
    agent.spec.drain = Some(format!("{}ms", DRAIN.get()));
    let settings = PodSettings::of(&agent.manifest().unwrap().spec);
    pod_template(Some(&template(&revision, node)), TARGET, &revision.hash, &settings).unwrap()
}

/// Runs on this node only.
fn template(revision: &Revision, node: &str) -> Value {
    let never = json!([{"name": "READY_AFTER", "value": "never"}]);
    json!({"spec": {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "containers": [{
            "name": "app",
            "image": format!("agent-app:{}", revision.version),
            "ports": [{"containerPort": 8080}],
            "env": if revision.number.0 == NEVER { never } else { json!([]) },
            "readinessProbe": {
                "httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2,
            },
        }],
    }})
}

/// Asks until the answer is `Ok`; fails with the last answer that was not.
pub(crate) async fn until<T, E: Debug>(what: &str, ask: impl AsyncFn() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        let error = match ask().await {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        assert!(begun.elapsed() < PATIENCE, "not {what} after {PATIENCE:?}: {error:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks at what the watches brought in until there is what is looked for; fails with what there was last.
pub(crate) async fn seen<T, E: Debug>(what: &str, look: impl Fn() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        let error = match look() {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        assert!(begun.elapsed() < PATIENCE, "not {what} after {PATIENCE:?}: {error:#?}");
        drop(error);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn from<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}
