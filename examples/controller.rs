//! A controller for a resource of your own, which rolls out with the engine and the backends of this project.
//!
//! A platform team gives its users `Greeter`s: an image, a version, a number of replicas, and nothing about
//! rollouts. How each one is rolled out is written once, in [`manifest`].
//!
//! It runs with the rights of your kubeconfig and defines its resource itself:
//!
//! ```text
//! cargo run -p lifecycle-examples --example controller
//! kubectl apply -f examples/kubernetes/greeter.yaml
//! kubectl get greeters --watch
//! kubectl patch greeter hello --type=merge --patch '{"spec": {"version": "1.1.0"}}'
//! ```

#![allow(clippy::duplicated_attributes, reason = "two columns may have the same type")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::runtime::watcher;
use kube::{Client, CustomResource, CustomResourceExt as _};
use lifecycle_core::backend::Backends;
use lifecycle_core::driver::Driver;
use lifecycle_core::spec::{Manifest, SpecError};
use lifecycle_core::strategy::{self, PlanContext};
use lifecycle_core::time::Timestamp;
use lifecycle_k8s::client::{Caches, Changed, KubeRouter, KubeWorkload, Scope, StatusStore, Writer};
use lifecycle_k8s::object::{Owner, PodSettings, pod_template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tokio::sync::Mutex;

/// What users write.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Greeter",
    namespaced,
    status = "GreeterStatus",
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase")
)]
struct GreeterSpec {
    image: String,
    version: String,
    replicas: u32,
}

/// What they are shown. `rollout` is the engine's: its whole memory.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreeterStatus {
    version: Option<String>,
    phase: Option<String>,
    rollout: Option<String>,
}

/// What a Greeter means, in the words of the manifest: here is what the platform team decides for everybody.
fn manifest(name: &str, spec: &GreeterSpec) -> Result<Manifest, SpecError> {
    let container = json!({
        "name": "app", "image": format!("{}:{}", spec.image, spec.version), "ports": [{"containerPort": 8080}],
    });
    Manifest::from_value(json!({
        "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": name},
        "spec": {
            "version": spec.version, "replicas": spec.replicas, "strategy": "rolling", "drain": "2s",
            "rolling": {"maxSurge": 1, "maxUnavailable": 0, "window": "3s"},
            "healthCheck": {"endpoint": "/ready", "interval": "1s"},
            "analysis": {"checks": [], "interval": "1s", "window": "3s"}, // judged by readiness alone
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }))
}

/// One Greeter with the driver that rolls it out. All of it can be lost: what counts is in the status.
struct Rollout {
    workload: Arc<KubeWorkload>,
    router: Arc<KubeRouter>,
    store: Arc<StatusStore<Greeter>>,
    driver: Option<Driver>,
    /// Generation of the spec that the driver follows, and whether there was a Service.
    followed: Option<(Option<i64>, bool)>,
}

impl Rollout {
    fn new(client: &Client, caches: &Arc<Caches>, owner: &Owner) -> Self {
        let writer = Writer::new(client.clone(), owner.namespace.as_str());
        let router =
            KubeRouter::new(owner.clone(), owner.name.as_str().into(), writer.clone(), Arc::clone(caches));
        let workload = KubeWorkload::new(owner.clone(), writer.clone(), Arc::clone(caches));
        // written together with every decision
        let store = StatusStore::new(writer, &*owner.name, &*owner.uid).show(Arc::new(|_, _, news| {
            let version = news.status.stable.as_ref().map(|stable| &stable.version);
            Map::from_iter([("version".into(), json!(version)), ("phase".into(), json!(news.status.phase))])
        }));
        Self {
            workload: Arc::new(workload),
            router: Arc::new(router),
            store: Arc::new(store),
            driver: None,
            followed: None,
        }
    }

    /// Takes over a spec that is new, or a Service that came or went.
    fn follow(&mut self, owner: &Owner, greeter: &Greeter) -> anyhow::Result<()> {
        let followed = (greeter.metadata.generation, self.router.exists());
        if self.followed == Some(followed) {
            return Ok(());
        }
        let spec = manifest(&owner.name, &greeter.spec)?.spec;
        let (hash, health) = (spec.revision_hash(), spec.health_check());
        let verdict = Duration::from(health.interval) * health.failure_threshold;
        let template =
            pod_template(spec.template().map(|t| &**t), &owner.name, &hash, &PodSettings::of(&spec))?;
        let mut backends = Backends::new(Arc::clone(&self.workload) as _, Arc::clone(&self.store) as _);
        if self.router.exists() {
            // a Service of the Greeter's name: no pod is stopped before it gets no more requests
            backends = backends.router(Arc::clone(&self.router) as _);
        }
        let target = strategy::compile(&spec, &PlanContext::of(&backends))?;
        match &mut self.driver {
            Some(driver) => driver.set_target_with(target, backends)?,
            none => *none = Some(Driver::new(target, backends)?),
        }
        self.workload.register(hash, template, verdict);
        self.followed = Some(followed);
        Ok(())
    }

    /// One look: take the steps that are due, and say when to look again.
    async fn look(&mut self, owner: &Owner) -> anyhow::Result<Action> {
        let Some(driver) = &mut self.driver else { return Ok(Action::await_change()) };
        let tick = driver.tick(now()).await?;
        for event in &tick.events {
            println!("{}: {}: {}", owner.name, event.kind.name(), event.kind.message());
        }
        for error in &tick.errors {
            eprintln!("{}: {error}", owner.name);
        }
        let retry = (!tick.errors.is_empty()).then_some(Duration::from_secs(1));
        let wake = tick.wake_at.map(|at| Duration::from(at.since(now())));
        Ok(wake.into_iter().chain(retry).min().map_or_else(Action::await_change, Action::requeue))
    }
}

/// The machine counts only bounded spans between two looks, so this clock may jump.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct Context {
    client: Client,
    caches: Arc<Caches>,
    /// By uid. One is looked at by one reconciliation at a time.
    rollouts: Mutex<HashMap<String, Arc<Mutex<Rollout>>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Failed(anyhow::Error);

async fn reconcile(greeter: Arc<Greeter>, context: Arc<Context>) -> Result<Action, Failed> {
    let owner = Owner::of(&*greeter).filter(|_| greeter.metadata.deletion_timestamp.is_none());
    // everything that is made belongs to the Greeter, and goes with it
    let Some(owner) = owner else { return Ok(Action::await_change()) };
    let rollout =
        Arc::clone(
            context.rollouts.lock().await.entry(owner.uid.clone()).or_insert_with(|| {
                Arc::new(Mutex::new(Rollout::new(&context.client, &context.caches, &owner)))
            }),
        );
    let mut rollout = rollout.lock().await;
    rollout.follow(&owner, &greeter).map_err(Failed)?;
    rollout.look(&owner).await.map_err(Failed)
}

/// A mistake in the spec, or a write that came too late: look again soon.
fn failed(greeter: Arc<Greeter>, error: &Failed, _: Arc<Context>) -> Action {
    eprintln!("{}: {error}", greeter.metadata.name.as_deref().unwrap_or_default());
    Action::requeue(Duration::from_secs(1))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::try_default().await?;
    let (crds, crd) = (Api::<CustomResourceDefinition>::all(client.clone()), Greeter::crd());
    crds.patch("greeters.example.com", &PatchParams::apply("greeter"), &Patch::Apply(&crd)).await?;
    await_condition(crds, "greeters.example.com", is_crd_established()).await?;

    let (caches, task, changes) = Caches::watch_with_changes(&client, &Scope::Cluster);
    tokio::spawn(task.run());
    caches.wait_until_synced().await;
    // the Service of a Greeter has its name too
    let changes = changes.map(|(Changed::Target(namespace, name) | Changed::Service(namespace, name))| {
        ObjectRef::<Greeter>::new(&name).within(&namespace)
    });
    let context = Context { client: client.clone(), caches, rollouts: Mutex::default() };
    println!("watching Greeters");
    Controller::new(Api::<Greeter>::all(client), watcher::Config::default())
        .reconcile_on(changes)
        .shutdown_on_signal()
        .run(reconcile, failed, Arc::new(context))
        .for_each(async |_| {})
        .await;
    Ok(())
}
