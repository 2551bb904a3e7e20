//! What the conditions say, and when they changed.

use lifecycle_core::machine::{BackReason, Outcome, PauseCause, Phase as MachinePhase, State};
use lifecycle_core::plan::{Amount, Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::time::Millis;
use serde_json::json;

use super::*;
use crate::names::condition::{self, ACCEPTED, AVAILABLE, DEGRADED, PAUSED, PROGRESSING, READY};

#[test]
fn conditions_say_why() {
    let failed = BackReason::CheckFailed("error_rate 20% of 100 requests, above 1%".into());
    let paused = |cause| with(rollout(MachinePhase::Progressing), |state| state.paused = Some(cause));
    let troubled =
        with(rollout(MachinePhase::Progressing), |state| state.trouble = Some("ErrImagePull".into()));
    for (what, state, wanted) in [
        (
            "nothing",
            State::default(),
            [
                "False Pending",
                "True Accepted",
                "False ReplicasUnavailable",
                "False Pending",
                "False AsExpected",
            ],
        ),
        (
            "at rest",
            at_rest(3, 0),
            [
                "True Serving",
                "True Accepted",
                "True ReplicasAvailable",
                "False NothingToDo",
                "False AsExpected",
            ],
        ),
        (
            "a replica fails",
            at_rest(2, 3),
            [
                "False ReplicasNotReady",
                "True Accepted",
                "False ReplicasUnavailable",
                "False NothingToDo",
                "True ReplicasNotReady",
            ],
        ),
        (
            "on its way",
            rollout(MachinePhase::Progressing),
            [
                "False Deploying",
                "True Accepted",
                "True ReplicasAvailable",
                "True Deploying",
                "False AsExpected",
            ],
        ),
        (
            "an image cannot be pulled",
            troubled,
            [
                "False Deploying",
                "True Accepted",
                "True ReplicasAvailable",
                "True Deploying",
                "True ReplicasFailing",
            ],
        ),
        (
            "paused by a person",
            paused(PauseCause::Command),
            [
                "False PauseCommand",
                "True Accepted",
                "True ReplicasAvailable",
                "False PauseCommand",
                "False AsExpected",
            ],
        ),
        (
            "paused for want of data",
            paused(PauseCause::NoData),
            ["False NoData", "True Accepted", "True ReplicasAvailable", "False NoData", "True NoData"],
        ),
        (
            "failed, on its way back",
            going_back(failed),
            [
                "False CheckFailed",
                "True Accepted",
                "True ReplicasAvailable",
                "True CheckFailed",
                "True CheckFailed",
            ],
        ),
        (
            "rolled back",
            gone_back(Outcome::RolledBack),
            ["False RolledBack", "True Accepted", "True ReplicasAvailable", "False Ended", "True RolledBack"],
        ),
    ] {
        let status = shown(&state);
        let said = [READY, ACCEPTED, AVAILABLE, PROGRESSING, DEGRADED].map(|name| says(&status, name));
        assert_eq!(said, wanted, "{what}");
        let paused = if state.paused.is_some() { "True" } else { "False" };
        assert!(says(&status, PAUSED).starts_with(paused), "{what}");
    }
}

#[test]
fn a_refused_spec_is_told_and_what_serves_goes_on() {
    let state = at_rest(3, 0);
    let problem = Some((SPEC_REFUSED, "spec.analysis.checks[0]: no such metric"));
    let status = render(&AgentDeploymentStatus::default(), Seen { problem, ..Seen::of(&state) }, now(0));
    assert_eq!(status.phase.as_deref(), Some("healthy"));
    for (name, wanted) in [
        (READY, "False SpecRefused"),
        (ACCEPTED, "False SpecRefused"),
        (DEGRADED, "True SpecRefused"),
        (AVAILABLE, "True ReplicasAvailable"),
    ] {
        assert_eq!(says(&status, name), wanted);
    }
    let message = &status.conditions.iter().find(|found| found.type_ == ACCEPTED).unwrap().message;
    assert_eq!(message, "spec.analysis.checks[0]: no such metric");
}

#[test]
fn a_problem_of_the_cluster_leaves_the_spec_accepted() {
    let state = at_rest(3, 0);
    let problem = Some(("Forbidden", "deployments.apps is forbidden"));
    let status = render(&AgentDeploymentStatus::default(), Seen { problem, ..Seen::of(&state) }, now(0));
    assert_eq!(says(&status, ACCEPTED), "True Accepted");
    assert_eq!(says(&status, DEGRADED), "True Forbidden");
    assert_eq!(says(&status, READY), "False Forbidden");
}

#[test]
fn why_a_rollout_goes_back_is_told_with_what_can_be_mended() {
    let state = going_back(BackReason::ReadinessFailed { attempts: 3, trouble: None });
    let problem = Some(("ReplicasFailing", "the image cannot be pulled"));
    let status = render(&AgentDeploymentStatus::default(), Seen { problem, ..Seen::of(&state) }, now(0));
    assert_eq!(says(&status, DEGRADED), "True ReadinessFailed");
    let degraded = status.conditions.iter().find(|found| found.type_ == DEGRADED).unwrap();
    assert!(degraded.message.ends_with("; the image cannot be pulled"), "{}", degraded.message);
}

#[test]
fn availability_is_what_the_plan_asks_for_of_the_revisions_with_traffic() {
    let plan = |unavailable: &str| {
        let unavailable = unavailable.parse().unwrap();
        PlanBuilder::new("rolling", Mode::Ratio)
            .limits(Amount::Replicas(1), unavailable)
            .step(Hold::new(Weight::FULL, Millis::from_secs(60)))
            .build()
            .unwrap()
    };
    let available = |state: &State, plan: &Plan| {
        let seen = Seen { plan: Some(plan), ..Seen::of(state) };
        says(&render(&AgentDeploymentStatus::default(), seen, now(0)), AVAILABLE).starts_with("True")
    };
    let two_of_three = with(rollout(MachinePhase::Progressing), |state| {
        state.groups = vec![group(STABLE, 2, 1, 0), group(CANARY, 1, 1, 0)];
    });
    assert!(available(&two_of_three, &plan("1")));
    assert!(!available(&two_of_three, &plan("0")));
    // a green set that has no traffic yet does not help
    let split = with(two_of_three, |state| {
        state.route = serde_json::from_value(json!({
            "token": 1, "acked": 1, "acknowledged": {"split": {"stable": 1, "canary": 2, "weight": 0}},
        }))
        .unwrap();
    });
    assert!(!available(&split, &plan("1")));
    let nobody = at_rest(0, 0);
    assert!(!available(&nobody, &plan("100%")), "somebody must serve");
}

#[test]
fn a_transition_has_the_time_at_which_the_answer_changed() {
    let since = |status: &AgentDeploymentStatus, name: &str| {
        let found = status.conditions.iter().find(|condition| condition.type_ == name).unwrap();
        found.last_transition_time.0.as_second() - 1_000_000_000
    };
    let first = render(&AgentDeploymentStatus::default(), Seen::of(&at_rest(3, 0)), now(0));
    let one_is_gone = at_rest(2, 0);
    let seen = Seen { generation: Some(2), ..Seen::of(&one_is_gone) };
    let second = render(&first, seen, now(10));
    assert!(second.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    assert_eq!((since(&second, AVAILABLE), since(&second, DEGRADED)), (10, 0));
    let third = render(&second, Seen::of(&at_rest(1, 0)), now(20));
    assert_eq!(since(&third, AVAILABLE), 10, "another message is no other answer");
    let fourth = render(&third, Seen::of(&at_rest(3, 0)), now(30));
    assert_eq!((since(&fourth, AVAILABLE), since(&fourth, DEGRADED)), (30, 0));
    assert!(fourth.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
}

#[test]
fn conditions_of_others_are_kept() {
    let theirs = k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
        type_: "example.com/Audited".into(),
        status: "True".into(),
        reason: "ByHand".into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: Time(now(0)),
    };
    let before = AgentDeploymentStatus { conditions: vec![theirs.clone()], ..Default::default() };
    let after = render(&before, Seen::of(&at_rest(3, 0)), now(10));
    assert_eq!(after.conditions.last(), Some(&theirs));
    assert_eq!(after.conditions.len(), condition::ALL.len() + 1);
}
