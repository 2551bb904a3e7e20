//! What a `run` says and does when it is not the first one: of what serves already, of what was rolled
//! back, while it is paused, after `down`. And what `status` says when nobody drives.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::load::Load;
use super::site::{Ended, Site};
use super::{RATE, assert_ended, assert_nothing_lost, sent};

async fn deployed() -> Site {
    let site = Site::new();
    assert_ended(&site.deploy(&Site::example("rolling-1.4.0")).await, 0, "promoted", "1.4.0");
    site
}

fn reason(ended: &Ended) -> &str {
    ended.outcome["reason"].as_str().expect("a reason")
}

fn started(ended: &Ended) -> bool {
    ended.lines.iter().any(|line| line["name"] == "RolloutStarted")
}

fn status(site: &Site) -> Value {
    let (code, out, errors) = site.say(&["status", "--output", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    serde_json::from_str(&out).expect("JSON")
}

/// Ready replicas of stable, in the text that people read.
fn row(site: &Site) -> String {
    let (_, text, _) = site.say(&["status"]);
    text.lines().nth(1).expect("a row").to_owned()
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill starts");
    assert!(killed.success(), "{pid} was not there");
}

/// The process of a replica.
fn replica(site: &Site) -> u32 {
    let ledger = std::fs::read(site.state_dir().join("processes.json")).expect("the record of processes");
    let ledger: Value = serde_json::from_slice(&ledger).expect("JSON");
    let replicas = ledger["replicas"].as_object().expect("replicas");
    let pid = replicas.values().find_map(|replica| replica["process"]["pid"].as_u64()).expect("one");
    u32::try_from(pid).expect("a pid")
}

async fn until(what: &str, is_it: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_it() {
        assert!(Instant::now() < deadline, "{what} was never seen");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn status_sees_what_has_died_while_nobody_drives() {
    let site = deployed().await;
    let whole = status(&site);
    assert_eq!((&whole["phase"], &whole["stable"]["ready"]), (&"healthy".into(), &4.into()), "{whole}");
    assert_eq!((&whole["driver"], &whole["outcome"]), (&Value::Null, &"promoted".into()), "{whole}");

    kill(replica(&site));
    until("the dead replica", || status(&site)["stable"]["ready"] == 3).await;
    assert_eq!(status(&site)["phase"], "unhealthy");
    assert!(row(&site).contains("unhealthy") && row(&site).contains("1.4.0 3/4"), "{}", row(&site));

    kill(site.proxy());
    until("the dead proxy", || status(&site)["proxy"]["answers"] == false).await;
    let proxyless = status(&site);
    assert_eq!((&proxyless["stable"]["available"], &proxyless["proxy"]["pid"]), (&0.into(), &Value::Null));

    // The next run mends it, and has nothing else to do.
    let ended = site.deploy(&Site::example("rolling-1.4.0")).await;
    assert_ended(&ended, 0, "promoted", "1.4.0");
    assert!(reason(&ended).starts_with("1.4.0 serves already"), "{}", reason(&ended));
    let mended = status(&site);
    assert_eq!((&mended["phase"], &mended["stable"]["ready"]), (&"healthy".into(), &4.into()), "{mended}");

    assert_eq!(site.say(&["down"]).0, Some(0));
    let stopped = status(&site);
    assert_eq!((&stopped["phase"], &stopped["stable"]["ready"]), (&"stopped".into(), &0.into()), "{stopped}");
    assert!(row(&site).contains("stopped") && row(&site).contains("1.4.0 0/4"), "{}", row(&site));
    site.down();
}

#[tokio::test]
async fn a_version_that_was_rolled_back_is_said_to_be_so_and_retried_by_command() {
    let site = deployed().await;
    let bad = Site::example("rolling-1.5.0-never-ready");
    assert_ended(&site.deploy(&bad).await, 1, "rolledBack", "1.4.0");
    let again = site.deploy(&bad).await;
    assert_ended(&again, 1, "rolledBack", "1.4.0");
    let says = reason(&again);
    assert!(
        says.starts_with("1.5.0 was rolled back before (") && says.contains("`lifecycle retry`"),
        "{says}"
    );
    assert!(!started(&again), "{:#?}", again.lines);

    let (_, out, _) = site.say(&["retry", "--output", "json"]);
    assert!(out.contains("RolloutStarted"), "{out}");
    let old = site.deploy(&Site::example("rolling-1.4.0")).await;
    assert_ended(&old, 0, "promoted", "1.4.0");
    assert_eq!((reason(&old), started(&old)), ("1.4.0 serves already: nothing to do", false));
    site.down();
}

#[tokio::test]
async fn a_version_that_comes_while_all_is_paused_waits_for_resume() {
    let site = deployed().await;
    assert_eq!(site.say(&["pause"]).0, Some(0));
    // Nobody asks it anything while the command that drives it keeps this thread.
    let unasked = [(r#"checks: ["error_rate < 5%", "p95_latency < 500ms"]"#, "checks: []")];
    let waits = site.deploy(&site.edited("rolling-1.5.0", &unasked)).await;
    assert_ended(&waits, 1, "paused", "1.4.0");
    assert_eq!(reason(&waits), "the command pause was given; 1.5.0 waits, `lifecycle resume` starts it");
    assert!(!started(&waits), "{:#?}", waits.lines);

    let (code, out, errors) = site.say(&["resume", "--output", "json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert_eq!(status(&site)["stable"]["version"], "1.5.0", "{out}");
    site.down();
}

#[tokio::test]
async fn after_down_what_served_serves_again_before_the_next_version_comes() {
    let site = deployed().await;
    assert_eq!(site.say(&["down"]).0, Some(0));
    let mut driver = site.run(&Site::example("rolling-1.5.0"));
    driver.until("the rollout", |line| line["name"] == "RolloutStarted").await;
    let told = driver.seen().iter().position(|line| line["name"] == "StartedAgain").expect("it was told");
    let message = driver.seen()[told]["message"].as_str().expect("a message");
    assert!(message.contains("the replicas of 1.4.0 (4) are started again first"), "{message}");

    // From the beginning of the rollout on no request is lost.
    let load = Load::start(site.listen, RATE);
    sent(&load, u64::from(RATE)).await;
    assert_ended(&driver.ended().await, 0, "promoted", "1.5.0");
    let counts = load.stop().await;
    assert_nothing_lost(&counts);
    assert!(counts.of("1.4.0").all > 0, "{counts:?}");
    site.down();
}
