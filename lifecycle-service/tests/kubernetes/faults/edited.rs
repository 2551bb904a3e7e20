//! Replicas, templates, Services, records and pods that somebody edits or deletes by hand.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::Service;
use lifecycle_testkit::kubernetes::load::Who;
use serde_json::json;

use super::{REVISION, ROUTE, Scene};
use crate::support::{NAME, run, until};

#[test]
fn replicas_that_were_edited_by_hand_are_put_back() {
    run(async {
        let scene = Scene::new("edited-replicas", "canary").await;
        scene.stage.kubectl(&["scale", "deployment", &scene.canary, "--replicas=1"]);
        scene.is_told_repaired(&format!("Deployment {} was resized to 1", scene.canary)).await;
        until("the canary is whole", async || {
            let pods = scene.pods(&scene.canary).await;
            if pods.len() >= 2 { Ok(()) } else { Err(pods) }
        })
        .await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_template_that_was_edited_by_hand_is_put_back() {
    run(async {
        let scene = Scene::new("edited-template", "canary").await;
        scene.stage.kubectl(&["set", "env", &format!("deployment/{}", scene.stable), "BY_HAND=yes"]);
        scene.is_told_repaired(&format!("template of Deployment {}", scene.stable)).await;
        scene.stage.kubectl(&[
            "set",
            "image",
            &format!("deployment/{}", scene.canary),
            "app=agent-app:6.6.6",
        ]);
        scene.is_told_repaired(&format!("template of Deployment {}", scene.canary)).await;
        for child in [&scene.stable, &scene.canary] {
            let deployment = scene.stage.api::<Deployment>().get(child).await.unwrap();
            let template = serde_json::to_string(&deployment.spec.unwrap().template).unwrap();
            assert!(!template.contains("BY_HAND") && !template.contains("6.6.6"), "{template}");
        }
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_part_of_a_template_that_was_taken_away_is_put_back() {
    run(async {
        let scene = Scene::new("removed-part", "canary").await;
        let hooks = || async {
            let deployment = scene.stage.api::<Deployment>().get(&scene.stable).await.unwrap();
            let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
            container.lifecycle.and_then(|lifecycle| lifecycle.pre_stop).is_some()
        };
        assert!(hooks().await, "pods are drained before they are stopped");
        let removal =
            json!([{"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle"}]).to_string();
        scene.stage.kubectl(&["patch", "deployment", &scene.stable, "--type=json", "-p", &removal]);
        scene.is_told_repaired(&format!("template of Deployment {}", scene.stable)).await;
        until("it is as it was", async || if hooks().await { Ok(()) } else { Err(()) }).await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_template_that_somebody_else_applies_as_it_is_needs_no_repair() {
    run(async {
        let scene = Scene::new("co-owned", "canary").await;
        let moment = scene.stage.control_plane.moment().unwrap();
        let as_it_is = scene.stage.kubectl(&["get", "deployment", &scene.stable, "-o", "json"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), as_it_is).unwrap();
        let path = file.path().to_str().unwrap();
        scene.stage.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", path]);
        // by JSON patch, which asks for no conflicts, unlike a change of the size
        let (stage, stable) = (scene.stage.clone(), scene.stable.clone());
        let looked_at = async || {
            let mut asked = stage.asked(&moment).await;
            asked.retain(|request| request.name == stable && !request.uri.contains("force"));
            asked
        };
        until("it was looked at", async || if looked_at().await.is_empty() { Err(()) } else { Ok(()) }).await;
        scene.ends_well_without_a_loss().await;
        let asked = looked_at().await;
        // once for each size that the Deployment had meanwhile
        assert!(asked.len() <= 4, "{asked:#?}");
        let events = stage.events().await;
        assert!(!events.iter().any(|(reason, _)| reason == "Repaired"), "{events:#?}");
    });
}

#[test]
fn the_deployment_of_a_canary_that_was_deleted_is_made_again() {
    run(async {
        let scene = Scene::new("deleted-canary", "canary").await;
        scene.stage.kubectl(&["delete", "deployment", &scene.canary]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.canary)).await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_stable_deployment_that_was_deleted_is_made_again() {
    run(async {
        let scene = Scene::new("deleted-stable", "canary").await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn pods_without_their_deployment_are_taken_over_by_the_one_that_is_made_again() {
    run(async {
        let scene = Scene::new("orphaned", "canary").await;
        let before = scene.pods(&scene.stable).await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable, "--cascade=orphan"]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            let deployment = scene.stage.api::<Deployment>().get_opt(&scene.stable).await.unwrap();
            let ready = deployment.and_then(|deployment| deployment.status?.ready_replicas);
            if ready == Some(2) { Ok(()) } else { Err(ready) }
        })
        .await;
        assert_eq!(scene.pods(&scene.stable).await, before, "no pod was replaced");
        scene.ends_well_without_a_loss().await;
    });
}

/// Without its record a revision whose Deployment is deleted could not be made again.
#[test]
fn a_record_that_was_deleted_is_made_again_from_what_runs() {
    run(async {
        let scene = Scene::new("deleted-record", "canary").await;
        let records = scene.stage.api::<ControllerRevision>();
        scene.stage.kubectl(&["delete", "controllerrevision", &scene.stable]);
        scene.is_told_repaired(&format!("ControllerRevision {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            records.get_opt(&scene.stable).await.unwrap().map(drop).ok_or(())
        })
        .await;
        let before = scene.pods(&scene.stable).await;
        scene.stage.kubectl(&["delete", "deployment", &scene.stable, "--cascade=orphan"]);
        scene.is_told_repaired(&format!("Deployment {} was deleted", scene.stable)).await;
        until("it is there again", async || {
            let found = scene.stage.api::<Deployment>().get_opt(&scene.stable).await.unwrap();
            let ready = found.and_then(|deployment| deployment.status?.ready_replicas);
            if ready == Some(2) { Ok(()) } else { Err(ready) }
        })
        .await;
        assert_eq!(scene.pods(&scene.stable).await, before, "it runs the same");
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_selector_that_was_edited_in_a_blue_green_is_put_back() {
    run(async {
        let scene = Scene::new("edited-selector", "blue-green").await;
        let green = scene.canary.strip_prefix("edge-agent-").unwrap();
        for selector in [json!(green), json!(null)] {
            let patch = json!({"spec": {"selector": {REVISION: selector}}}).to_string();
            scene.stage.kubectl(&["patch", "service", NAME, "-p", &patch]);
            until("it is as it was", async || {
                let service = scene.stage.api::<Service>().get(NAME).await.unwrap();
                let hash = service.spec.unwrap().selector.unwrap().remove(REVISION);
                let is = hash.as_ref().is_some_and(|hash| scene.stable.ends_with(hash));
                if is { Ok(()) } else { Err(hash) }
            })
            .await;
        }
        scene.is_told_repaired("the selector of Service edge-agent").await;
        scene.ends_well_without_a_loss().await;
    });
}

#[test]
fn a_service_that_was_made_anew_in_a_blue_green_is_pinned_again() {
    run(async {
        let scene = Scene::new("new-service", "blue-green").await;
        scene.stage.kubectl(&["annotate", "service", NAME, &format!("{ROUTE}-")]);
        scene.is_told_repaired("of Service edge-agent").await;
        scene.stage.kubectl(&["delete", "service", NAME]);
        scene.is_told(("Degraded", "True", "NotFound"), "Service edge-agent").await;
        scene.stage.service().await;
        until("it is pinned", async || {
            let service = scene.stage.api::<Service>().get(NAME).await.unwrap();
            service.spec.and_then(|spec| spec.selector?.remove(REVISION)).ok_or(())
        })
        .await;
        // nobody is there while there is no Service
        assert_eq!(scene.ends_well().await.lost(), 0);
    });
}

#[test]
fn a_service_whose_own_selector_was_broken_is_told() {
    run(async {
        let scene = Scene::new("broken-selector", "canary").await;
        let select = |app: &str| {
            let patch = json!({"spec": {"selector": {"app": app}}}).to_string();
            scene.stage.kubectl(&["patch", "service", NAME, "-p", &patch]);
        };
        select("nobody");
        scene.is_told(("Degraded", "True", "TrafficFailing"), "does its selector fit").await;
        select(NAME);
        let report = scene.ends_well().await;
        assert!(report.lost() == 0 && report.refused > 0, "{report}");
    });
}

#[test]
fn a_pod_that_is_deleted_or_evicted_is_replaced_and_the_rollout_goes_on() {
    run(async {
        let scene = Scene::new("deleted-pods", "canary").await;
        let (stable, canary) = (scene.pods(&scene.stable).await, scene.pods(&scene.canary).await);
        scene.stage.kubectl(&["delete", "pod", "--wait=false", &stable[0]]);
        scene
            .stage
            .node
            .evict(&scene.stage.namespace, &canary[0], "The node was low on resource: memory.")
            .unwrap();
        until("both are replaced", async || {
            let now = [scene.pods(&scene.stable).await, scene.pods(&scene.canary).await].concat();
            let new = now.iter().filter(|pod| !stable.contains(pod) && !canary.contains(pod)).count();
            if new >= 2 { Ok(()) } else { Err(now) }
        })
        .await;
        let report = scene.ends_well().await;
        // a node that evicts does not wait for anybody's endpoints
        let by_the_evicted = report.tally(Who::Pod(&canary[0])).lost;
        assert_eq!((report.lost() - by_the_evicted, report.refused), (0, 0), "{:?}", report.losses);
    });
}
