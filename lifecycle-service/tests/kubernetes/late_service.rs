//! A Service that comes later than what it is in front of.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use lifecycle_testkit::kubernetes::load::Who;
use serde_json::json;

use crate::support::{Agent, Crew, NAME, PATIENCE, Stage, Version, run, until};

/// A replica takes two seconds to get ready: a rolling update of four lasts long enough.
fn slow(version: &'static str) -> Version {
    Version::new("rolling", version).unchecked().env("READY_AFTER", "2s")
}

#[test]
fn a_service_that_is_made_in_the_middle_of_a_rolling_update_is_taken_up() {
    run(async {
        let stage = Stage::new("late-service").await;
        let crew = Crew::steady(&stage).await;
        stage.deploy(&slow("1.4.0")).await;
        stage.apply(&slow("1.5.0").manifest());
        let both = |agent: &Agent| {
            let stable = agent.status.stable.as_ref().map_or(0, |stable| stable.ready);
            (1..=2).contains(&agent.ready_canaries()) && stable >= 2
        };
        stage.until("both serve", both).await;

        stage.service().await;
        let load = stage.load(100.0).await;
        load.until(PATIENCE, |seen| seen.tally(Who::All).ok > 20).await.unwrap();
        let since = load.elapsed();
        stage.until_serving("1.5.0", 4).await;
        load.until(PATIENCE, |seen| seen.tally(Who::Version("1.5.0")).ok > 50).await.unwrap();
        let report = load.stop().await;
        let refused = report.refused_in(since..report.lasted);
        assert_eq!((report.lost(), refused), (0, 0), "{report}; {}", crew.log().await);
        assert!(report.tally(Who::Version("1.4.0")).ok > 0, "{report}");
        let service = until("its route", async || {
            let service = stage.api::<Service>().get(NAME).await.unwrap();
            if service.annotations().contains_key("enis.andaon.com/route") {
                Ok(service)
            } else {
                Err(service)
            }
        })
        .await;
        assert_eq!(json!(service.spec.unwrap().selector), json!({"app": NAME}), "it stays the user's own");
        crew.made(2).await;
    });
}
