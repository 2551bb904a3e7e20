//! What people do while a rollout is on its way: commands, Ctrl-C, an edited manifest.

use std::fs;

use serde_json::Value;

use super::load::Load;
use super::site::Site;
use super::{FIRST_TRAFFIC, HALF_THE_TRAFFIC, RATE, assert_ended, assert_nothing_lost, sent};

fn event(line: &Value, name: &str) -> bool {
    line["kind"] == "event" && line["name"] == name
}

/// 1.4.0 with load on it.
async fn serving(site: &Site) -> Load {
    assert_ended(&site.deploy(&Site::example("canary-1.4.0")).await, 0, "promoted", "1.4.0");
    let load = Load::start(site.listen, RATE);
    sent(&load, u64::from(RATE)).await;
    load
}

#[tokio::test]
async fn commands_reach_a_rollout_on_its_way() {
    let site = Site::new();
    let load = serving(&site).await;
    let mut driver = site.run(&Site::example("canary-1.5.0"));
    driver.until(FIRST_TRAFFIC.0, FIRST_TRAFFIC.1).await;

    let (code, out, err) = site.say(&["pause"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "done: pause\n", ""));
    driver.until("the pause", |line| line["phase"] == "paused").await;
    let (code, out, _) = site.say(&["status", "--output", "json"]);
    let status: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &status["phase"], &status["weight"]), (Some(0), &"paused".into(), &10.into()), "{out}");

    assert_eq!(site.say(&["resume"]).0, Some(0));
    let (code, _, err) = site.say(&["resume"]);
    assert_eq!((code, err.as_str()), (Some(1), "error: resume was refused: the rollout is not paused\n"));
    assert_eq!(site.say(&["scale", "5"]).0, Some(0));
    driver.until("five replicas", |line| line["stable"]["ready"] == 5).await;
    assert_eq!(site.say(&["promote", "--full"]).0, Some(0));
    assert_ended(&driver.ended().await, 0, "promoted", "1.5.0");

    // Nobody drives it now: the command does so itself.
    let (code, out, err) = site.say(&["rollback", "--output", "json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let last: Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["kind"], &last["version"]), (&"outcome".into(), &"1.4.0".into()), "{out}");
    assert_nothing_lost(&load.stop().await);
    site.down();
}

#[tokio::test]
async fn an_interrupted_run_leaves_everything_serving_and_a_second_one_goes_on() {
    let site = Site::new();
    let load = serving(&site).await;
    let manifest = Site::example("canary-1.5.0");
    let mut driver = site.run(&manifest);
    driver.until(HALF_THE_TRAFFIC.0, HALF_THE_TRAFFIC.1).await;
    driver.interrupt();
    let ended = driver.ended().await;
    assert_ended(&ended, 130, "running", "1.4.0");

    let before = load.counts();
    sent(&load, before.sent + u64::from(RATE)).await;
    let after = load.counts();
    assert!(after.of("1.5.0").all > before.of("1.5.0").all, "its share of the traffic stays: {after:?}");
    assert_ended(&site.deploy(&manifest).await, 0, "promoted", "1.5.0");
    assert_nothing_lost(&load.stop().await);
    site.down();
}

#[tokio::test]
async fn an_edited_manifest_is_followed_and_a_wrong_edit_is_ignored() {
    let site = Site::new();
    let load = serving(&site).await;
    let manifest = site.edited("canary-1.5.0", &[]);
    let good = fs::read_to_string(&manifest).expect("a manifest");
    let mut driver = site.run(&manifest);
    driver.until(FIRST_TRAFFIC.0, FIRST_TRAFFIC.1).await;

    fs::write(&manifest, good.replace("setWeight: 50", "setWeight: 500")).expect("an edit");
    driver.until("the wrong edit", |line| event(line, "ManifestIgnored")).await;
    fs::write(&manifest, good.replace("1.5.0", "1.6.0")).expect("an edit");
    driver.until("the good edit", |line| event(line, "ManifestApplied")).await;
    let ignored = driver.seen().iter().filter(|line| event(line, "ManifestIgnored")).count();
    let problem = driver.seen().iter().find(|line| event(line, "ManifestIgnored")).expect("it was seen");
    let says =
        "spec.canary.steps[1].setWeight: 500 is not a percentage from 0 to 100; the manifest before holds";
    assert_eq!((ignored, problem["message"].as_str()), (1, Some(says)));

    assert_ended(&driver.ended().await, 0, "promoted", "1.6.0");
    let counts = load.stop().await;
    assert_nothing_lost(&counts);
    assert!(counts.of("1.5.0").all > 0 && counts.of("1.6.0").all > 0, "{counts:?}");
    site.down();
}

#[tokio::test]
async fn two_runs_of_one_state_directory_are_refused() {
    let site = Site::new();
    let load = serving(&site).await;
    let manifest = Site::example("canary-1.5.0");
    let mut driver = site.run(&manifest);
    driver.until(FIRST_TRAFFIC.0, FIRST_TRAFFIC.1).await;
    let (code, _, err) = site.say(&["run", manifest.to_str().expect("a path")]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("is in use by process") && err.trim_end().lines().count() == 1, "{err}");
    let (code, _, err) = site.say(&["down"]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(site.say(&["abort"]).0, Some(0));
    assert_ended(&driver.ended().await, 1, "aborted", "1.4.0");
    assert_nothing_lost(&load.stop().await);
    site.down();
}
