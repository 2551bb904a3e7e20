//! The stage of a test: a namespace with a node, an operator and a Service of its own, in a control plane that
//! all tests share.

mod agent;
mod crew;
mod history;
mod kubectl;
mod operator;
mod picture;
mod wire;

use std::future::Future;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Resource};
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::kubernetes::control_plane::{ApiRequest, ControlPlane, ControlPlaneOptions, Moment};
use lifecycle_testkit::kubernetes::load::{Load, LoadOptions};
use lifecycle_testkit::kubernetes::node::{Image, Node, NodeOptions};
use lifecycle_testkit::kubernetes::prometheus::{Prometheus, PrometheusOptions};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

pub(crate) use agent::{Agent, Version};
pub(crate) use crew::{Crew, Cue};
pub(crate) use history::History;
pub(crate) use operator::Operator;
pub(crate) use picture::{healthy, rolled_back};
pub(crate) use wire::Wire;

/// Longer than anything takes on a busy machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the deployment, its Service and its object are called.
pub(crate) const NAME: &str = "edge-agent";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Ends with the process of the tests.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

struct Shared {
    control_plane: ControlPlane,
    node: Node,
    prometheus: Prometheus,
}

/// Runs a test: all of them on one runtime, because they share clients.
pub(crate) fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

async fn shared() -> &'static Shared {
    SHARED
        .get_or_init(async || {
            let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
            define(&control_plane).await;
            let client = control_plane.client().await.unwrap();
            let prometheus = Prometheus::start(client.clone(), PrometheusOptions::new()).await.unwrap();
            let node = node(client).await;
            Shared { control_plane, node, prometheus }
        })
        .await
}

/// A node that can run the application in every version.
pub(crate) async fn node(client: Client) -> Node {
    let image = Image::built("agent-app").unwrap().env("VERSION", "{tag}");
    Node::start(client, NodeOptions::new("node").image("agent-app", image)).await.unwrap()
}

/// Defines the resource, as `lifecycle crd | kubectl apply -f -` does.
pub(crate) async fn define(control_plane: &ControlPlane) {
    let crd = operator::lifecycle(&["crd"]);
    kubectl::apply(&control_plane.kubeconfig("admin").unwrap(), None, &crd);
    let client = control_plane.client().await.unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client);
    until("the resource is established", async || {
        let crd = crds.get("agentdeployments.enis.andaon.com").await.unwrap();
        let conditions = crd.status.and_then(|status| status.conditions).unwrap_or_default();
        match conditions.iter().any(|c| c.type_ == "Established" && c.status == "True") {
            true => Ok(()),
            false => Err(conditions),
        }
    })
    .await;
}

/// A namespace with everything in it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) control_plane: &'static ControlPlane,
    pub(crate) node: &'static Node,
    prometheus: Option<String>,
}

impl Stage {
    /// A stage of this name in the shared control plane.
    pub(crate) async fn new(namespace: &str) -> Self {
        let shared = shared().await;
        Self::on(&shared.control_plane, &shared.node, Some(shared.prometheus.url()), namespace).await
    }

    /// A stage whose operator asks this Prometheus, or none.
    pub(crate) async fn measured_by(prometheus: Option<String>, namespace: &str) -> Self {
        let shared = shared().await;
        Self::on(&shared.control_plane, &shared.node, prometheus, namespace).await
    }

    /// A stage in a control plane of the test's own.
    pub(crate) async fn on(
        control_plane: &'static ControlPlane,
        node: &'static Node,
        prometheus: Option<String>,
        namespace: &str,
    ) -> Self {
        let client = control_plane.client().await.unwrap();
        let stage = Self { namespace: namespace.to_owned(), client, control_plane, node, prometheus };
        let namespaces: Api<Namespace> = Api::all(stage.client.clone());
        create(&namespaces, json!({"metadata": {"name": namespace}})).await;
        let rules = operator::lifecycle(&["rbac", "--watch-namespace", namespace, "--namespace", namespace]);
        kubectl::apply(&control_plane.kubeconfig("admin").unwrap(), Some(namespace), &rules);
        stage
    }

    /// The same, for operators that have no Prometheus.
    pub(crate) fn unmeasured(&self) -> Self {
        Self { prometheus: None, ..self.clone() }
    }

    /// The API of one kind of object in the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A Service in front of the pods, as a user makes one.
    pub(crate) async fn service(&self) {
        let spec = json!({"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8080}]});
        create(&self.api::<Service>(), json!({"metadata": {"name": NAME}, "spec": spec})).await;
    }

    /// An operator that keeps its Lease also on a busy machine, and while the API server is gone for some seconds.
    pub(crate) async fn operator(&self) -> Operator {
        self.operator_called("operator").await
    }

    /// One of several operators like this.
    pub(crate) async fn operator_called(&self, identity: &str) -> Operator {
        Operator::start(self, identity, Operator::LONG_LEASE).await
    }

    /// The operator after one that was killed: it need not wait for the end of the dead one's Lease.
    pub(crate) async fn successor(&self, identity: &str) -> Operator {
        let leases = self.api::<Lease>();
        leases.delete("lifecycle-operator", &DeleteParams::default()).await.unwrap();
        self.operator_called(identity).await
    }

    /// An operator of which another takes over within seconds when it is silent.
    pub(crate) async fn rival(&self, identity: &str) -> Operator {
        Operator::start(self, identity, Operator::QUICK_LEASE).await
    }

    /// The same, on a wire of its own to the API server.
    pub(crate) async fn rival_on_a_wire(&self, identity: &str) -> (Operator, Wire) {
        let wire = Wire::lay(self).await;
        (Operator::start_by(wire.kubeconfig(), self, identity, Operator::QUICK_LEASE).await, wire)
    }

    /// What the operator asked of the API server since then, but for its Lease and the beginnings of watches.
    pub(crate) async fn asked(&self, moment: &Moment) -> Vec<ApiRequest> {
        let mut requests = self.asked_or_watched(moment).await;
        requests.retain(|request| !request.is_watch());
        requests
    }

    /// What the operator asked of the API server since then, but for its Lease.
    pub(crate) async fn asked_or_watched(&self, moment: &Moment) -> Vec<ApiRequest> {
        let user = format!("system:serviceaccount:{}:{}", self.namespace, operator::ACCOUNT);
        let mut requests = self.control_plane.requests_since(moment).await.unwrap();
        requests.retain(|request| request.user == user && !request.is_lease());
        requests
    }

    /// So many requests a second by the endpoints of the Service, a third of them POST.
    pub(crate) async fn load(&self, rate: f64) -> Load {
        let options = LoadOptions::new(rate).post_share(0.33);
        Load::start(self.client.clone(), &self.namespace, NAME, options).await.unwrap()
    }

    /// kubectl as an administrator in the namespace: what it printed. Panics when it fails.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        kubectl::run(&self.control_plane.kubeconfig("admin").unwrap(), &self.namespace, args).unwrap()
    }

    /// The same, with what it says when it fails.
    pub(crate) fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        kubectl::run(&self.control_plane.kubeconfig("admin").unwrap(), &self.namespace, args)
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, manifest: &str) {
        kubectl::apply(&self.control_plane.kubeconfig("admin").unwrap(), Some(&self.namespace), manifest);
    }

    /// The object as it is.
    pub(crate) async fn agent(&self) -> AgentDeployment {
        self.api::<AgentDeployment>().get(NAME).await.unwrap()
    }

    /// Waits until the object satisfies the condition, and answers with it.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Agent) -> bool) -> Agent {
        until(what, async || {
            let agent = Agent::new(self.agent().await);
            if condition(&agent) { Ok(agent) } else { Err(agent) }
        })
        .await
    }

    /// Waits until this version serves and nothing is on its way.
    pub(crate) async fn until_healthy(&self, version: &str) -> Agent {
        self.until(&format!("{version} is healthy"), |agent| agent.is_healthy(version)).await
    }

    /// Waits until this version serves alone, with so many replicas that are all ready. (That a rollout has ended and
    /// how many replicas there are by then are written one after the other.)
    pub(crate) async fn until_serving(&self, version: &str, replicas: i64) -> Agent {
        let is = |agent: &Agent| agent.is_healthy(version) && agent.replicas() == (replicas, replicas);
        self.until(&format!("{version} serves with {replicas} replicas"), is).await
    }

    /// Deploys a version and waits until it serves.
    pub(crate) async fn deploy(&self, version: &Version) -> Agent {
        self.apply(&version.manifest());
        self.until_healthy(version.version).await
    }

    /// Kubernetes Events about the object: reason and note, the oldest first.
    pub(crate) async fn events(&self) -> Vec<(String, String)> {
        let api: Api<k8s_openapi::api::events::v1::Event> = self.api();
        let mut events = api.list(&kube::api::ListParams::default()).await.unwrap().items;
        events.retain(|event| {
            event.regarding.as_ref().is_some_and(|r| r.kind.as_deref() == Some("AgentDeployment"))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
            .into_iter()
            .map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default()))
            .collect()
    }

    /// Waits for an Event with this reason whose note says this.
    pub(crate) async fn until_told(&self, reason: &str, words: &str) {
        until(&format!("Event {reason}: {words}"), async || {
            let events = self.events().await;
            match events.iter().any(|(r, note)| r == reason && note.contains(words)) {
                true => Ok(()),
                false => Err(events),
            }
        })
        .await;
    }
}

/// Applies a manifest as an administrator.
#[allow(dead_code, reason = "for the bench, which has no stage")]
pub(crate) fn apply(control_plane: &ControlPlane, namespace: &str, manifest: &str) {
    kubectl::apply(&control_plane.kubeconfig("admin").unwrap(), Some(namespace), manifest);
}

/// Creates an object.
pub(crate) async fn create<K>(api: &Api<K>, object: serde_json::Value)
where
    K: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// Looks until the answer is `Ok`; panics with the last `Err` when that takes too long.
pub(crate) async fn until<T, E: std::fmt::Debug>(what: &str, look: impl AsyncFnMut() -> Result<T, E>) -> T {
    until_within(PATIENCE, what, look).await
}

/// The same within this time.
pub(crate) async fn until_within<T, E: std::fmt::Debug>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        match look().await {
            Ok(answer) => return answer,
            Err(seen) if Instant::now() >= deadline => {
                panic!("not within {within:?}: {what}; seen: {seen:#?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Below those that the system gives to outgoing connections, and apart from those of the control plane.
const PORTS: Range<u32> = 10_000..20_000;

/// A port that nothing listens on, and that this process has not answered with lately.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));
    for _ in PORTS {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}
