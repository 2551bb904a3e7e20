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

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller, Error};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::runtime::watcher;
use kube::{Client, CustomResource, CustomResourceExt as _};
use lifecycle_core::spec::{Manifest, SpecError};
use lifecycle_k8s::client::Scope;
use lifecycle_k8s::embed::{Rollout, Rollouts, Wanted, again, now};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

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

/// What a Greeter means, in the words of the manifest: here is what the platform team decides for everybody. A
/// Service of the Greeter's name is its traffic, where there is one.
fn manifest(greeter: &Greeter) -> Result<Manifest, SpecError> {
    let (name, spec) = (&greeter.metadata.name, &greeter.spec);
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

fn follow(rollout: &mut Rollout<Greeter>, greeter: &Greeter) -> anyhow::Result<()> {
    Ok(rollout.follow(greeter, &Wanted::new(&manifest(greeter)?.spec))?)
}

/// One look at one Greeter: follow what it asks for, take the steps that are due, and say when to look again.
async fn look(greeter: &Arc<Greeter>, rollouts: &Rollouts<Greeter>) -> anyhow::Result<Action> {
    let Some(rollout) = rollouts.of(greeter) else { return Ok(Action::await_change()) };
    let mut rollout = rollout.lock().await;
    let name = rollout.owner().name.clone();
    if rollout.is_behind(greeter)
        && let Err(error) = follow(&mut rollout, greeter)
    {
        eprintln!("{name}: {error:#}"); // and what is on its way goes on
    }
    let tick = rollout.tick(now()).await?;
    for event in tick.iter().flat_map(|tick| &tick.events) {
        println!("{name}: {}: {}", event.kind.name(), event.kind.message());
    }
    for error in tick.iter().flat_map(|tick| &tick.errors) {
        eprintln!("{name}: {error}");
    }
    Ok(again(tick.as_ref()))
}

#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Failed(anyhow::Error);

async fn reconcile(greeter: Arc<Greeter>, rollouts: Arc<Rollouts<Greeter>>) -> Result<Action, Failed> {
    look(&greeter, &rollouts).await.map_err(Failed)
}

/// The API server does not answer, or somebody else wrote first: look again soon.
fn failed(greeter: Arc<Greeter>, error: &Failed, _: Arc<Rollouts<Greeter>>) -> Action {
    eprintln!("{}: {error}", greeter.metadata.name.as_deref().unwrap_or_default());
    Action::requeue(Duration::from_secs(1))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::try_default().await?;
    let (crds, crd) = (Api::<CustomResourceDefinition>::all(client.clone()), Greeter::crd());
    crds.patch("greeters.example.com", &PatchParams::apply("greeter"), &Patch::Apply(&crd)).await?;
    await_condition(crds, "greeters.example.com", is_crd_established()).await?;

    // what people see is written together with every decision
    let (rollouts, task, looks) = Rollouts::watch(&client, &Scope::Cluster, |_: &Greeter, _, news| {
        let version = news.status.stable.as_ref().map(|stable| &stable.version);
        Map::from_iter([("version".into(), json!(version)), ("phase".into(), json!(news.status.phase))])
    });
    tokio::spawn(task.run());
    rollouts.caches().wait_until_synced().await;
    let rollouts = Arc::new(rollouts);
    println!("watching Greeters");
    Controller::new(Api::<Greeter>::all(client), watcher::Config::default())
        .reconcile_on(looks)
        .shutdown_on_signal()
        .run(reconcile, failed, Arc::clone(&rollouts))
        .for_each(async |look| {
            if let Err(Error::ObjectNotFound(gone)) = look {
                rollouts.forget(&gone);
            }
        })
        .await;
    Ok(())
}
