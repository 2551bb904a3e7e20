//! The sequential judge with a real Prometheus that scrapes once a second, under real load: 300 requests a second.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::Who;
use serde_json::json;

use crate::support::{Crew, Stage, Version, run};

const RATE: f64 = 300.0;

/// With the sequential judge, a look every two seconds, and one step of a quarter of the replicas.
fn judged(version: &'static str, errors: &'static str, bake: &str) -> Version {
    Version::new("canary", version).checks(json!(["error_rate <= 1x stable"])).env("ERROR_RATE", errors).with(
        json!({
            "analysis": {"interval": "2s", "minRequests": 500, "sequential": {"alpha": 0.01}},
            "canary": {"steps": [{"setWeight": 25, "bake": bake}]},
        }),
    )
}

#[test]
fn a_canary_with_ten_times_the_errors_is_rolled_back_within_seconds() {
    run(async {
        let stage = Stage::new("judged-bad").await;
        stage.service().await;
        let crew = Crew::steady(&stage).await;
        let load = stage.load(RATE).await;
        stage.deploy(&judged("1.4.0", "0.1%", "1s")).await;

        stage.apply(&judged("1.5.0", "1%", "5m").manifest());
        let patience = Duration::from_secs(120);
        load.until(patience, |seen| seen.tally(Who::Version("1.5.0")).ok > 0).await.unwrap();
        let begun = load.elapsed();
        let left = stage.until("the decision to go back", |agent| agent.goes_back()).await;
        let took = load.elapsed() - begun;
        let why = left.says("Degraded").to_owned();
        println!("left {:.1} s after the first traffic of the canary: {why}", took.as_secs_f64());
        assert!(
            why.contains("error_rate") && why.contains("evidence") && why.contains("that fail it"),
            "{why}"
        );

        stage.until("the rollback", |agent| agent.went_back_to("1.4.0", 4)).await;
        let report = load.stop().await;
        let canary = report.tally(Who::Version("1.5.0"));
        println!("the canary failed {} of {} requests", canary.failed, canary.ok + canary.failed);
        assert!(canary.failed > 3, "{canary:?}");
        assert_eq!(report.lost(), 0, "{report}; {}", crew.log().await);
    });
}

#[test]
fn a_canary_as_bad_as_stable_is_promoted() {
    run(async {
        let stage = Stage::new("judged-as-bad").await;
        stage.service().await;
        let crew = Crew::steady(&stage).await;
        let load = stage.load(RATE).await;
        stage.deploy(&judged("1.4.0", "1.2%", "1s")).await;

        stage.apply(&judged("1.5.0", "1.2%", "30s").manifest());
        stage.until_serving("1.5.0", 4).await;
        let report = load.stop().await;
        let (old, new) = (report.tally(Who::Version("1.4.0")), report.tally(Who::Version("1.5.0")));
        assert!(old.failed > 20 && new.failed > 5, "both fail: {old:?} {new:?}");
        assert_eq!(report.lost(), 0, "{report}; {}", crew.log().await);
    });
}
