//! What is asked of the API server, and when nothing is.

use std::time::Duration;

use lifecycle_testkit::kubernetes::control_plane::{ApiRequest, counts};

use crate::support::{Stage, Version, run};

/// A minute: the claim is that nothing happens in it.
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn after_a_rollout_has_settled_nothing_is_asked_for_a_minute() {
    run(async {
        let stage = Stage::new("quiet").await;
        stage.service().await;
        let _operator = stage.operator().await;
        stage.deploy(&Version::new("canary", "1.4.0").unchecked().replicas(2)).await;
        let moment = stage.control_plane.moment().unwrap();
        stage.apply(&Version::new("canary", "1.5.0").unchecked().replicas(2).manifest());
        stage.until_healthy("1.5.0").await;
        stage.until("the old revision is gone", |agent| agent.status.current_replicas == 2).await;
        // what is written late is written within 2 s
        tokio::time::sleep(Duration::from_secs(4)).await;
        let requests = stage.asked_or_watched(&moment).await;
        println!("a canary of three steps and two replicas: {} requests", requests.len());
        for ((_, verb, resource), n) in counts(&requests) {
            println!("  {n} {verb} {resource}");
            // what has to be written: each size, each decision, what people are told; and, while a rollout moves, its
            // numbers every 3 s
            let most = match (verb, resource) {
                ("create", "controllerrevisions" | "deployments") => 1,
                ("patch", "deployments") => 3,
                ("create", "events") => 4,
                ("patch", "agentdeployments/status") => 9,
                _ => 0,
            };
            assert!(n <= most, "{n} {verb} {resource}, and {most} are expected: {requests:#?}");
        }
        // the edit of the spec was seen before the first save: nothing is refused, read again and written twice
        let ours: Vec<_> = requests.iter().filter(|r| r.resource.starts_with("agentdeployments")).collect();
        let in_vain = ours.iter().filter(|r| r.code >= 400 || r.verb == "get");
        assert_eq!(in_vain.count(), 0, "{ours:?}");

        let settled = stage.control_plane.moment().unwrap();
        tokio::time::sleep(MINUTE).await;
        let mut requests = stage.asked_or_watched(&settled).await;
        assert!(!requests.iter().any(ApiRequest::is_list), "{requests:?}");
        requests.retain(|request| !request.is_watch());
        assert_eq!(requests, []);
    });
}
