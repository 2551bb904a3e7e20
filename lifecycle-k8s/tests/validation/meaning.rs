//! What is accepted means what core says it means.

use lifecycle_core::spec::{Manifest, SpecError};
use lifecycle_k8s::crd::AgentDeployment;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::cluster::{PATH, client, create, send};
use crate::support::{manifest, odd_values, specs};

/// Values of a strategy, the same in every run.
fn drawn<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, n: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// What an answer of the API server means, by way of the types, which must be able to read it.
fn meaning(answer: Value) -> Result<Manifest, SpecError> {
    serde_json::from_value::<AgentDeployment>(answer).unwrap().manifest()
}

#[tokio::test]
async fn what_core_accepts_is_accepted_and_defaults_change_no_meaning() {
    let client = client().await;
    let mut accepted = 0;
    for spec in drawn(specs(), 400) {
        let meant = Manifest::from_value(manifest(&spec));
        match (create(&client, &manifest(&spec), true).await, meant) {
            (Ok(answer), meant) => {
                accepted += usize::from(meant.is_ok());
                assert_eq!(meaning(answer), meant, "{spec}");
            }
            (Err(_), Err(_)) => {}
            (Err(error), Ok(_)) => panic!("{spec}: {error}"),
        }
    }
    assert!(accepted > 100, "only {accepted} of 400 specs make sense");
}

#[tokio::test]
async fn whatever_is_accepted_can_be_read() {
    let fields = [
        "agentId",
        "version",
        "strategy",
        "replicas",
        "tier",
        "healthCheck",
        "template",
        "adopt",
        "rolling",
        "blueGreen",
        "canary",
        "traffic",
        "analysis",
        "hooks",
        "drain",
        "revisionHistoryLimit",
        "paused",
    ];
    let client = client().await;
    let (mut accepted, mut refused) = (0, 0);
    for (field, value) in drawn((prop::sample::select(fields.to_vec()), odd_values()), 600) {
        let mut spec = json!({"version": "1.5.0"});
        spec[field] = value;
        let object = manifest(&spec);
        // a client that does not ask for strictness
        match send(&client, PATH, &object, "dryRun=All&fieldValidation=Ignore").await {
            Ok(answer) => {
                accepted += 1;
                let read: AgentDeployment =
                    serde_json::from_value(answer).unwrap_or_else(|e| panic!("{spec}: {e}"));
                let _ = read.manifest();
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 60 && refused > 200, "{accepted} accepted, {refused} refused");
}

#[tokio::test]
async fn null_is_not_written() {
    let client = client().await;
    let spec = json!({
        "version": "1.5.0", "agentId": null, "strategy": null, "replicas": null, "template": null, "adopt": null,
        "hooks": null, "drain": null, "traffic": null, "liveness": null,
        "rolling": {"maxSurge": null, "maxUnavailable": null, "window": null},
        "blueGreen": {"keepFor": null},
        "canary": {"steps": null, "maxSurge": null},
        "analysis": {"checks": null, "queries": null, "sequential": null, "window": null},
    });
    let answer = create(&client, &manifest(&spec), true).await.unwrap();
    assert_eq!(answer["spec"]["replicas"], 1);
    assert_eq!(answer["spec"]["canary"]["steps"][0], json!({"setWeight": 10, "bake": "30m"}));
    let bare = Manifest::from_value(manifest(&json!({"version": "1.5.0"})));
    assert_eq!(meaning(answer), bare);
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_dropped_where_nobody_asks_for_strictness() {
    let client = client().await;
    let spec = json!({"version": "1.5.0", "replica": 3, "canary": {"stepz": []}});
    let answer = send(&client, PATH, &manifest(&spec), "dryRun=All&fieldValidation=Ignore").await.unwrap();
    assert_eq!(answer["spec"].get("replica"), None);
    assert_eq!(answer["spec"]["canary"].get("stepz"), None);
    // what is not ours is kept: a template, and a provider's own fields
    let template = json!({"spec": {"containers": [{"name": "a", "image": "b", "unheardOf": [1, null]}], "x": {"y": 1.5}}});
    let spec = json!({"version": "1.5.0", "template": template, "traffic": {"provider": "istio", "route": {"a": 1}}});
    let answer = create(&client, &manifest(&spec), true).await.unwrap();
    assert_eq!(answer["spec"]["template"], template);
    assert_eq!(answer["spec"]["traffic"]["route"], json!({"a": 1}));
}
