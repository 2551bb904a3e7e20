//! The API server is away for a while, or a permission is.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Patch, PatchParams};
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions, counts};
use lifecycle_testkit::kubernetes::load::Who;
use serde_json::json;

use super::Scene;
use crate::support::{Stage, define, node, run, until};

#[test]
fn an_api_server_that_is_gone_for_a_while_stops_no_request() {
    run(async {
        // as usual: a node is not given up because the API server is away
        let options = ControlPlaneOptions::new().node_monitor_grace_period(Duration::from_secs(40));
        let control_plane = Box::leak(Box::new(ControlPlane::start(options).await.unwrap()));
        define(control_plane).await;
        let node = Box::leak(Box::new(node(control_plane.client().await.unwrap()).await));
        // endpoints follow late once it is back: they have to before a pod that was asked to stop does
        let stage = Stage::on(control_plane, node, None, "api-outage").await;
        let scene = Scene::on(stage, "canary", "8s").await;
        let began = scene.load.elapsed();
        control_plane.stop_api_server().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let ended = scene.load.elapsed();
        control_plane.start_api_server().await.unwrap();
        let served = scene.load.seen().tally_in(Who::All, began..ended);
        assert!(served.ok > 100, "{served:?}");
        scene.ends_well_without_a_loss().await;
    });
}

/// Rules that the Role of the operator has, without some.
async fn allow(stage: &Stage, rules: &[k8s_openapi::api::rbac::v1::PolicyRule]) {
    let patch = Patch::Merge(json!({"rules": rules}));
    stage.api::<Role>().patch("lifecycle-operator", &PatchParams::default(), &patch).await.unwrap();
}

#[test]
fn a_permission_that_was_taken_away_is_named_and_the_rollout_goes_on_with_it() {
    run(async {
        let mut scene = Scene::new("no-patch", "canary").await;
        let rules = scene.stage.api::<Role>().get("lifecycle-operator").await.unwrap().rules.unwrap();
        let mut fewer = rules.clone();
        for rule in fewer.iter_mut().filter(|rule| rule.resources == Some(vec!["deployments".to_owned()])) {
            rule.verbs.retain(|verb| verb != "patch");
        }
        assert_ne!(fewer, rules);
        allow(&scene.stage, &fewer).await;
        scene.is_told(("Degraded", "True", "Forbidden"), "cannot patch resource \"deployments\"").await;

        let moment = scene.stage.control_plane.moment().unwrap();
        let told = scene.history.seen().len();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let asked = scene.stage.asked(&moment).await;
        println!("forbidden: {} requests in 6 s: {:?}", asked.len(), counts(&asked));
        assert!(asked.len() <= 20, "{asked:#?}");
        for agent in &scene.history.seen()[told..] {
            assert_eq!(agent.condition("Degraded"), ("True", "Forbidden"), "it stays so");
            assert_eq!(agent.stable(), Some("1.4.0"));
        }
        assert!(scene.operator.is_alive());
        allow(&scene.stage, &rules).await;
        scene.ends_well_without_a_loss().await;
    });
}

/// Without any permission nobody can be told but by the log.
#[test]
fn an_operator_without_its_role_waits_for_it() {
    run(async {
        let mut scene = Scene::new("no-role", "canary").await;
        let role = scene.stage.kubectl(&["get", "role", "lifecycle-operator", "-o", "yaml"]);
        scene.stage.kubectl(&["delete", "role", "lifecycle-operator"]);
        until("the log tells", async || {
            let log = scene.operator.log();
            if log.contains("forbidden") { Ok(()) } else { Err(log) }
        })
        .await;
        let moment = scene.stage.control_plane.moment().unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let asked = scene.stage.asked(&moment).await;
        println!("without a role: {} requests in 6 s: {:?}", asked.len(), counts(&asked));
        assert!(asked.len() <= 30, "{asked:#?}");
        assert!(scene.operator.is_alive());
        let object = scene.stage.agent().await.status.unwrap();
        assert_eq!(object.stable.map(|stable| stable.version).as_deref(), Some("1.4.0"));

        scene.stage.apply(&role);
        scene.ends_well_without_a_loss().await;
    });
}
