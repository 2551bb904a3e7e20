//! The sequential judge with a real Prometheus that scrapes once a second, under real load: 300 requests a second.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::Who;
use serde_json::json;

use crate::support::{Agent, Crew, Stage, Version, run};

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

#[test]
fn what_each_check_says_is_in_the_status_while_the_rollout_goes_on() {
    run(async {
        let stage = Stage::new("judged-told").await;
        stage.service().await;
        let crew = Crew::steady(&stage).await;
        let load = stage.load(RATE).await;
        stage.deploy(&judged("1.4.0", "1.2%", "1s")).await;

        stage.apply(&judged("1.5.0", "1.2%", "1m").manifest());
        let said = |agent: &Agent, verdict: &str| {
            let said = agent.status.checks.first().filter(|said| said.verdict == verdict);
            said.filter(|_| agent.status.phase.as_deref() == Some("deploying")).cloned()
        };
        let why = stage.until("why there is no look", |agent| said(agent, "Uncounted").is_some()).await;
        println!("{}", said(&why, "Uncounted").unwrap().message);
        let passes = stage.until("what passes", |agent| said(agent, "Pass").is_some()).await;
        let moment = stage.control_plane.moment().unwrap();
        let first = said(&passes, "Pass").unwrap();
        println!("{}", serde_json::to_string_pretty(&first).unwrap());
        assert_eq!(first.check, "error_rate <= 1x stable");
        for says in ["error_rate", "requests), stable", "evidence", "that fail it"] {
            assert!(first.message.contains(says), "{says} is not in {}", first.message);
        }
        assert!(first.counted_from.as_ref().is_some_and(|from| *from < first.at), "{first:?}");

        // the same verdict, with newer numbers: by one write for all looks of half a minute
        let newer = |agent: &Agent| said(agent, "Pass").filter(|newer| newer.at > first.at);
        let later = stage.until("newer numbers", |agent| newer(agent).is_some()).await;
        let later = newer(&later).unwrap();
        let looks = (later.at.0 - first.at.0).get_seconds() / 2;
        let requests = stage.asked(&moment).await;
        let writes = requests.iter().filter(|r| r.resource == "agentdeployments/status").count();
        println!("{writes} writes of the status for {looks} looks");
        assert!(later.message != first.message && later.since == first.since, "{later:?}");
        assert!(looks >= 10 && writes <= 2, "{writes} writes for {looks} looks: {requests:#?}");

        let promoted = stage.until_serving("1.5.0", 4).await;
        assert_eq!(promoted.status.checks, []);
        assert_eq!(load.stop().await.lost(), 0, "{}", crew.log().await);
    });
}
