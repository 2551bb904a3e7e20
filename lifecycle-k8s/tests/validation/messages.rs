//! What is refused, and how that is said.

use lifecycle_core::spec::document;
use serde_json::{Value, json};

use crate::cluster::{client, create};
use crate::support::manifest;
use crate::support::refused::{By, rows};

#[tokio::test]
async fn what_core_refuses_is_refused_at_the_door_with_its_path() {
    let client = client().await;
    let mut accepted = Vec::new();
    for row in rows() {
        let spec = document(&row.spec(), "spec").unwrap();
        let answer = create(&client, &manifest(&spec), true).await;
        let fields = row.fields;
        match (row.by, answer) {
            (By::Operator, answer) => {
                answer.unwrap_or_else(|error| panic!("{fields}: not left to the operator: {error}"));
                accepted.push(fields);
            }
            (By::Unknown(path), Err(error)) => {
                assert!(error.contains(&format!("unknown field \"{path}")), "{fields}: {error}");
            }
            (By::Server(path, part), Err(error)) => {
                assert!(error.contains(&format!("{path}: ")) && error.contains(part), "{fields}: {error}");
            }
            (_, Ok(_)) => panic!("{fields}: accepted"),
        }
    }
    // a provider's own fields are free, and what is no number to the API server is arithmetic to core
    let only_by_the_operator = [
        "traffic: {virtualService: x}",
        "analysis: {checks: [\"error_rate < 150%\"]}",
        "analysis: {checks: [\"p95_latency < 0x stable\"]}",
        "analysis: {checks: [\"depth < 1e999\"], queries: {depth: x}}",
    ];
    assert_eq!(accepted, only_by_the_operator);
}

#[tokio::test]
async fn a_refusal_says_what_would_be_accepted() {
    let client = client().await;
    for (spec, message) in [
        (
            json!({"version": "abc"}),
            "spec.version: Invalid value: \"abc\": is not a version: write MAJOR.MINOR.PATCH like 1.5.0 (1.5 and \
             v1.5.0 are understood)",
        ),
        (
            json!({"version": "1.5.0", "drain": "5 minutes"}),
            "spec.drain: Invalid value: \"5 minutes\": is not a duration: write one like 250ms, 30s, 15m, 1h or \
             1h30m, at most 366 days",
        ),
        (
            json!({"version": "1.5.0", "rolling": {"maxSurge": "0%"}}),
            "spec.rolling.maxSurge: Invalid value: maxSurge and maxUnavailable are both 0, and nothing could move: \
             make one of them at least 1 or 1%",
        ),
        (
            json!({"version": "1.5.0", "tier": "enterprise", "strategy": "recreate"}),
            "spec.strategy: Invalid value: recreate has downtime, and tier enterprise accepts none: write rolling, \
             blue-green or canary",
        ),
        (
            json!({"version": "1.5.0", "tier": "enterprise", "rolling": {"maxUnavailable": 1}}),
            "spec.rolling.maxUnavailable: Invalid value: more than 0 lets fewer replicas serve than are asked for, and \
             tier enterprise accepts no downtime: write 0 (and maxSurge 1 or more)",
        ),
        (
            json!({"version": "1.5.0", "analysis": {"sequential": {"alpha": 1}}}),
            "spec.analysis.sequential.alpha: Invalid value: 1: is not a probability above 0 and below 1, like 0.01",
        ),
    ] {
        let error = create(&client, &manifest(&spec), true).await.unwrap_err();
        assert_eq!(error, format!("AgentDeployment.enis.andaon.com \"edge-agent\" is invalid: {message}"));
    }
}

#[tokio::test]
async fn a_name_is_short_enough_to_name_pods_after_it() {
    let client = client().await;
    let named = |name: &str| {
        let mut object = manifest(&json!({"version": "1.5.0"}));
        object["metadata"]["name"] = name.into();
        object
    };
    for name in ["a", "0", "edge-agent", &"a".repeat(52)] {
        create(&client, &named(name), true).await.unwrap();
    }
    for name in [&"a".repeat(53), "edge.agent"] {
        let error = create(&client, &named(name), true).await.unwrap_err();
        assert!(error.contains("metadata.name is not a name: write lower-case letters"), "{name}: {error}");
        assert!(error.contains("at most 52 characters"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_template_without_a_container_is_refused() {
    let client = client().await;
    for (template, message) in [
        (json!({"command": ["agent"]}), "spec.template.spec: Required value"),
        (json!({"spec": {}}), "spec.template.spec.containers: Required value"),
        (
            json!({"spec": {"containers": []}}),
            "spec.template.spec.containers in body should have at least 1 items",
        ),
        (
            json!({"spec": {"containers": [{"name": "a"}]}}),
            "spec.template.spec.containers[0].image: Required value",
        ),
    ] {
        let spec = json!({"version": "1.5.0", "template": template});
        let error = create(&client, &manifest(&spec), true).await.unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[tokio::test]
async fn several_mistakes_are_told_at_once() {
    let client = client().await;
    let spec = json!({
        "version": "x", "drain": "1 day", "canary": {"steps": [{"setWeight": 50, "bake": "1"}, {"setWeight": 20}]},
        "hooks": [{"on": "smoke", "url": "h"}],
    });
    let error = create(&client, &manifest(&spec), true).await.unwrap_err();
    for path in
        ["spec.version", "spec.drain", "spec.canary.steps[0].bake", "spec.canary.steps", "spec.hooks[0].url"]
    {
        assert!(error.contains(&format!("{path}: Invalid value")), "{path}: {error}");
    }
    let _: Value = create(&client, &manifest(&json!({"version": "1.5.0"})), true).await.unwrap();
}
