//! All that people are shown at one time: every field of the status, and every Event.

use k8s_openapi::api::events::v1::Event;
use kube::Resource as _;
use kube::api::ListParams;
use serde_json::{Map, Value, json};

use super::{Agent, Crew, Stage, until};

/// Stands for any text in a line that is expected: for what was measured.
const ANY: &str = "...";

/// What is followed by a time that was measured: two that differ in it are two Events, and are shown here as one that
/// was told twice.
const READY_FOR: &str = "ready for ";

impl Crew {
    /// Waits until people are shown exactly this, a line each:
    ///
    /// - every field of the status that is not 0 or empty, as `path: value`, conditions as `Type: status Reason message`,
    ///   checks as `check: verdict message`;
    /// - every Event as `Type Reason: note`, with ` (xN)` after one that was told more than once, the oldest first.
    ///
    /// What cannot be known before is checked by itself: times, generations, the name of a revision, the record of
    /// the engine, and whose Events they are. `...` stands for any text.
    ///
    /// An operator that is killed can take an Event with it, and the next one counts anew: then there are some of
    /// these Events, and no other.
    pub(crate) async fn until_shown(&self, status: &str, events: &str) {
        let stage = self.stage();
        until("what people are shown", async || {
            let agent = Agent::new(stage.agent().await);
            let shown = (stage.shown(&agent), stage.told(&agent).await);
            let is_told = match self.is_steady() {
                true => fits(&shown.1, events),
                false => {
                    let is_known =
                        |line: &String| lines(events).any(|known| is_like(uncounted(line), uncounted(known)));
                    !shown.1.is_empty() && shown.1.iter().all(is_known)
                }
            };
            if fits(&shown.0, status) && is_told { Ok(()) } else { Err(shown) }
        })
        .await;
    }
}

/// The status once a version serves, after a rollout of so many steps that was not interrupted.
pub(crate) fn healthy(version: &str, replicas: u32, steps: u32) -> String {
    format!(
        "Ready: True Serving {version}: {replicas} replicas serve, {replicas} wanted
        Accepted: True Accepted the spec is followed
        Available: True ReplicasAvailable {replicas} replicas serve, {replicas} wanted
        Progressing: False Ended every gate of {version} passed
        Degraded: False AsExpected
        Paused: False NotPaused
        currentReplicas: {replicas}
        lastDecision.message: {version} is stable
        lastDecision.name: Promoted
        lastDecision.reason: Promoted
        phase: healthy
        readyReplicas: {replicas}
        stable.ready: {replicas}
        stable.replicas: {replicas}
        stable.version: {version}
        steps: {steps}"
    )
}

/// The status once 1.4.0 serves again with four replicas, after a rollout of so many steps was given up.
pub(crate) fn rolled_back(steps: u32, (reason, why): (&str, &str)) -> String {
    let check = if reason == "CheckFailed" { format!("check: Fail {why} in ...") } else { String::new() };
    format!(
        "Ready: False RolledBack {why}
        Accepted: True Accepted the spec is followed
        Available: True ReplicasAvailable 4 replicas serve, 4 wanted
        Progressing: False Ended {why}
        Degraded: True RolledBack {why}
        Paused: False NotPaused
        {check}
        currentReplicas: 4
        lastDecision.message: 1.4.0 serves all traffic again: {why}
        lastDecision.name: WentBack
        lastDecision.reason: {reason}
        phase: rolled_back
        readyReplicas: 4
        stable.ready: 4
        stable.replicas: 4
        stable.version: 1.4.0
        steps: {steps}"
    )
}

impl Stage {
    /// Every field of the status.
    fn shown(&self, agent: &Agent) -> Vec<String> {
        let Value::Object(mut status) = json!(agent.status) else { panic!("{agent:?}") };
        let rollout = status.remove("rollout").unwrap();
        assert!(rollout.as_str().is_some_and(|text| text.starts_with('{')), "{rollout}");
        let conditions = status.remove("conditions").unwrap();
        let conditions =
            conditions.as_array().unwrap().iter().map(|c| condition(agent, c.as_object().unwrap()));
        let mut lines: Vec<String> = conditions.collect();
        let checks = status.remove("checks").unwrap_or_default();
        lines.extend(
            checks.as_array().into_iter().flatten().map(|said| check(agent, said.as_object().unwrap())),
        );
        assert_eq!(status.remove("observedGeneration"), agent.object.metadata.generation.map(|n| json!(n)));
        assert_eq!(status.remove("selector"), Some(json!("enis.andaon.com/agent=edge-agent")));
        flatten("", &Value::Object(status), &mut lines);
        lines
    }

    /// Every Event about the object.
    async fn told(&self, agent: &Agent) -> Vec<String> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.reporting_controller.as_deref() == Some("enis.andaon.com/lifecycle"));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let mut lines: Vec<(String, i32)> = Vec::new();
        for event in &events {
            let (line, count) = told(agent, event);
            match lines.iter_mut().find(|(known, _)| *known == line && line.contains(READY_FOR)) {
                Some((_, known)) => *known += count,
                None => lines.push((line, count)),
            }
        }
        let counted = |(line, count)| if count == 1 { line } else { format!("{line} (x{count})") };
        lines.into_iter().map(counted).collect()
    }
}

fn condition(agent: &Agent, condition: &Map<String, Value>) -> String {
    let keys: Vec<&str> = condition.keys().map(String::as_str).collect();
    assert_eq!(keys, ["lastTransitionTime", "message", "observedGeneration", "reason", "status", "type"]);
    assert_eq!(condition["observedGeneration"], json!(agent.object.metadata.generation), "{condition:?}");
    lived(agent, &condition["lastTransitionTime"]);
    let text = |key: &str| condition[key].as_str().unwrap();
    format!("{}: {} {} {}", text("type"), text("status"), text("reason"), text("message"))
        .trim_end()
        .to_owned()
}

/// What a check said last.
fn check(agent: &Agent, said: &Map<String, Value>) -> String {
    for time in ["at", "countedFrom", "since"] {
        lived(agent, &said[time]);
    }
    let text = |key: &str| said[key].as_str().unwrap();
    format!("check: {} {}", text("verdict"), text("message"))
}

/// One Event, and how often it was told.
fn told(agent: &Agent, event: &Event) -> (String, i32) {
    assert_eq!(event.regarding, Some(agent.object.object_ref(&())));
    assert_eq!(event.action, event.reason);
    assert!(event.reporting_instance.as_ref().is_some_and(|name| name.starts_with("operator")), "{event:?}");
    lived(agent, &json!(event.event_time));
    let text = |field: &Option<String>| field.clone().unwrap();
    let note = match text(&event.note).split_once(READY_FOR) {
        Some((before, after)) => {
            let after = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
            format!("{before}{READY_FOR}{ANY}{after}")
        }
        None => text(&event.note),
    };
    let line = format!("{} {}: {note}", text(&event.type_), text(&event.reason));
    (line, event.series.as_ref().map_or(1, |series| series.count))
}

/// It happened since the object was made.
fn lived(agent: &Agent, time: &Value) {
    let made = json!(agent.object.metadata.creation_timestamp);
    let (made, time) = (made.as_str().unwrap(), time.as_str().unwrap());
    assert!(time >= made.trim_end_matches('Z'), "{time} is before {made}");
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, lines);
            }
        }
        Value::String(text) if path.ends_with(".revision") => assert_eq!(text.len(), 10, "{path}: {text}"),
        Value::String(text) if path.ends_with(".at") => assert!(text.ends_with('Z'), "{path}: {text}"),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => lines.push(format!("{path}: {text}")),
        Value::Number(number) if number.as_i64() == Some(0) => {}
        other => lines.push(format!("{path}: {other}")),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Without how often it was told.
fn uncounted(line: &str) -> &str {
    line.rsplit_once(" (x").map_or(line, |(line, _)| line)
}

fn fits(shown: &[String], expected: &str) -> bool {
    let expected: Vec<&str> = lines(expected).collect();
    shown.len() == expected.len()
        && shown.iter().zip(expected).all(|(shown, expected)| is_like(shown, expected))
}

fn is_like(shown: &str, expected: &str) -> bool {
    let Some((before, after)) = expected.split_once(ANY) else { return shown == expected };
    let Some(rest) = shown.strip_prefix(before) else { return false };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| is_like(&rest[at..], after))
}

#[test]
fn a_line_fits_where_all_but_the_dots_is_the_same() {
    assert!(is_like("a 5.2% b 7 c", "a ... b ... c") && is_like("same", "same") && is_like("", "..."));
    assert!(!is_like("a 5.2% b", "a ... c") && !is_like("same", "sam") && !is_like("sam", "same"));
    assert!(fits(&["one".into(), "two".into()], "  one\n\n two ") && !fits(&["one".into()], "one\ntwo"));
}
