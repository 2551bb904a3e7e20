//! Each strategy, with a good and with a bad version, under load.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::Who;

use crate::support::{Stage, Version, run};

#[test]
fn a_good_canary_is_promoted_and_no_request_is_lost() {
    run(async {
        let stage = Stage::new("canary-good").await;
        stage.service().await;
        let operator = stage.operator().await;
        let load = stage.load(100.0).await;
        stage.deploy(&Version::new("canary", "1.4.0")).await;
        load.until(Duration::from_secs(10), |seen| seen.tally(Who::Version("1.4.0")).ok > 100).await.unwrap();
        let before = load.elapsed();

        stage.apply(&Version::new("canary", "1.5.0").manifest());
        let steps = stage.until("the second step", |agent| agent.status.step == 2).await;
        assert_eq!((steps.status.steps, steps.stable(), steps.canary()), (3, Some("1.4.0"), Some("1.5.0")));
        assert_eq!(steps.phase(), "deploying");
        let agent = stage.until_healthy("1.5.0").await;

        assert_eq!((agent.status.step, agent.status.weight), (0, 0));
        assert_eq!((agent.status.current_replicas, agent.status.ready_replicas), (4, 4));
        assert_eq!(agent.condition("Ready"), ("True", "Serving"));
        assert_eq!(agent.condition("Degraded").0, "False", "{agent:?}");
        for reason in ["RolloutStarted", "GatePassed", "Promoted"] {
            stage.until_told(reason, "").await;
        }
        let report = load.stop().await;
        let during = report.tally_in(Who::All, before..report.lasted);
        assert!(during.ok > 500, "{during:?}");
        assert_eq!((report.lost(), during.failed), (0, 0), "{:?}; {}", report.losses, operator.log());
    });
}

#[test]
fn a_canary_with_errors_is_rolled_back_by_its_check() {
    run(async {
        let stage = Stage::new("canary-bad").await;
        stage.service().await;
        let operator = stage.operator().await;
        let load = stage.load(100.0).await;
        stage.deploy(&Version::new("canary", "1.4.0")).await;

        stage.apply(&Version::new("canary", "1.5.0").env("ERROR_RATE", "20%").manifest());
        let agent = stage.until("the rollback", |agent| agent.phase() == "rolled_back").await;

        assert_eq!((agent.stable(), agent.canary()), (Some("1.4.0"), None));
        let (status, _) = agent.condition("Degraded");
        assert_eq!(status, "True");
        assert!(agent.says("Degraded").contains("is not < 5%"), "{agent:?}");
        stage.until_told("GoingBack", "is not < 5%").await;
        stage.until_told("WentBack", "").await;
        let report = load.stop().await;
        let (first, last) =
            (report.first_answer(Who::Version("1.5.0")), report.last_answer(Who::Version("1.5.0")));
        println!("the bad canary served from {first:?} to {last:?}");
        assert_eq!(report.lost(), 0, "{:?}; {}", report.losses, operator.log());
    });
}

#[test]
fn a_rolling_update_that_never_gets_ready_goes_back() {
    run(async {
        let stage = Stage::new("rolling-unready").await;
        stage.service().await;
        let operator = stage.operator().await;
        stage.deploy(&Version::new("rolling", "1.4.0").unchecked()).await;
        let load = stage.load(100.0).await;

        stage.apply(&Version::new("rolling", "1.5.0").unchecked().env("READY_AFTER", "never").manifest());
        let agent = stage.until("the rollback", |agent| agent.phase() == "rolled_back").await;

        assert_eq!((agent.stable(), agent.status.ready_replicas), (Some("1.4.0"), 4));
        assert_eq!(agent.condition("Available").0, "True", "{agent:?}");
        assert!(agent.says("Degraded").contains("readiness"), "{agent:?}");
        stage.until_told("GoingBack", "readiness verdict").await;
        let report = load.stop().await;
        assert_eq!((report.lost(), report.refused), (0, 0), "{:?}; {}", report.losses, operator.log());
        assert_eq!(report.tally(Who::Version("1.5.0")).answers(), 0, "it was never ready");
    });
}

#[test]
fn a_blue_green_that_turns_bad_after_the_switch_is_switched_back() {
    run(async {
        let stage = Stage::new("blue-green-bad").await;
        stage.service().await;
        let operator = stage.operator().await;
        let load = stage.load(100.0).await;
        let checks = serde_json::json!(["error_rate < 5%"]);
        stage.deploy(&Version::new("blue-green", "1.4.0").checks(checks.clone())).await;

        load.until(Duration::from_secs(10), |seen| seen.tally(Who::Version("1.4.0")).ok > 100).await.unwrap();
        let before = load.elapsed();
        let bad = Version::new("blue-green", "1.5.0").checks(checks).env("ERROR_RATE", "30%");
        stage.apply(&bad.manifest());
        let switched = stage.until("the switch", |agent| agent.status.weight == 100).await;
        assert_eq!((switched.stable(), switched.canary()), (Some("1.4.0"), Some("1.5.0")));
        let agent = stage.until("the rollback", |agent| agent.phase() == "rolled_back").await;

        assert_eq!((agent.stable(), agent.status.weight), (Some("1.4.0"), 0));
        load.until(Duration::from_secs(10), |seen| {
            seen.share_of_last(Who::Version("1.4.0"), Duration::from_secs(1)) == Some(1.0)
        })
        .await
        .unwrap();
        let report = load.stop().await;
        assert!(report.tally(Who::Version("1.5.0")).failed > 0, "it served, and badly");
        let refused = report.refused_in(before..report.lasted);
        assert_eq!((report.lost(), refused), (0, 0), "{:?}; {}", report.losses, operator.log());
    });
}

#[test]
fn a_blue_green_is_promoted_and_the_old_revision_is_scaled_down() {
    run(async {
        let stage = Stage::new("blue-green-good").await;
        stage.service().await;
        let operator = stage.operator().await;
        stage.deploy(&Version::new("blue-green", "1.4.0").unchecked()).await;
        let load = stage.load(100.0).await;

        stage.apply(&Version::new("blue-green", "1.5.0").unchecked().manifest());
        stage.until_healthy("1.5.0").await;
        let agent = stage.until("blue is scaled down", |agent| agent.status.current_replicas == 4).await;

        assert_eq!(agent.stable(), Some("1.5.0"));
        let report = load.stop().await;
        assert_eq!((report.lost(), report.refused), (0, 0), "{:?}; {}", report.losses, operator.log());
    });
}

#[test]
fn recreate_never_runs_two_versions_at_once() {
    run(async {
        let stage = Stage::new("recreate").await;
        stage.service().await;
        let _operator = stage.operator().await;
        stage.deploy(&Version::new("recreate", "1.4.0").unchecked()).await;
        let load = stage.load(100.0).await;

        stage.apply(&Version::new("recreate", "1.5.0").unchecked().manifest());
        stage.until_healthy("1.5.0").await;
        load.until(Duration::from_secs(10), |seen| seen.tally(Who::Version("1.5.0")).ok > 50).await.unwrap();

        let report = load.stop().await;
        let last_old = report.last_answer(Who::Version("1.4.0")).unwrap();
        let first_new = report.first_answer(Who::Version("1.5.0")).unwrap();
        assert!(last_old < first_new, "1.4.0 answered until {last_old:?}, 1.5.0 from {first_new:?}");
        assert!(report.refused > 0, "there is downtime between the two");
    });
}

#[test]
fn a_first_deployment_that_fails_has_nothing_to_go_back_to() {
    run(async {
        let stage = Stage::new("first-bad").await;
        stage.service().await;
        let _operator = stage.operator().await;

        stage.apply(&Version::new("rolling", "1.4.0").unchecked().env("READY_AFTER", "never").manifest());
        let agent = stage.until("the failure", |agent| agent.phase() == "unhealthy").await;

        assert_eq!((agent.stable(), agent.condition("Degraded").0), (None, "True"), "{agent:?}");
        // the next version is not held back by it
        stage.apply(&Version::new("rolling", "1.4.1").unchecked().manifest());
        stage.until_healthy("1.4.1").await;
    });
}
