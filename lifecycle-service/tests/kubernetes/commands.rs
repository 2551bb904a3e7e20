//! What people do with kubectl in the middle of a rollout.

use crate::support::{NAME, Stage, Version, run};

/// A canary whose second step waits long enough to be interrupted.
fn slow(version: &'static str) -> Version {
    let steps = serde_json::json!([{"setWeight": 25, "bake": "1s"}, {"setWeight": 50, "bake": "60s"}]);
    Version::new("canary", version).unchecked().with(serde_json::json!({"canary": {"steps": steps}}))
}

async fn started(namespace: &str) -> Stage {
    let stage = Stage::new(namespace).await;
    stage.service().await;
    stage
}

fn command(stage: &Stage, text: &str) {
    stage.kubectl(&[
        "annotate",
        "agentdeploy",
        NAME,
        "--overwrite",
        &format!("enis.andaon.com/command={text}"),
    ]);
}

#[test]
fn pause_scale_resume_abort_and_retry_are_obeyed_and_answered() {
    run(async {
        let stage = started("commands").await;
        let _operator = stage.operator().await;
        stage.deploy(&slow("1.4.0")).await;
        stage.apply(&slow("1.5.0").manifest());
        stage.until("the second step", |agent| agent.status.step == 2).await;

        command(&stage, "c1 pause");
        let agent = stage.until("the pause", |agent| agent.condition("Paused").0 == "True").await;
        assert_eq!(agent.condition("Paused").1, "PauseCommand");
        let answer = agent.status.last_command.clone().unwrap();
        assert_eq!((&*answer.id, &*answer.command, &*answer.result), ("c1", "pause", "done"));

        // a paused rollout follows a changed number of replicas
        stage.kubectl(&["scale", "agentdeploy", NAME, "--replicas=6"]);
        let agent = stage.until("six replicas", |agent| agent.status.ready_replicas == 6).await;
        assert_eq!(agent.condition("Paused").0, "True");
        assert_eq!(agent.status.canary.as_ref().map(|canary| canary.replicas), Some(3));

        command(&stage, "c2 resume");
        stage.until("the end of the pause", |agent| agent.condition("Paused").0 == "False").await;

        command(&stage, "c3 abort");
        let agent = stage.until("the way back", |agent| agent.phase() == "rolled_back").await;
        assert_eq!((agent.stable(), agent.status.ready_replicas), (Some("1.4.0"), 6));
        assert_eq!(agent.status.last_command.as_ref().map(|c| &*c.id), Some("c3"));

        command(&stage, "c4 retry");
        stage.until("the second step again", |agent| agent.status.step == 2).await;
        command(&stage, "c5 promote-full");
        stage.until_healthy("1.5.0").await;

        // each id runs once
        command(&stage, "c3 abort");
        command(&stage, "c6 dance");
        let agent =
            stage.until("a refusal", |a| a.status.last_command.as_ref().is_some_and(|c| c.id == "c6")).await;
        let answer = agent.status.last_command.unwrap();
        assert_eq!(answer.result, "refused");
        assert!(answer.message.contains("commands are pause, resume"), "{}", answer.message);
        assert_eq!(stage.until_healthy("1.5.0").await.stable(), Some("1.5.0"));
    });
}

#[test]
fn a_rollback_goes_to_the_version_that_is_named() {
    run(async {
        let stage = started("rollback-to").await;
        let _operator = stage.operator().await;
        let quick = |version| Version::new("rolling", version).unchecked().replicas(2);
        for version in ["1.3.0", "1.4.0", "1.5.0"] {
            stage.deploy(&quick(version)).await;
        }
        command(&stage, "r1 rollback 1.3.0");
        let agent = stage
            .until("1.3.0 serves", |agent| agent.stable() == Some("1.3.0") && agent.canary().is_none())
            .await;
        assert_eq!(agent.status.ready_replicas, 2);
        assert_eq!(agent.phase(), "rolled_back");
        let spec = stage.kubectl(&["get", "agentdeploy", NAME, "-o", "jsonpath={.spec.version}"]);
        assert_eq!(spec, "1.5.0", "the operator never writes the spec");

        command(&stage, "r2 rollback 0.9.0");
        let agent =
            stage.until("a refusal", |a| a.status.last_command.as_ref().is_some_and(|c| c.id == "r2")).await;
        assert_eq!(agent.status.last_command.unwrap().result, "refused");
    });
}

#[test]
fn a_newer_version_supersedes_the_one_that_is_on_its_way() {
    run(async {
        let stage = started("supersede").await;
        let _operator = stage.operator().await;
        stage.deploy(&slow("1.4.0")).await;
        stage.apply(&slow("1.5.0").manifest());
        stage.until("the second step", |agent| agent.status.step == 2).await;

        let newer = Version::new("canary", "1.6.0").unchecked();
        stage.apply(&newer.manifest());
        stage.until("1.6.0 is on its way", |agent| agent.canary() == Some("1.6.0")).await;
        let agent = stage.until_healthy("1.6.0").await;
        assert_eq!(agent.status.current_replicas, 4);
    });
}
