//! What somebody else did to what is ours: it is put back, and told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifecycle_core::backend::{BackendError, Token};
use lifecycle_core::machine::State;

use super::Problem;
use super::target::Target;
use crate::look::DeploymentSeen;
use crate::names;

/// Putting back takes moments; it is shown for so long, because a person looks later.
const SHOWN_FOR: Duration = Duration::from_secs(10);

/// What was put back last.
#[derive(Debug, Default)]
pub(super) struct Damage {
    last: Option<(Instant, Problem)>,
}

impl Damage {
    /// Remembers what was put back.
    pub(super) fn remember(&mut self, problems: &[Problem]) {
        let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
        if !messages.is_empty() {
            self.last = Some((Instant::now(), Problem::repaired(messages.join("; "))));
        }
    }

    /// What is still to be shown.
    pub(super) fn shown(&self) -> Option<&Problem> {
        let (since, problem) = self.last.as_ref()?;
        (since.elapsed() < SHOWN_FOR).then_some(problem)
    }

    /// For how long.
    pub(super) fn left(&self) -> Option<Duration> {
        let (since, _) = self.last.as_ref()?;
        Some(SHOWN_FOR.saturating_sub(since.elapsed())).filter(|left| !left.is_zero())
    }
}

/// Sizes that were changed and Deployments that were deleted since the machine looked last. It puts them back by
/// itself, as soon as that is safe.
pub(super) fn sizes(target: &Target) -> Vec<Problem> {
    let Some(state) = target.state() else { return Vec::new() };
    changed_sizes(&target.rollout.owner.name, state, &target.rollout.workload.deployments())
}

fn changed_sizes(name: &str, state: &State, deployments: &[Arc<DeploymentSeen>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for group in &state.groups {
        let Some(revision) = state.revision(group.revision) else { continue };
        let child = names::child(name, &revision.hash);
        let message = match deployments.iter().find(|seen| seen.revision.hash == revision.hash) {
            // one token is one size
            Some(seen) if seen.token == group.token && seen.replicas != group.wish => {
                let (some, wish) = (seen.replicas, group.wish);
                format!("Deployment {child} was resized to {some} by somebody else; it is to have {wish}")
            }
            None if group.wish > 0 && group.acked > Token::default() => {
                format!("Deployment {child} was deleted by somebody else; it is made again")
            }
            _ => continue,
        };
        problems.push(Problem::repaired(message));
    }
    problems
}

/// Puts back what the machine does not know of: templates, records, the route of the Service. Answers with what was
/// done, and with what could not be.
pub(super) async fn repair(target: &Target) -> (Vec<Problem>, Vec<BackendError>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    match target.rollout.workload.repair().await {
        Ok(repaired) => done.extend(repaired),
        Err(error) => failed.push(error),
    }
    if let Some(router) = &target.rollout.router {
        match router.repair().await {
            Ok(repaired) => done.extend(repaired),
            Err(error) => failed.push(error),
        }
    }
    (done.into_iter().map(Problem::repaired).collect(), failed)
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, Version};
    use serde_json::json;

    use super::*;

    /// Three replicas were asked for with token 9, and seen.
    fn state() -> State {
        let mut state = serde_json::to_value(State::serving(Version::new(1, 5, 0), "abc", 3)).unwrap();
        state["groups"] = json!([{"revision": 1, "wish": 3, "token": 9, "acked": 9, "low": 3, "high": 3}]);
        serde_json::from_value(state).unwrap()
    }

    fn deployment(replicas: u32, token: u64) -> Arc<DeploymentSeen> {
        let revision = Revision::new(RevisionNumber(1), "abc", Version::new(1, 5, 0));
        let object = serde_json::from_value(json!({
            "metadata": {
                "name": "a-abc", "uid": "u1", "resourceVersion": "7",
                "labels": {names::AGENT: "a", names::REVISION: &*revision.hash},
                "annotations": {
                    names::VERSION_ANNOTATION: "1.5.0", names::NUMBER_ANNOTATION: "1", names::TOKEN: token.to_string(),
                },
            },
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
        }));
        Arc::new(DeploymentSeen::of(&object.unwrap()).unwrap())
    }

    fn told(deployments: &[Arc<DeploymentSeen>]) -> Vec<String> {
        changed_sizes("a", &state(), deployments).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn a_size_that_was_not_asked_for_is_told() {
        assert_eq!(told(&[deployment(3, 9)]), [""; 0]);
        assert_eq!(
            told(&[deployment(1, 9)]),
            ["Deployment a-abc was resized to 1 by somebody else; it is to have 3"]
        );
    }

    #[test]
    fn a_size_that_was_asked_for_before_is_no_damage() {
        assert_eq!(told(&[deployment(1, 8)]), [""; 0]);
    }

    #[test]
    fn a_deployment_that_was_there_and_is_not_is_told() {
        assert_eq!(told(&[]), ["Deployment a-abc was deleted by somebody else; it is made again"]);
        let mut state = state();
        state.groups[0].acked = Token::default();
        assert_eq!(changed_sizes("a", &state, &[]), [], "it is being made");
    }
}
