//! An operator that starts while the spec cannot be followed goes on with the rollout that the one before has begun.

use lifecycle_testkit::kubernetes::load::Who;
use serde_json::{Value, json};

use crate::support::{Agent, Operator, Stage, Version, run};

/// A canary that stays on its first step for a while.
fn slow(version: Version) -> Version {
    let steps = json!([{"setWeight": 50, "bake": "10s"}, {"setWeight": 100, "bake": "1s"}]);
    version.replicas(2).with(json!({"canary": {"steps": steps}}))
}

/// 1.5.0 is on its first step when the operator is killed and the spec becomes one that is refused.
async fn interrupted(namespace: &str, version: Version, refused: Value) -> (Stage, Operator) {
    let stage = first_step(namespace, version).await;
    stage.apply(&Version::new("canary", "1.6.0").unchecked().replicas(2).with(refused).manifest());
    let operator = stage.successor("second").await;
    (stage, operator)
}

/// 1.5.0 is on its first step when the operator is killed.
async fn first_step(namespace: &str, version: Version) -> Stage {
    let stage = Stage::new(namespace).await;
    stage.service().await;
    let mut operator = stage.operator().await;
    stage.deploy(&Version::new("canary", "1.4.0").unchecked().replicas(2)).await;
    stage.apply(&version.manifest());
    stage
        .until("the first step", |agent| {
            agent.status.step == 1 && agent.status.canary.as_ref().is_some_and(|canary| canary.ready == 1)
        })
        .await;
    operator.kill();
    stage
}

fn is_refused(agent: &Agent, field: &str) -> bool {
    agent.is_current()
        && agent.condition("Accepted") == ("False", "SpecRefused")
        && agent.says("Accepted").contains(field)
}

#[test]
fn a_rollout_on_its_way_is_ended_though_the_spec_is_refused_by_then() {
    run(async {
        let refused = json!({"adopt": {"deployment": "old"}});
        let version = slow(Version::new("canary", "1.5.0").unchecked());
        let (stage, _operator) = interrupted("resumed", version, refused).await;
        let agent = stage
            .until("1.5.0 is stable", |agent| {
                agent.stable() == Some("1.5.0") && agent.status.ready_replicas == 2
            })
            .await;
        let agent = if is_refused(&agent, "spec.adopt") {
            agent
        } else {
            stage.until("it is told", |agent| is_refused(agent, "spec.adopt")).await
        };
        assert_eq!((agent.canary(), agent.condition("Available").0), (None, "True"), "{agent:?}");
        assert_eq!(agent.status.current_replicas, 2, "{agent:?}");
        stage.until_told("SpecRefused", "spec.adopt").await;

        // and the mended one is rolled out after it
        stage.kubectl(&[
            "patch",
            "agentdeploy",
            crate::support::NAME,
            "--type=merge",
            "-p",
            r#"{"spec":{"adopt":null}}"#,
        ]);
        stage.until_healthy("1.6.0").await;
    });
}

#[test]
fn a_bad_version_is_rolled_back_though_the_spec_is_refused_by_then() {
    run(async {
        let query = "sum(rate(asked{pod=\"{{pod}}\"}[1m]))";
        let refused = json!({"analysis": {"queries": {"asked": query}}});
        // nobody asks it anything before the operator is killed, so nothing is judged
        let version = slow(Version::new("canary", "1.5.0").env("ERROR_RATE", "50%"));
        let (stage, _operator) = interrupted("resumed-bad", version, refused).await;
        let load = stage.load(60.0).await;
        let agent = stage.until("the way back", |agent| agent.phase() == "rolled_back").await;
        assert_eq!((agent.stable(), agent.canary()), (Some("1.4.0"), None), "{agent:?}");
        assert!(is_refused(&agent, "spec.analysis.queries.asked"), "{agent:?}");
        load.stop().await;
    });
}

#[test]
fn an_operator_without_prometheus_obeys_in_a_rollout_that_was_begun_with_it() {
    run(async {
        let version = slow(Version::new("canary", "1.5.0"));
        let stage = first_step("resumed-unmeasured", version).await;
        let _operator = stage.unmeasured().successor("second").await;
        let agent =
            stage.until("it is told", |agent| agent.condition("Accepted") == ("False", "SpecRefused")).await;
        assert_eq!((agent.stable(), agent.canary()), (Some("1.4.0"), Some("1.5.0")), "{agent:?}");
        assert!(agent.says("Accepted").contains("there is no health source"), "{agent:?}");

        let command = "enis.andaon.com/command=u1 abort";
        stage.kubectl(&["annotate", "agentdeploy", crate::support::NAME, command]);
        let agent = stage.until("the way back", |agent| agent.went_back_to("1.4.0", 2)).await;
        assert!(agent.answered("u1"), "{agent:?}");
    });
}

#[test]
fn a_record_that_somebody_damaged_is_told_and_nothing_is_touched() {
    run(async {
        let stage = Stage::new("resumed-damaged").await;
        stage.service().await;
        let mut operator = stage.operator().await;
        stage.deploy(&Version::new("blue-green", "1.4.0").unchecked().replicas(2)).await;
        let before = stage.until_serving("1.4.0", 2).await;
        let load = stage.load(40.0).await;
        operator.kill();
        let write = |record: Value| {
            let status = json!({"status": {"rollout": record}}).to_string();
            let name = crate::support::NAME;
            stage.kubectl(&[
                "patch",
                "agentdeploy",
                name,
                "--subresource=status",
                "--type=merge",
                "-p",
                &status,
            ]);
        };
        write(json!("{\"format\": 1, \"sequence\": "));

        let _operator = stage.successor("second").await;
        let agent =
            stage.until("it is told", |agent| agent.condition("Degraded") == ("True", "Refused")).await;
        assert!(agent.says("Degraded").contains("status.rollout of edge-agent is no record"), "{agent:?}");
        assert_eq!(agent.condition("Ready"), ("False", "Refused"), "{agent:?}");
        stage.until_told("Refused", "remove it to start anew").await;
        // what was known stays
        assert_eq!((agent.stable(), agent.replicas()), (Some("1.4.0"), (2, 2)), "{agent:?}");
        assert_eq!(agent.condition("Available"), before.condition("Available"));

        write(Value::Null);
        stage.until_serving("1.4.0", 2).await;
        let report = load.stop().await;
        assert_eq!((report.lost(), report.tally(Who::All).failed), (0, 0), "{report}");
    });
}
