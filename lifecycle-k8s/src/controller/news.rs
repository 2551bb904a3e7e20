//! Decisions and problems as Kubernetes Events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use lifecycle_core::machine::{Event as Decision, EventKind};

use super::Problem;
use crate::crd::AgentDeployment;

/// What the API accepts of a note, and of an action.
const MAX_NOTE: usize = 1024;
const MAX_ACTION: usize = 128;

/// Tells what was decided, as far as people look for it there. What led to a promotion is told with it. An Event
/// that cannot be written is logged: no rollout waits for it.
pub(super) async fn tell(recorder: &Recorder, object: &AgentDeployment, decisions: &[Decision]) {
    let mut before = String::new();
    let told = decisions.iter().map(|decision| &decision.kind).filter(|kind| is_told(kind));
    let is_promoted = told.clone().any(|kind| matches!(kind, EventKind::Promoted { .. }));
    for kind in told {
        if is_promoted && matches!(kind, EventKind::GatePassed { .. }) {
            before = format!("{}; ", kind.message());
            continue;
        }
        let type_ = if is_warning(kind) { EventType::Warning } else { EventType::Normal };
        let note = format!("{}{} ({})", std::mem::take(&mut before), kind.message(), kind.reason());
        publish(recorder, object, type_, kind.name(), note).await;
    }
}

/// Tells of a problem.
pub(super) async fn warn(recorder: &Recorder, object: &AgentDeployment, problem: &Problem) {
    publish(recorder, object, EventType::Warning, problem.reason, problem.message.clone()).await;
}

async fn publish(
    recorder: &Recorder,
    object: &AgentDeployment,
    type_: EventType,
    reason: &str,
    note: String,
) {
    let note = cut(&note, MAX_NOTE);
    // the recorder counts Events of the same action up instead of writing new ones: two notes are two actions
    let action = cut(&note, MAX_ACTION);
    let event = Event { type_, reason: reason.to_owned(), note: Some(note), action, secondary: None };
    let reference: ObjectReference = object.object_ref(&());
    if let Err(error) = recorder.publish(&event, &reference).await {
        tracing::warn!(%error, reason, "an Event could not be written");
    }
}

/// Single moves are in the status and in the log; an Event each would hide what matters.
const fn is_told(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::StepStarted { .. }
            | EventKind::Scaled { .. }
            | EventKind::WeightSet { .. }
            | EventKind::WeightReached { .. }
            | EventKind::Measured { .. }
            | EventKind::HookStarted { .. }
            | EventKind::Alerted { .. }
            | EventKind::Retired { .. }
            | EventKind::Released { .. }
    )
}

fn is_warning(kind: &EventKind) -> bool {
    match kind {
        EventKind::GoingBack { .. }
        | EventKind::WentBack { .. }
        | EventKind::CommandRefused { .. }
        | EventKind::Stuck { .. }
        | EventKind::Trouble { .. } => true,
        EventKind::Paused { cause } => cause.is_alarming(),
        EventKind::HookEnded { passed, .. } => !passed,
        _ => false,
    }
}

fn cut(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
