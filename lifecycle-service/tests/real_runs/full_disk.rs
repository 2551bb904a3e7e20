//! A disk that becomes full in the middle of a rollout, and has room again later. No file may grow
//! beyond 0 bytes: every write fails, for the driver, for the proxy, and for what they start.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use super::load::Load;
use super::site::{Driver, Site};
use super::{FIRST_TRAFFIC, RATE, assert_ended, assert_nothing_lost, assert_only, sent, weight};

/// The room on the disk, for a driver and the proxy; `None` is as much as before.
fn room(site: &Site, driver: &Driver, bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    for pid in [driver.pid(), site.proxy()] {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).expect("a limit");
    }
}

fn told(line: &Value) -> Option<&str> {
    let trouble = line["name"] == "BackendTrouble";
    line["message"].as_str().filter(|message| trouble && message.contains("rollout.json"))
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_holds_the_rollout_and_loses_nothing() {
    let site = Site::new();
    assert_ended(&site.deploy(&Site::example("canary-1.4.0")).await, 0, "promoted", "1.4.0");
    let load = Load::start(site.listen, RATE);
    sent(&load, u64::from(RATE)).await;
    let mut driver = site.run(&Site::example("canary-1.5.0"));
    driver.until(FIRST_TRAFFIC.0, FIRST_TRAFFIC.1).await;

    room(&site, &driver, Some(0));
    let state_file = site.state_dir().join("rollout.json");
    driver.until("the full disk", |line| told(line).is_some()).await;
    let state = fs::read(&state_file).expect("the state");
    let (before, seen) = (load.counts(), driver.seen().len());
    sent(&load, before.sent + u64::from(RATE) * 5).await;

    let during = load.counts();
    assert!(during.of("1.4.0").all > before.of("1.4.0").all + u64::from(RATE) * 3, "{during:?}");
    assert_eq!(fs::read(&state_file).expect("the state"), state, "a state was half written");
    let (code, out, _) = site.say(&["status", "--output", "json"]);
    let status: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &status["weight"]), (Some(0), &10.into()), "{out}");

    room(&site, &driver, None);
    let ended = driver.ended().await;
    let at_end = load.counts();
    sent(&load, at_end.sent + u64::from(RATE)).await;
    let counts = load.stop().await;
    println!("{counts:?}");
    let troubles: Vec<&str> = ended.lines.iter().filter_map(told).collect();
    println!("{troubles:#?}");
    let says = format!("file save: cannot write {}: ", state_file.display());
    assert!(troubles[0].contains(&says) && !troubles[0].contains('\n'), "{troubles:?}");
    assert_eq!(troubles.len(), 1, "it is told once");
    let rose = ended.lines[seen..].iter().any(|line| weight(line) == 50);
    assert!(rose, "the rollout went on before there was room: {:#?}", ended.lines);
    assert_ended(&ended, 0, "promoted", "1.5.0");
    assert_nothing_lost(&counts);
    assert_only("1.5.0", &at_end, &counts);
    site.down();
}
