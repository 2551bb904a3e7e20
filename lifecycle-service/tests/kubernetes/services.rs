//! Another Service in the spec: requests go by it as they went by the one before, which is given back as it was
//! found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use lifecycle_k8s::names;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{NAME, Stage, Version, create, run, until};

/// The Service that is named later.
const OTHER: &str = "front";

/// What somebody else made of a Service: selector and annotations.
type Found = (BTreeMap<String, String>, BTreeMap<String, String>);

fn blue_green(version: &'static str) -> Version {
    Version::new("blue-green", version).unchecked().replicas(2)
}

/// The same by the other Service.
fn by_other(version: &'static str) -> Version {
    blue_green(version).with(json!({"traffic": {"service": OTHER}}))
}

/// Green waits for a person.
fn by_hand() -> serde_json::Value {
    json!({"blueGreen": {"autoPromote": false}})
}

/// A Service with an annotation of its owner's.
async fn service(stage: &Stage, name: &str) -> Found {
    let spec = json!({"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8080}]});
    let metadata = json!({"name": name, "annotations": {"example.com/team": "edge"}});
    create(&stage.api::<Service>(), json!({"metadata": metadata, "spec": spec})).await;
    seen(stage, name).await
}

async fn seen(stage: &Stage, name: &str) -> Found {
    let service = stage.api::<Service>().get(name).await.unwrap();
    let selector = service.spec.as_ref().unwrap().selector.clone().unwrap();
    (selector, service.annotations().clone())
}

/// The revision that a Service sends all requests to.
async fn pinned(stage: &Stage, name: &str) -> Option<String> {
    let (selector, annotations) = seen(stage, name).await;
    let pinned = selector.get(names::REVISION).cloned();
    assert_eq!(pinned.is_some(), annotations.contains_key(names::ROUTE), "{selector:?} {annotations:?}");
    pinned
}

async fn until_given_back(stage: &Stage, name: &str, found: &Found) {
    until(&format!("{name} is as it was found"), async || {
        let now = seen(stage, name).await;
        if now == *found { Ok(()) } else { Err((now, stage.events().await)) }
    })
    .await;
}

/// Every Service as it was written, in this order: name and pinned revision.
type Writes = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn watch(stage: &Stage) -> (Writes, JoinHandle<()>) {
    let (writes, api) = (Writes::default(), stage.api::<Service>());
    let written = Arc::clone(&writes);
    let watching = tokio::spawn(async move {
        let services = watcher(api, watcher::Config::default()).applied_objects();
        let mut services = std::pin::pin!(services);
        while let Some(service) = services.next().await {
            let service = service.unwrap();
            let selector = service.spec.as_ref().unwrap().selector.clone().unwrap_or_default();
            written.lock().unwrap().push((service.name_any(), selector.get(names::REVISION).cloned()));
        }
    });
    (writes, watching)
}

#[test]
fn a_service_that_is_named_no_more_is_given_back_once_the_other_one_routes() {
    run(async {
        let stage = Stage::new("other-service").await;
        let (found, _) = (service(&stage, NAME).await, service(&stage, OTHER).await);
        let operator = stage.operator().await;
        stage.deploy(&blue_green("1.4.0")).await;
        let stable = pinned(&stage, NAME).await.unwrap();
        let (writes, watching) = watch(&stage);

        // nothing is rolled out
        stage.apply(&by_other("1.4.0").manifest());
        until_given_back(&stage, NAME, &found).await;
        assert_eq!(pinned(&stage, OTHER).await, Some(stable.clone()), "{}", operator.log());
        let seen = writes.lock().unwrap().clone();
        let position = |write: (&str, Option<&str>)| {
            let found = seen.iter().rposition(|(name, pin)| (&**name, pin.as_deref()) == write);
            found.unwrap_or_else(|| panic!("{write:?} is not in {seen:?}"))
        };
        assert!(position((OTHER, Some(&stable))) < position((NAME, None)), "{seen:?}");

        // and back again with another version: from now on it is the other way round
        stage.deploy(&blue_green("1.5.0")).await;
        let newest = pinned(&stage, NAME).await.unwrap();
        assert_ne!(newest, stable);
        until(&format!("{OTHER} is given back"), async || match pinned(&stage, OTHER).await {
            None => Ok(()),
            pin => Err(pin),
        })
        .await;
        watching.abort();
    });
}

#[test]
fn a_service_is_given_back_by_the_operator_that_comes_after() {
    run(async {
        let stage = Stage::new("other-service-later").await;
        let (found, _) = (service(&stage, NAME).await, service(&stage, OTHER).await);
        let mut operator = stage.operator().await;
        stage.deploy(&blue_green("1.4.0")).await;
        let stable = pinned(&stage, NAME).await.unwrap();
        operator.kill();
        stage.apply(&by_other("1.4.0").manifest());

        let _operator = stage.successor("second").await;
        until_given_back(&stage, NAME, &found).await;
        assert_eq!(pinned(&stage, OTHER).await, Some(stable));
    });
}

#[test]
fn a_route_that_was_taken_away_while_no_operator_ran_is_put_back() {
    run(async {
        let stage = Stage::new("route-lost").await;
        service(&stage, NAME).await;
        let mut operator = stage.operator().await;
        stage.deploy(&blue_green("1.4.0")).await;
        let stable = pinned(&stage, NAME).await.unwrap();
        stage.apply(&blue_green("1.5.0").with(by_hand()).manifest());
        stage.until("green is ready", |agent| agent.ready_canaries() == 2).await;
        operator.kill();
        // as a tool does that applies the Service as it was written first
        let found = json!([
            {"op": "remove", "path": "/metadata/annotations/enis.andaon.com~1route"},
            {"op": "replace", "path": "/spec/selector", "value": {"app": NAME}},
        ]);
        stage.kubectl(&["patch", "service", NAME, "--type=json", "-p", &found.to_string()]);
        assert_eq!(pinned(&stage, NAME).await, None);

        let _operator = stage.successor("second").await;
        until("the route is back", async || match pinned(&stage, NAME).await {
            pin if pin.as_ref() == Some(&stable) => Ok(()),
            pin => Err(pin),
        })
        .await;
        stage.until_told("Repaired", "the route of Service edge-agent was taken away").await;
    });
}

#[test]
fn a_rollout_is_obeyed_though_its_next_service_cannot_route() {
    run(async {
        let stage = Stage::new("other-service-none").await;
        service(&stage, NAME).await;
        let spec = json!({"ports": [{"port": 80}]});
        create(&stage.api::<Service>(), json!({"metadata": {"name": OTHER}, "spec": spec})).await;
        let operator = stage.operator().await;
        stage.deploy(&blue_green("1.4.0")).await;
        let stable = pinned(&stage, NAME).await;
        stage.apply(&blue_green("1.5.0").with(by_hand()).manifest());
        stage.until("green is ready", |agent| agent.ready_canaries() == 2).await;
        stage.apply(&by_other("1.5.0").with(by_hand()).manifest());
        stage.until_told("Refused", "Service front has no selector to switch").await;

        stage.kubectl(&["annotate", "agentdeploy", NAME, "enis.andaon.com/command=n1 abort"]);
        let agent =
            stage.until("the way back", |agent| agent.answered("n1") && agent.canary().is_none()).await;
        assert_eq!(agent.stable(), Some("1.4.0"), "{agent:?} {}", operator.log());
        assert_eq!(pinned(&stage, NAME).await, stable);
    });
}

#[test]
fn a_service_is_kept_until_the_other_one_is_there() {
    run(async {
        let stage = Stage::new("other-service-missing").await;
        let found = service(&stage, NAME).await;
        let _operator = stage.operator().await;
        stage.deploy(&blue_green("1.4.0")).await;
        let stable = pinned(&stage, NAME).await;
        stage.apply(&by_other("1.5.0").manifest());
        let agent =
            stage.until("it is told", |agent| agent.condition("Degraded") == ("True", "NotFound")).await;
        assert!(agent.says("Degraded").contains(OTHER), "{agent:?}");
        assert_eq!((agent.stable(), pinned(&stage, NAME).await), (Some("1.4.0"), stable.clone()));

        service(&stage, OTHER).await;
        stage.until_healthy("1.5.0").await;
        until_given_back(&stage, NAME, &found).await;
        assert_ne!(pinned(&stage, OTHER).await, stable);

        // what is deleted leaves nothing behind
        stage.kubectl(&["delete", "agentdeploy", NAME]);
        until_given_back(&stage, OTHER, &found).await;
    });
}
