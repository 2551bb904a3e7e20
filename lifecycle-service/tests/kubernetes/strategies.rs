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
