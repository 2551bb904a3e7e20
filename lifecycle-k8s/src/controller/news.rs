//! Decisions and problems as Kubernetes Events.

use lifecycle_core::machine::{Event as Decision, EventKind};

use super::Problem;
use super::events::{Events, Type};
use crate::crd::AgentDeployment;

/// Tells what was decided, as far as people look for it there. What led to a promotion is told with it.
pub(super) async fn tell(events: &Events, object: &AgentDeployment, decisions: &[Decision]) {
    let mut before = String::new();
    let told = decisions.iter().map(|decision| &decision.kind).filter(|kind| is_told(kind));
    let is_promoted = told.clone().any(|kind| matches!(kind, EventKind::Promoted { .. }));
    for kind in told {
        if is_promoted && matches!(kind, EventKind::GatePassed { .. }) {
            before = format!("{}; ", kind.message());
            continue;
        }
        let type_ = if is_warning(kind) { Type::Warning } else { Type::Normal };
        let note = format!("{}{} ({})", std::mem::take(&mut before), kind.message(), kind.reason());
        events.tell(object, type_, kind.name(), &note).await;
    }
}

/// Tells of a problem.
pub(super) async fn warn(events: &Events, object: &AgentDeployment, problem: &Problem) {
    events.tell(object, Type::Warning, problem.reason, &problem.message).await;
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
        EventKind::Paused { cause, .. } => cause.is_alarming(),
        EventKind::HookEnded { passed, .. } => !passed,
        _ => false,
    }
}
