//! A leader that was stopped and goes on once another one leads: what it still writes was decided on what is not so any
//! more, and is refused.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use lifecycle_core::backend::{
    BackendResult, ErrorKind, Record, RolloutStore as _, Route, RouteWish, ScaleWish, Token,
    TrafficRouter as _, Workload as _,
};
use lifecycle_core::machine::State;
use lifecycle_core::plan::Weight;
use lifecycle_k8s::client::{Caches, KubeRouter, KubeWorkload, Scope, StatusStore};
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_k8s::names;
use lifecycle_k8s::object::Owner;
use serde_json::{Value, json};

use crate::world::{DRAIN, TARGET, Target, World, backends, revision, until};

/// Later than every token of the leader that goes on.
const LATE: u64 = 99;

/// What it knows stays as it was when it was stopped.
struct Stopped {
    workload: Arc<KubeWorkload>,
    router: Arc<KubeRouter>,
}

impl Stopped {
    async fn after_a_look_at(world: &World, target: &Target) -> Self {
        let scope = Scope::Namespace(target.namespace().to_owned());
        let (caches, watches) = Caches::watch(&world.client, &scope);
        let watches = tokio::spawn(watches.run());
        caches.wait_until_synced().await;
        watches.abort();
        assert!(watches.await.unwrap_err().is_cancelled());
        let (workload, router) = backends(&target.owner, &target.writer, &caches);
        assert!(router.exists());
        Self { workload, router }
    }
}

/// What is written of a Deployment, but for what its controller writes: that has the `generation` unchanged.
async fn groups(target: &Target) -> Vec<Value> {
    let all = target.writer.api::<Deployment>().list(&ListParams::default()).await.unwrap();
    let facts = all.items.into_iter().map(|it| {
        let (meta, spec) = (it.metadata, it.spec.unwrap());
        json!({
            "name": meta.name, "uid": meta.uid, "generation": meta.generation, "replicas": spec.replicas,
            "token": meta.annotations.unwrap()[names::TOKEN], "deleted": meta.deletion_timestamp,
        })
    });
    facts.collect()
}

async fn service(target: &Target) -> Value {
    json!(target.writer.get::<Service>(TARGET).await.unwrap().unwrap())
}

async fn agent(target: &Target) -> Value {
    json!(target.writer.get::<AgentDeployment>(TARGET).await.unwrap().unwrap())
}

fn store(target: &Target) -> StatusStore<AgentDeployment> {
    StatusStore::new(target.writer.clone(), &*target.owner.name, &*target.owner.uid)
}

fn size(number: u32, replicas: u32, token: u64) -> ScaleWish {
    ScaleWish::new(revision(number), replicas, Token(token), DRAIN)
}

fn all_to(number: u32, token: u64) -> RouteWish {
    let route = Route::Split { stable: Some(revision(number)), canary: None, weight: Weight::ZERO };
    RouteWish::new(route, Token(token))
}

fn record(epoch: u32) -> Record {
    let mut state = State::default();
    state.epoch = epoch;
    Record::of(state)
}

#[track_caller]
fn refused<T: Debug>(as_what: ErrorKind, answer: BackendResult<T>) -> String {
    let error = answer.unwrap_err();
    assert_eq!(error.kind, as_what, "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_size_is_refused() {
    let world = World::start("late-size").await;
    let target = world.target().await;
    target.scale(1, 1, 1).await;
    let stopped = Stopped::after_a_look_at(&world, &target).await;
    target.scale(1, 2, 2).await;
    target.scale(2, 1, 3).await;

    let written = groups(&target).await;
    let sizes: Vec<_> = written.iter().map(|group| (&group["replicas"], &group["token"])).collect();
    assert_eq!(sizes, [(&json!(2), &json!("2")), (&json!(1), &json!("3"))]);
    refused(ErrorKind::Conflict, stopped.workload.scale(&size(1, 3, LATE)).await);
    // one that it believes is not there
    refused(ErrorKind::Conflict, stopped.workload.scale(&size(2, 3, LATE)).await);
    assert_eq!(groups(&target).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_route_is_refused() {
    let world = World::start("late-route").await;
    let target = world.target().await;
    target.router.set(&all_to(1, 1)).await.unwrap();
    let stopped = Stopped::after_a_look_at(&world, &target).await;
    target.router.set(&all_to(2, 2)).await.unwrap();

    let written = service(&target).await;
    assert_eq!(written["spec"]["selector"][names::REVISION], *revision(2).hash);
    refused(ErrorKind::Conflict, stopped.router.set(&all_to(1, LATE)).await);
    assert_eq!(service(&target).await, written);
    refused(ErrorKind::Conflict, stopped.router.release().await);
    assert_eq!(service(&target).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_record_is_refused() {
    let world = World::start("late-record").await;
    let target = world.target().await;
    let (stopped, goes_on) = (store(&target), store(&target));
    let before = stopped.save(&record(1), None).await.unwrap();
    let loaded = goes_on.load().await.unwrap().unwrap();
    assert_eq!(loaded.version, before);
    goes_on.save(&record(2), Some(before.clone())).await.unwrap();

    let written = agent(&target).await;
    let shown = json!({"phase": "unhealthy", "weight": 40}).as_object().unwrap().clone();
    // the second time it has read what is there, and is about its own record still
    for _ in 0..2 {
        refused(ErrorKind::Conflict, stopped.write_shown(&shown, Some(&Some(before.clone()))).await);
        assert_eq!(agent(&target).await, written);
    }
    refused(ErrorKind::Conflict, stopped.save(&record(3), Some(before)).await);
    assert_eq!(agent(&target).await, written);
    assert_eq!(stopped.load().await.unwrap().unwrap().record, record(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_empty_any_more_is_not_deleted_late() {
    let world = World::start("late-delete").await;
    let target = world.target().await;
    target.scale(1, 0, 1).await;
    let stopped = Stopped::after_a_look_at(&world, &target).await;
    target.scale(1, 1, 2).await;

    let written = groups(&target).await;
    assert_eq!((&written[0]["replicas"], &written[0]["deleted"]), (&json!(1), &Value::Null));
    refused(ErrorKind::Conflict, stopped.workload.forget_all_but(&[]).await);
    assert_eq!(groups(&target).await, written);
    let name = names::child(TARGET, &revision(1).hash);
    assert!(target.writer.get::<ControllerRevision>(&name).await.unwrap().is_some());

    // whoever knows better does delete it, once it is empty
    target.scale(1, 0, 3).await;
    until("no group", async || {
        target.workload.forget_all_but(&[]).await.map_err(|error| error.to_string())?;
        let left = groups(&target).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_of_another_agent_is_not_taken_while_that_one_runs_anything() {
    let world = World::start("late-owner").await;
    let target = world.target().await;
    target.scale(1, 0, 1).await;
    target.router.set(&all_to(1, 7)).await.unwrap();
    let (other, spare) = (second_agent(&target).await, second_service(&target).await);
    let router = |service: &str| {
        KubeRouter::new(other.clone(), service.into(), target.writer.clone(), Arc::clone(&target.caches))
    };
    let (router, spare) = (router(TARGET), router(&spare));
    until("a Service", async || if spare.exists() { Ok(()) } else { Err("none") }).await;
    spare.set(&all_to(2, 9)).await.unwrap();

    let written = service(&target).await;
    for answer in [router.set(&all_to(2, 8)).await, router.take_over(&spare).await] {
        let message = refused(ErrorKind::Invalid, answer);
        assert!(message.contains(&format!("{TARGET} (uid {})", target.owner.uid)), "{message}");
    }
    router.repair().await.unwrap();
    assert_eq!(router.observe().await.unwrap(), None);
    assert_eq!(service(&target).await, written);

    // whatever token the one before had
    until("nothing that runs", async || match target.workload.delete_all().await {
        Ok(false) => Ok(()),
        other => Err(other),
    })
    .await;
    router.set(&all_to(2, 3)).await.unwrap();
    let route: Value = serde_json::from_str(
        service(&target).await["metadata"]["annotations"][names::ROUTE].as_str().unwrap(),
    )
    .unwrap();
    assert_eq!((&route["owner"], &route["token"]), (&json!(other.uid), &json!(3)));
}

async fn second_agent(target: &Target) -> Owner {
    let mut agent = agent(target).await;
    agent["metadata"] = json!({"name": "second-agent"});
    agent.as_object_mut().unwrap().remove("status");
    let agent: AgentDeployment = target.writer.create("second-agent", &agent).await.unwrap();
    Owner::of(&agent).unwrap()
}

async fn second_service(target: &Target) -> String {
    let name = "second-service";
    let object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {names::AGENT: "second-agent"}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    target.writer.create::<Service>(name, &object).await.unwrap();
    name.to_owned()
}
