//! How urgent it is to write what people are shown.

use crate::crd::AgentDeploymentStatus;
use crate::names;

/// What differs, of all that does the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Differs {
    /// What somebody waits for.
    Answer,
    /// Numbers, what conditions say about them, and the verdict of a check.
    Numbers,
    /// The sentences of checks whose verdict is the same.
    Looks,
}

pub(super) fn differs(before: &AgentDeploymentStatus, after: &AgentDeploymentStatus) -> Differs {
    let verdicts = |status: &AgentDeploymentStatus| -> Vec<(String, String)> {
        status.checks.iter().map(|said| (said.check.clone(), said.verdict.clone())).collect()
    };
    if !same_answers(before, after) {
        return Differs::Answer;
    }
    let but_checks = AgentDeploymentStatus { checks: before.checks.clone(), ..after.clone() };
    if but_checks == *before && verdicts(before) == verdicts(after) {
        Differs::Looks
    } else {
        Differs::Numbers
    }
}

/// Do only numbers differ, and what conditions and checks say about them?
fn same_answers(before: &AgentDeploymentStatus, after: &AgentDeploymentStatus) -> bool {
    let answers = |status: &AgentDeploymentStatus| -> Vec<(String, String)> {
        let all = status.conditions.iter();
        let lasting =
            all.filter(|c| ![names::condition::READY, names::condition::AVAILABLE].contains(&&*c.type_));
        lasting.map(|condition| (condition.status.clone(), condition.reason.clone())).collect()
    };
    answers(before) == answers(after)
        && before.phase == after.phase
        && before.last_command == after.last_command
        && before.observed_generation == after.observed_generation
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A status in the middle of a rollout, with these fields besides.
    fn status(more: Value) -> AgentDeploymentStatus {
        let mut all = json!({
            "phase": "deploying", "currentReplicas": 5, "readyReplicas": 5, "step": 1, "steps": 3, "weight": 10,
            "conditions": [condition("Progressing", "True", "Deploying"), condition("Available", "True", "ReplicasAvailable")],
            "checks": [check("Pass", "0.1% of 500 requests")], "rollout": "{}",
        });
        for (field, value) in more.as_object().unwrap() {
            all[field] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn condition(name: &str, status: &str, reason: &str) -> Value {
        json!({"type": name, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn check(verdict: &str, message: &str) -> Value {
        json!({"check": "error_rate < 1%", "verdict": verdict, "message": message,
            "since": "2026-01-01T00:00:00Z", "at": "2026-01-01T00:00:10Z"})
    }

    #[test]
    fn the_most_urgent_of_all_that_differs_counts() {
        let looks = json!({"checks": [check("Pass", "0.2% of 1000 requests")]});
        let and = |mut one: Value, other: Value| {
            for (field, value) in other.as_object().unwrap() {
                one[field] = value.clone();
            }
            one
        };
        let available = json!({"conditions": [
            condition("Progressing", "True", "Deploying"), condition("Available", "False", "ReplicasUnavailable")]});
        let paused = json!({"conditions": [
            condition("Progressing", "False", "Approval"), condition("Available", "True", "ReplicasAvailable")]});
        for (what, change, wanted) in [
            ("another sentence", looks.clone(), Differs::Looks),
            ("another verdict", json!({"checks": [check("Waiting", "20 requests")]}), Differs::Numbers),
            ("one more check", json!({"checks": [check("Pass", "x"), check("Pass", "x")]}), Differs::Numbers),
            ("no check any more", json!({"checks": []}), Differs::Numbers),
            ("replicas", json!({"readyReplicas": 4}), Differs::Numbers),
            ("replicas and a sentence", and(json!({"readyReplicas": 4}), looks.clone()), Differs::Numbers),
            ("fewer serve", available, Differs::Numbers),
            ("it waits for a person", paused.clone(), Differs::Answer),
            ("it waits, and a sentence", and(paused, looks.clone()), Differs::Answer),
            ("the phase", json!({"phase": "unhealthy"}), Differs::Answer),
            (
                "an answer",
                json!({"lastCommand": {"id": "c1", "command": "pause", "result": "done"}}),
                Differs::Answer,
            ),
            ("another generation", and(looks, json!({"observedGeneration": 4})), Differs::Answer),
        ] {
            assert_eq!(differs(&status(json!({})), &status(change)), wanted, "{what}");
        }
    }
}
