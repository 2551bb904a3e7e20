//! Each strategy, with a good and with a bad version, under load. Each scenario is played with an operator that lasts,
//! here, and with operators that are killed in its middle, in `crashes`.

use std::time::Duration;

use lifecycle_testkit::kubernetes::load::{Load, LoadReport, Who};
use serde_json::json;

use crate::support::{Agent, Crew, Cue, PATIENCE, Stage, Version, healthy, rolled_back, run};

/// Under load, with 1.4.0 in service: the load, and since when it is.
async fn serving(stage: &Stage, version: &Version) -> (Load, Duration) {
    let load = stage.load(100.0).await;
    stage.deploy(version).await;
    load.until(PATIENCE, |seen| seen.tally(Who::Version("1.4.0")).ok > 100).await.unwrap();
    let since = load.elapsed();
    (load, since)
}

/// Every request was answered since then.
async fn without_a_loss(load: Load, since: Duration, crew: &Crew) -> LoadReport {
    let report = load.stop().await;
    let refused = report.refused_in(since..report.lasted);
    assert_eq!((report.lost(), refused), (0, 0), "{report}; {}", crew.log().await);
    assert_eq!(report.tally(Who::Version("1.4.0")).failed, 0, "stable makes no errors");
    report
}

pub(crate) async fn good_canary(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("canary", "1.4.0")).await;

    crew.kill_at([Cue::save(), Cue::seen("the second step", |agent| agent.status.step == 2), Cue::save()]);
    stage.apply(&Version::new("canary", "1.5.0").manifest());
    let steps = stage.until("the second step", |agent| agent.status.step == 2).await;
    assert_eq!((steps.status.steps, steps.stable(), steps.canary()), (3, Some("1.4.0"), Some("1.5.0")));
    assert_eq!(steps.phase(), "deploying");
    crew.survived().await;
    stage.until_serving("1.5.0", 4).await;
    crew.made(2).await;
    crew.until_shown(
        &healthy("1.5.0", 4, 3),
        "Normal RolloutStarted: first deployment of 1.4.0 (canary) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: error_rate < 5%; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: canary rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Normal GatePassed: step 1 of 3 passed: error_rate < 5% (GatePassed)
        Normal GatePassed: step 2 of 3 passed: error_rate < 5% (GatePassed)
        Normal Promoted: step 3 of 3 passed: error_rate < 5%; 1.5.0 is stable (Promoted)",
    )
    .await;

    // its own, and the first deployment before it
    let promoted = "\nlifecycle_rollout_outcomes_total{outcome=\"promoted\"} 2\n";
    assert!(crew.metrics().await.is_none_or(|metrics| metrics.contains(promoted)));

    let report = without_a_loss(load, since, &crew).await;
    let during = report.tally_in(Who::All, since..report.lasted);
    assert!(during.ok > 500 && during.failed == 0, "{during:?}");
}

#[test]
fn a_good_canary_is_promoted_and_no_request_is_lost() {
    run(async {
        let stage = Stage::new("canary-good").await;
        good_canary(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn bad_canary(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("canary", "1.4.0")).await;

    crew.kill_at([
        Cue::save(),
        Cue::seen("1.5.0 serves", |agent| agent.ready_canaries() > 0),
        Cue::seen("the way back", |agent| agent.goes_back()),
        Cue::save(),
    ]);
    stage.apply(&Version::new("canary", "1.5.0").env("ERROR_RATE", "20%").manifest());
    crew.survived().await;
    stage.until("the rollback", |agent| agent.went_back_to("1.4.0", 4)).await;
    crew.made(2).await;
    let why = "error_rate ...% is not < 5% (... of ... requests)";
    crew.until_shown(
        &rolled_back(3, ("CheckFailed", why)),
        "Normal RolloutStarted: first deployment of 1.4.0 (canary) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: error_rate < 5%; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: canary rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Warning GoingBack: error_rate ...% is not < 5% (... of ... requests); from 25% back to stable (CheckFailed)
        Warning WentBack: 1.4.0 serves all traffic again: error_rate ...% is not < 5% (... of ... requests) (CheckFailed)",
    )
    .await;

    let report = without_a_loss(load, since, &crew).await;
    let bad = Who::Version("1.5.0");
    println!("the bad canary served from {:?} to {:?}", report.first_answer(bad), report.last_answer(bad));
    assert!(report.tally(bad).failed > 0, "it served, and badly");
}

#[test]
fn a_canary_with_errors_is_rolled_back_by_its_check() {
    run(async {
        let stage = Stage::new("canary-bad").await;
        bad_canary(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn good_rolling_update(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("rolling", "1.4.0").unchecked()).await;

    crew.kill_at([Cue::save(), Cue::seen("1.5.0 serves", |agent| agent.ready_canaries() > 0), Cue::save()]);
    stage.apply(&Version::new("rolling", "1.5.0").unchecked().manifest());
    crew.survived().await;
    stage.until_serving("1.5.0", 4).await;
    crew.made(2).await;
    crew.until_shown(
        &healthy("1.5.0", 4, 1),
        "Normal RolloutStarted: first deployment of 1.4.0 (rolling) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: rolling rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.5.0 is stable (Promoted)",
    )
    .await;

    load.until(PATIENCE, |seen| seen.tally(Who::Version("1.5.0")).ok > 50).await.unwrap();
    without_a_loss(load, since, &crew).await;
}

#[test]
fn a_good_rolling_update_is_promoted_and_no_request_is_lost() {
    run(async {
        let stage = Stage::new("rolling-good").await;
        good_rolling_update(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn unready_rolling_update(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("rolling", "1.4.0").unchecked()).await;

    let asked_for = |agent: &Agent| agent.status.canary.as_ref().is_some_and(|canary| canary.replicas > 0);
    crew.kill_at([
        Cue::save(),
        Cue::seen("a replica of 1.5.0 is asked for", asked_for),
        Cue::seen("the way back", |agent| agent.goes_back()),
        Cue::save(),
    ]);
    stage.apply(&Version::new("rolling", "1.5.0").unchecked().env("READY_AFTER", "never").manifest());
    crew.survived().await;
    stage.until("the rollback", |agent| agent.went_back_to("1.4.0", 4)).await;
    crew.made(2).await;
    let why = "a new replica failed its readiness verdict ... times";
    crew.until_shown(
        &rolled_back(1, ("ReadinessFailed", why)),
        "Normal RolloutStarted: first deployment of 1.4.0 (rolling) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: rolling rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Warning GoingBack: a new replica failed its readiness verdict ... times; from 0% back to stable (ReadinessFailed)
        Warning WentBack: 1.4.0 serves all traffic again: a new replica failed its readiness verdict ... times (ReadinessFailed)",
    )
    .await;

    let report = without_a_loss(load, since, &crew).await;
    assert_eq!(report.tally(Who::Version("1.5.0")).answers(), 0, "it was never ready");
}

#[test]
fn a_rolling_update_that_never_gets_ready_goes_back() {
    run(async {
        let stage = Stage::new("rolling-unready").await;
        unready_rolling_update(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn bad_blue_green(stage: &Stage, crew: Crew) {
    stage.service().await;
    let version = |name| Version::new("blue-green", name).checks(json!(["error_rate < 5%"]));
    let (load, since) = serving(stage, &version("1.4.0")).await;

    crew.kill_at([
        Cue::save(),
        Cue::seen("the switch", |agent| agent.status.weight == 100),
        Cue::seen("the way back", |agent| agent.goes_back()),
        Cue::save(),
    ]);
    stage.apply(&version("1.5.0").env("ERROR_RATE", "30%").manifest());
    let switched = stage.until("the switch", |agent| agent.status.weight == 100).await;
    assert_eq!((switched.stable(), switched.canary()), (Some("1.4.0"), Some("1.5.0")));
    crew.survived().await;
    stage.until("the rollback", |agent| agent.went_back_to("1.4.0", 4)).await;
    crew.made(2).await;
    let why = "error_rate ...% is not < 5% (... of ... requests)";
    crew.until_shown(
        &rolled_back(2, ("CheckFailed", why)),
        "Normal RolloutStarted: first deployment of 1.4.0 (blue-green) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: error_rate < 5%; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: blue-green rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Normal GatePassed: step 1 of 2 passed: ready for ... (GatePassed)
        Warning GoingBack: error_rate ...% is not < 5% (... of ... requests); from 100% back to stable (CheckFailed)
        Warning WentBack: 1.4.0 serves all traffic again: error_rate ...% is not < 5% (... of ... requests) (CheckFailed)",
    )
    .await;

    load.until(PATIENCE, |seen| {
        seen.share_of_last(Who::Version("1.4.0"), Duration::from_secs(1)) == Some(1.0)
    })
    .await
    .unwrap();
    let report = without_a_loss(load, since, &crew).await;
    assert!(report.tally(Who::Version("1.5.0")).failed > 0, "it served, and badly");
}

#[test]
fn a_blue_green_that_turns_bad_after_the_switch_is_switched_back() {
    run(async {
        let stage = Stage::new("blue-green-bad").await;
        bad_blue_green(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn good_blue_green(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("blue-green", "1.4.0").unchecked()).await;

    crew.kill_at([Cue::save(), Cue::seen("the switch", |agent| agent.status.weight == 100), Cue::save()]);
    stage.apply(&Version::new("blue-green", "1.5.0").unchecked().manifest());
    crew.survived().await;
    // blue is scaled down
    stage.until_serving("1.5.0", 4).await;
    crew.made(2).await;
    crew.until_shown(
        &healthy("1.5.0", 4, 2),
        "Normal RolloutStarted: first deployment of 1.4.0 (blue-green) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: blue-green rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Normal GatePassed: step 1 of 2 passed: ready for ... (GatePassed)
        Normal Promoted: step 2 of 2 passed: ready for ...; 1.5.0 is stable (Promoted)",
    )
    .await;

    load.until(PATIENCE, |seen| seen.tally(Who::Version("1.5.0")).ok > 50).await.unwrap();
    without_a_loss(load, since, &crew).await;
}

#[test]
fn a_blue_green_is_promoted_and_the_old_revision_is_scaled_down() {
    run(async {
        let stage = Stage::new("blue-green-good").await;
        good_blue_green(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn good_recreate(stage: &Stage, crew: Crew) {
    stage.service().await;
    let (load, since) = serving(stage, &Version::new("recreate", "1.4.0").unchecked()).await;

    crew.kill_at([Cue::save(), Cue::save()]);
    stage.apply(&Version::new("recreate", "1.5.0").unchecked().manifest());
    crew.survived().await;
    stage.until_serving("1.5.0", 4).await;
    crew.made(2).await;
    crew.until_shown(
        &healthy("1.5.0", 4, 1),
        "Normal RolloutStarted: first deployment of 1.4.0 (recreate) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.0 is stable (Promoted)
        Normal RolloutStarted: recreate rollout from 1.4.0 to 1.5.0 (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.5.0 is stable (Promoted)",
    )
    .await;

    load.until(PATIENCE, |seen| seen.tally(Who::Version("1.5.0")).ok > 50).await.unwrap();
    let report = load.stop().await;
    let last_old = report.last_answer(Who::Version("1.4.0")).unwrap();
    let first_new = report.first_answer(Who::Version("1.5.0")).unwrap();
    assert!(last_old < first_new, "1.4.0 answered until {last_old:?}, 1.5.0 from {first_new:?}");
    assert!(report.refused_in(since..report.lasted) > 0, "there is downtime between the two");
}

#[test]
fn recreate_never_runs_two_versions_at_once() {
    run(async {
        let stage = Stage::new("recreate").await;
        good_recreate(&stage, Crew::steady(&stage).await).await;
    });
}

pub(crate) async fn first_deployments(stage: &Stage, crew: Crew) {
    stage.service().await;
    crew.kill_at([Cue::save(), Cue::save()]);
    stage.apply(&Version::new("rolling", "1.4.0").unchecked().env("READY_AFTER", "never").manifest());
    crew.survived().await;
    let agent = stage.until("the failure", Agent::failed_whole).await;
    assert_eq!((agent.stable(), agent.condition("Degraded")), (None, ("True", "Failed")), "{agent:?}");

    // the next version is not held back by it
    crew.kill_at([Cue::save(), Cue::seen("1.4.1 serves", |agent| agent.ready_canaries() > 0)]);
    // the window is longer than numbers take to be written
    let window = json!({"analysis": {"window": "12s"}});
    stage.apply(&Version::new("rolling", "1.4.1").unchecked().with(window).manifest());
    crew.survived().await;
    stage.until_serving("1.4.1", 4).await;
    crew.made(2).await;
    crew.until_shown(
        &healthy("1.4.1", 4, 1),
        "Normal RolloutStarted: first deployment of 1.4.0 (rolling) (RolloutStarted)
        Warning GoingBack: a new replica failed its readiness verdict ... times; there is no version to go back to (ReadinessFailed)
        Warning WentBack: nothing to go back to: a new replica failed its readiness verdict ... times (ReadinessFailed)
        Normal RolloutStarted: first deployment of 1.4.1 (rolling) (RolloutStarted)
        Normal Promoted: step 1 of 1 passed: ready for ...; 1.4.1 is stable (Promoted)",
    )
    .await;
}

#[test]
fn a_first_deployment_that_fails_has_nothing_to_go_back_to() {
    run(async {
        let stage = Stage::new("first-bad").await;
        first_deployments(&stage, Crew::steady(&stage).await).await;
    });
}
