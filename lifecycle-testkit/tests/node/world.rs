//! A node of a test's own in a control plane that all tests share, and looks at what is there.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Namespace, Pod, PodCondition, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions, Moment};
use lifecycle_testkit::kubernetes::node::{Image, Node, NodeOptions};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Longer than anything takes on a busy machine; nothing waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A lost node counts in its zone only: nodes of tests that have ended stop no evictions.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Ends with the process of the tests.
static CONTROL_PLANE: OnceCell<ControlPlane> = OnceCell::const_new();

async fn control_plane() -> &'static ControlPlane {
    let options = ControlPlaneOptions::new()
        .node_monitor_grace_period(Duration::from_secs(4))
        .eviction_after(Duration::from_secs(2));
    CONTROL_PLANE.get_or_init(async || ControlPlane::start(options).await.unwrap()).await
}

/// A namespace and a node that only its pods go to; both have the same name.
pub(crate) struct World {
    pub(crate) client: kube::Client,
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) selector: Value,
}

impl World {
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, |options| options.time_scale(10.0)).await
    }

    pub(crate) async fn with(name: &str, options: impl FnOnce(NodeOptions) -> NodeOptions) -> Self {
        let client = control_plane().await.client().await.unwrap();
        Self::of(client, name, options).await
    }

    /// What was asked of the API server since, of this namespace: verb, resource, and how often.
    pub(crate) async fn requests_since(&self, moment: &Moment) -> BTreeMap<(String, String), usize> {
        let mut counts = BTreeMap::new();
        for request in control_plane().await.requests_since(moment).await.unwrap() {
            if request.user == "admin" && request.namespace == self.name {
                *counts.entry((request.verb, request.resource)).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) async fn moment() -> Moment {
        control_plane().await.moment().unwrap()
    }

    /// The administrator's, for a program of its own.
    pub(crate) async fn kubeconfig() -> PathBuf {
        control_plane().await.kubeconfig("admin").unwrap()
    }

    /// How the administrator reaches the API server.
    pub(crate) async fn config() -> kube::Config {
        let kubeconfig = Kubeconfig::read_from(Self::kubeconfig().await).unwrap();
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }

    pub(crate) async fn of(
        client: kube::Client,
        name: &str,
        options: impl FnOnce(NodeOptions) -> NodeOptions,
    ) -> Self {
        let namespace: Namespace = from(json!({"metadata": {"name": name}}));
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Self::of_existing(client, name, options).await
    }

    /// A node for a namespace that is there.
    pub(crate) async fn of_existing(
        client: kube::Client,
        name: &str,
        options: impl FnOnce(NodeOptions) -> NodeOptions,
    ) -> Self {
        let node = Node::start(client.clone(), options(node_options(name))).await.unwrap();
        let selector = json!({"kubernetes.io/hostname": name});
        Self { client, name: name.to_owned(), node, selector }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// A Deployment `web` of this pod spec, and a Service in front of it.
    pub(crate) async fn deploy(&self, replicas: usize, spec: Value) {
        let labels = json!({"app": "web"});
        let mut spec = spec;
        spec["nodeSelector"] = self.selector.clone();
        let deployment: Deployment = from(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }));
        self.api().create(&PostParams::default(), &deployment).await.unwrap();
        let service: Service = from(json!({
            "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        }));
        self.api().create(&PostParams::default(), &service).await.unwrap();
    }

    /// A pod of its own, not a Deployment's.
    pub(crate) async fn pod(&self, name: &str, spec: Value) {
        let mut spec = spec;
        spec["nodeSelector"] = self.selector.clone();
        let pod: Pod = from(json!({"metadata": {"name": name}, "spec": spec}));
        self.api().create(&PostParams::default(), &pod).await.unwrap();
    }

    pub(crate) async fn scale(&self, replicas: usize) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.api::<Deployment>().patch("web", &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) async fn delete(&self, pod: &str) {
        self.api::<Pod>().delete(pod, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until there is no such pod.
    pub(crate) async fn gone(&self, pod: &str) {
        until(&format!("end of {pod}"), async || match self.get(pod).await {
            Some(pod) => Err(pod.status),
            None => Ok(()),
        })
        .await;
    }

    pub(crate) async fn get(&self, name: &str) -> Option<Pod> {
        self.api().get_opt(name).await.unwrap()
    }

    pub(crate) async fn pods(&self) -> Vec<Pod> {
        self.api().list(&ListParams::default()).await.unwrap().items
    }

    /// Addresses in the EndpointSlices of the Service `web`, with ready, serving and terminating.
    pub(crate) async fn endpoints(&self) -> Vec<(String, [bool; 3])> {
        let slices = self.api::<EndpointSlice>().list(&ListParams::default()).await.unwrap().items;
        let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints.unwrap_or_default());
        let mut seen: Vec<_> = endpoints
            .map(|it| {
                let is = it.conditions.unwrap_or_default();
                let is = [is.ready, is.serving, is.terminating].map(|it| it.unwrap_or(false));
                (it.addresses.into_iter().next().unwrap_or_default(), is)
            })
            .collect();
        seen.sort();
        seen
    }

    /// Waits until this many pods are Ready and there are no others.
    pub(crate) async fn ready(&self, count: usize) -> Vec<Pod> {
        until(&format!("{count} ready pods"), async || {
            let pods = self.pods().await;
            let ready = pods.iter().filter(|pod| is(pod, "Ready")).count();
            if ready == count && pods.len() == count {
                Ok(pods)
            } else {
                Err(pods.iter().map(sketch).collect::<Vec<_>>())
            }
        })
        .await
    }

    /// Waits until a pod's only container is as wished.
    pub(crate) async fn container(
        &self,
        pod: &str,
        what: &str,
        wished: impl Fn(&ContainerStatus) -> bool,
    ) -> Pod {
        until(what, async || match self.get(pod).await {
            Some(pod) if wished(&container(&pod)) => Ok(pod),
            other => Err(other.map(|pod| pod.status)),
        })
        .await
    }
}

impl World {
    /// Another node, which pods that select this pool can go to too.
    pub(crate) async fn node_like(&self, name: &str, pool: &str) -> Node {
        let options = node_options(name).time_scale(10.0).label("pool", pool).label(ZONE, pool);
        Node::start(self.client.clone(), options).await.unwrap()
    }
}

fn node_options(name: &str) -> NodeOptions {
    let agent = Image::built("agent-app").unwrap().env("VERSION", "{tag}");
    NodeOptions::new(name)
        .label("pool", name)
        .label(ZONE, name)
        .image("agent-app", agent)
        .image("shell", Image::new("sh"))
}

/// Asks until the answer is `Ok`; fails with the last answer that was not.
pub(crate) async fn until<T, E: Debug>(what: &str, ask: impl AsyncFn() -> Result<T, E>) -> T {
    let begun = Instant::now();
    loop {
        let error = match ask().await {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        assert!(begun.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}: {error:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// A spec of one container that serves on 8080 and is probed every second.
pub(crate) fn agent(image: &str, more: Value) -> Value {
    let mut container = json!({
        "name": "app",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2},
    });
    for (field, value) in more.as_object().unwrap() {
        container[field] = value.clone();
    }
    json!({"containers": [container]})
}

/// A spec of one container that runs this script.
pub(crate) fn script(text: &str) -> Value {
    json!({"containers": [{"name": "app", "image": "shell:1", "args": ["-c", text]}]})
}

pub(crate) fn condition(pod: &Pod, type_: &str) -> Option<PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).cloned()
}

pub(crate) fn is(pod: &Pod, type_: &str) -> bool {
    condition(pod, type_).is_some_and(|condition| condition.status == "True")
}

pub(crate) fn container(pod: &Pod) -> ContainerStatus {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.clone());
    statuses.and_then(|statuses| statuses.into_iter().next()).unwrap_or_default()
}

pub(crate) fn ip(pod: &Pod) -> String {
    pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default()
}

pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap()
}

fn sketch(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    format!(
        "{} {:?} {:?} {:?}",
        name(pod),
        pod.spec.as_ref().and_then(|it| it.node_name.as_ref()),
        status.phase,
        container(pod).state
    )
}
