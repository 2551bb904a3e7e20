//! The subresources, the columns of `kubectl get`, and the operator's rules.

use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, Request, TypeMeta};
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_k8s::rbac::Install;
use serde_json::{Value, json};

use crate::cluster::{PATH, client, create};
use crate::support::manifest;

async fn object(client: &Client, name: &str, spec: Value) -> Api<AgentDeployment> {
    let mut object = manifest(&spec);
    object["metadata"]["name"] = name.into();
    create(client, &object, false).await.unwrap();
    Api::namespaced(client.clone(), "default")
}

fn merge(patch: Value) -> (PatchParams, Patch<Value>) {
    (PatchParams::default(), Patch::Merge(patch))
}

#[tokio::test]
async fn scale_changes_the_replicas_and_is_held_to_the_same_rules() {
    let client = client().await;
    let steps = json!([{"setWeight": 50, "canaryScale": {"replicas": 5}}]);
    let api = object(&client, "scaled", json!({"version": "1.5.0", "canary": {"steps": steps}})).await;
    let (params, patch) =
        merge(json!({"status": {"currentReplicas": 1, "selector": "enis.andaon.com/agent=scaled"}}));
    api.patch_status("scaled", &params, &patch).await.unwrap();

    let (params, patch) = merge(json!({"spec": {"replicas": 10}}));
    let scale = api.patch_scale("scaled", &params, &patch).await.unwrap();
    let seen = (scale.spec.unwrap().replicas, scale.status.clone().unwrap().replicas);
    assert_eq!(seen, (Some(10), 1));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("enis.andaon.com/agent=scaled"));
    assert_eq!(api.get("scaled").await.unwrap().spec.replicas, Some(10));

    for (replicas, message) in [
        (0, "spec.replicas in body should be greater than or equal to 1"),
        (11, "canaryScale.replicas cannot carry its setWeight"),
    ] {
        let (params, patch) = merge(json!({"spec": {"replicas": replicas}}));
        let error = api.patch_scale("scaled", &params, &patch).await.unwrap_err().to_string();
        assert!(error.contains(message), "{replicas}: {error}");
    }
}

#[tokio::test]
async fn status_is_written_beside_the_spec_and_has_its_own_words() {
    let client = client().await;
    let api = object(&client, "told", json!({"version": "1.5.0"})).await;
    let (params, patch) = merge(json!({"spec": {"replicas": 7}, "status": {"phase": "healthy"}}));
    let told = api.patch_status("told", &params, &patch).await.unwrap();
    assert_eq!((told.spec.replicas, told.status.unwrap().phase.as_deref()), (Some(1), Some("healthy")));
    assert_eq!(told.metadata.generation, Some(1), "a status is no new generation");
    let told = api.patch("told", &params, &patch).await.unwrap();
    assert_eq!((told.spec.replicas, told.metadata.generation), (Some(7), Some(2)));

    let (params, patch) = merge(json!({"status": {"phase": "great"}}));
    let error = api.patch_status("told", &params, &patch).await.unwrap_err().to_string();
    assert!(error.contains("status.phase: Unsupported value: \"great\""), "{error}");

    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let (params, patch) = merge(json!({"status": {"conditions": [condition("Ready"), condition("Ready")]}}));
    let error = api.patch_status("told", &params, &patch).await.unwrap_err().to_string();
    assert!(error.contains("Duplicate value"), "{error}");
}

#[tokio::test]
async fn a_rendered_status_is_accepted_as_it_is() {
    let client = client().await;
    let api = object(&client, "rendered", json!({"version": "1.5.0"})).await;
    let state = lifecycle_core::machine::State::serving("1.4.0".parse().unwrap(), "0a1b2c3d4e", 3);
    let seen = lifecycle_k8s::status::Seen {
        generation: Some(1),
        selector: "enis.andaon.com/agent=rendered",
        problem: Some(("NotFound", "there is no Service rendered")),
        answer: Some(lifecycle_k8s::crd::CommandAnswer::refused("a1", "abort", "no rollout is on its way")),
        ..lifecycle_k8s::status::Seen::of(&state)
    };
    let now = k8s_openapi::jiff::Timestamp::now();
    let status = lifecycle_k8s::status::render(&Default::default(), seen, now);
    let (mut params, patch) = merge(json!({"status": status}));
    params.field_validation = Some(kube::api::ValidationDirective::Strict);
    let told = api.patch_status("rendered", &params, &patch).await.unwrap();
    assert_eq!(told.status, Some(status));
}

#[tokio::test]
async fn the_columns_tell_how_a_rollout_stands() {
    let client = client().await;
    let api =
        object(&client, "shown", json!({"version": "1.5.0", "strategy": "canary", "replicas": 3})).await;
    let revision =
        |version: &str| json!({"revision": "aaaaaaaaaa", "version": version, "replicas": 3, "ready": 3});
    let (params, patch) = merge(json!({"status": {
        "phase": "deploying", "step": 2, "weight": 50, "readyReplicas": 5, "stable": revision("1.4.0"),
        "canary": revision("1.5.0"), "lastDecision": {
            "name": "StepStarted", "reason": "StepStarted", "message": "step 2 of 3", "at": "2026-01-01T00:00:00Z",
        },
    }}));
    api.patch_status("shown", &params, &patch).await.unwrap();
    let mut request = Request::new(PATH).get("shown", &Default::default()).unwrap();
    request.headers_mut().insert("accept", "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap());
    let table: Value = client.request(request).await.unwrap();
    let column = |column: &Value| format!("{}{}", column["name"].as_str().unwrap(), column["priority"]);
    let columns: Vec<String> = table["columnDefinitions"].as_array().unwrap().iter().map(column).collect();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let shown: Vec<_> =
        columns.iter().map(String::as_str).zip(cells).filter(|(name, _)| *name != "Age0").collect();
    let wanted = [
        ("Name0", json!("shown")),
        ("Version0", json!("1.4.0")),
        ("Strategy0", json!("canary")),
        ("Phase0", json!("deploying")),
        ("Step0", json!(2)),
        ("Weight0", json!(50)),
        ("Ready0", json!(5)),
        ("Desired1", json!(3)),
        ("New1", json!("1.5.0")),
        ("Why1", json!("step 2 of 3")),
    ];
    assert_eq!(shown, wanted.iter().map(|(name, cell)| (*name, cell)).collect::<Vec<_>>());
}

/// May the operator's ServiceAccount at home do this?
async fn may(client: &Client, verb: &str, resource: &str, namespace: &str) -> bool {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, name) = resource.split_once(':').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        verb: some(verb),
        resource: some(resource),
        subresource: some(subresource),
        group: some(group),
        name: some(name),
        namespace: some(namespace),
        ..Default::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some("system:serviceaccount:home:lifecycle-operator".to_owned()),
        groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
        resource_attributes: Some(attributes),
        ..Default::default()
    };
    let review = SubjectAccessReview { spec, ..Default::default() };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// The same; rules that were applied just now may take a moment to be in force.
async fn comes_to_be_allowed(client: &Client, verb: &str, resource: &str, namespace: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !may(client, verb, resource, namespace).await {
        assert!(Instant::now() < deadline, "{verb} {resource} in {namespace:?} is not allowed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn apply(client: &Client, objects: Vec<Value>) {
    for object in objects {
        let types: TypeMeta = serde_json::from_value(object.clone()).unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let namespace = object["metadata"]["namespace"].as_str();
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("validation").validation_strict(), &Patch::Apply(&object))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_operator_may_do_what_it_needs_where_it_is_to_and_nothing_else() {
    let client = client().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in ["home", "shop", "elsewhere"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        namespaces.patch(name, &PatchParams::apply("validation"), &Patch::Apply(&namespace)).await.unwrap();
    }
    apply(&client, Install::new("home").watching("shop").objects().unwrap()).await;
    let needed = [
        ("list", "agentdeployments.enis.andaon.com"),
        ("patch", "agentdeployments/status.enis.andaon.com"),
        ("patch", "agentdeployments.enis.andaon.com"),
        ("create", "deployments.apps"),
        ("patch", "deployments.apps"),
        ("delete", "deployments.apps"),
        ("watch", "pods"),
        ("patch", "services"),
        ("watch", "endpointslices.discovery.k8s.io"),
        ("create", "controllerrevisions.apps"),
        ("create", "events.events.k8s.io"),
    ];
    let lease = "leases:lifecycle-operator.coordination.k8s.io";
    for (verb, resource) in [("create", "leases.coordination.k8s.io"), ("get", lease), ("update", lease)] {
        comes_to_be_allowed(&client, verb, resource, "home").await;
    }
    for (verb, resource) in needed {
        comes_to_be_allowed(&client, verb, resource, "shop").await;
        for namespace in ["elsewhere", "home", ""] {
            assert!(!may(&client, verb, resource, namespace).await, "{verb} {resource} in {namespace:?}");
        }
    }
    for (verb, resource) in [
        ("create", "agentdeployments.enis.andaon.com"),
        ("update", "agentdeployments.enis.andaon.com"),
        ("delete", "agentdeployments.enis.andaon.com"),
        ("delete", "services"),
        ("create", "pods"),
        ("delete", "pods"),
        ("get", "secrets"),
        ("deletecollection", "deployments.apps"),
        ("create", "leases.coordination.k8s.io"),
    ] {
        assert!(!may(&client, verb, resource, "shop").await, "{verb} {resource}");
    }
    assert!(!may(&client, "update", "leases:somebody-else.coordination.k8s.io", "home").await);

    apply(&client, Install::new("home").objects().unwrap()).await;
    for (verb, resource) in needed {
        comes_to_be_allowed(&client, verb, resource, "elsewhere").await;
    }
    assert!(!may(&client, "get", "secrets", "elsewhere").await);
}
