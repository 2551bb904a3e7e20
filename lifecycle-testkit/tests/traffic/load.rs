//! Load that follows a Service: does it see what a user would see?

use std::time::Duration;

use kube::Client;
use lifecycle_testkit::kubernetes::load::{Load, LoadError, LoadOptions, LoadReport, Who};

use super::pods::TestPod;
use super::{SOON, cluster};

async fn load(client: &Client, options: LoadOptions) -> Load {
    Load::start(client.clone(), "default", "web", options).await.unwrap()
}

/// Waits for so many more answers of a version.
async fn answers(load: &Load, version: &str, more: u64) {
    let count = |seen: &LoadReport| seen.tally(Who::Version(version)).answers();
    let upto = count(&load.seen()) + more;
    load.until(SOON, |seen| count(seen) >= upto).await.unwrap();
}

#[tokio::test]
async fn requests_go_where_readiness_says_and_none_is_lost() {
    let (_control_plane, client) = cluster().await;
    let (old, new) = tokio::join!(
        TestPod::start(&client, "old", "1.4.0", "abc"),
        TestPod::start(&client, "new", "1.5.0", "def")
    );
    old.ready(true).await;
    let load = load(&client, LoadOptions::new(200.0).post_share(0.25)).await;
    // The EndpointSlice may be a moment behind the pod.
    answers(&load, "1.4.0", 100).await;
    let begin = load.elapsed();
    assert_eq!(new.answered(), 0, "it was not ready");

    new.ready(true).await;
    answers(&load, "1.5.0", 100).await;
    let both = load.elapsed();
    old.ready(false).await;
    let was = old.answered();
    load.until(SOON, |seen| {
        seen.share_of_last(Who::Revision("def"), Duration::from_millis(500)) == Some(1.0)
    })
    .await
    .unwrap();

    let report = load.stop().await;
    let refused = report.refused_in(begin..report.lasted);
    assert_eq!((report.lost(), refused, report.tally(Who::All).failed), (0, 0, 0), "{report}");
    assert_eq!(report.tally(Who::Version("1.4.0")), report.tally(Who::Revision("abc")));
    assert_eq!(report.tally(Who::Pod("old")).ok, old.answered(), "{report}");
    assert_eq!(report.tally(Who::Pod("new")).ok, new.answered(), "{report}");
    assert!(old.answered() - was < 100, "it was asked for long after it was no longer ready: {report}");
    let share = report.share_in(Who::Version("1.5.0"), both - Duration::from_millis(400)..both).unwrap();
    assert!((0.4..0.6).contains(&share), "in turn means half and half, not {share}: {report}");
    let first = report.first_answer(Who::Version("1.5.0")).unwrap();
    assert!(first < both && report.first_answer(Who::All).unwrap() < first, "{report}");
    let posted = (old.posted() + new.posted()) as f64 / report.tally(Who::All).sent() as f64;
    assert!((0.2..0.3).contains(&posted), "{posted}");
    assert!(old.connections() < 30, "connections are kept: {}", old.connections());
}

#[tokio::test]
async fn what_nobody_answers_is_lost_and_what_nobody_is_there_for_is_refused() {
    let (_control_plane, client) = cluster().await;
    let pod = TestPod::start(&client, "only", "1.4.0", "abc").await;
    let options = LoadOptions::new(100.0).kept_connections(0).timeout(Duration::from_secs(2));
    let load = load(&client, options).await;
    load.until(SOON, |seen| seen.refused >= 10).await.unwrap();

    pod.ready(true).await;
    answers(&load, "1.4.0", 20).await;
    pod.answer_with(503);
    load.until(SOON, |seen| seen.tally(Who::All).failed >= 10).await.unwrap();
    assert_eq!(load.seen().lost(), 0);

    pod.die().await;
    load.until(SOON, |seen| seen.lost() >= 10).await.unwrap();
    pod.ready(false).await;
    let refused = load.seen().refused;
    load.until(SOON, |seen| seen.refused >= refused + 10).await.unwrap();

    let report = load.stop().await;
    assert!(report.losses[0].why.contains("connect") && &*report.losses[0].pod == "only", "{report}");
    assert!(report.tally(Who::All).ok >= 20 && pod.connections() >= 30, "{report}");
}

#[tokio::test]
async fn a_pod_that_terminates_is_asked_only_while_there_is_no_other() {
    let (_control_plane, client) = cluster().await;
    let leaving = TestPod::start(&client, "leaving", "1.4.0", "abc").await;
    leaving.ready(true).await;
    let load = load(&client, LoadOptions::new(100.0)).await;
    answers(&load, "1.4.0", 50).await;
    let begin = load.elapsed();
    leaving.delete(300).await;
    answers(&load, "1.4.0", 100).await;

    let coming = TestPod::start(&client, "coming", "1.5.0", "def").await;
    coming.ready(true).await;
    load.until(SOON, |seen| {
        seen.share_of_last(Who::Version("1.5.0"), Duration::from_millis(500)) == Some(1.0)
    })
    .await
    .unwrap();
    let report = load.stop().await;
    assert_eq!((report.lost(), report.refused_in(begin..report.lasted)), (0, 0), "{report}");
    leaving.delete(0).await;
}

#[tokio::test]
async fn traffic_goes_on_while_the_api_server_is_away() {
    let (control_plane, client) = cluster().await;
    let pod = TestPod::start(&client, "only", "1.4.0", "abc").await;
    pod.ready(true).await;
    let load = load(&client, LoadOptions::new(100.0)).await;
    answers(&load, "1.4.0", 10).await;
    control_plane.stop_api_server().await.unwrap();
    answers(&load, "1.4.0", 100).await;
    control_plane.start_api_server().await.unwrap();
    // The watch is back when a change comes through.
    pod.ready(false).await;
    let refused = load.seen().refused;
    load.until(SOON, |seen| seen.refused > refused).await.unwrap();
    let report = load.stop().await;
    assert_eq!(report.lost(), 0, "{report}");
}

#[tokio::test]
async fn waiting_in_vain_shows_what_was_seen() {
    let (_control_plane, client) = cluster().await;
    let load = load(&client, LoadOptions::new(100.0)).await;
    let error = load.until(Duration::from_millis(300), |seen| seen.tally(Who::All).ok > 0).await.unwrap_err();
    assert!(matches!(&error, LoadError::Never { seen, .. } if seen.refused > 0), "{error}");
}
