//! How a rollout stands, for people and programs.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use lifecycle_core::backend::store::Record;
use lifecycle_core::machine::RouteSeen;
use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::report::{Line, LineKind, OutcomeLine, Status};
use lifecycle_core::time::{Millis, Timestamp};

use crate::output::{Color, Output};
use crate::text;

/// Writes it.
pub(super) fn write(record: &Record, listen: SocketAddr, output: Output, color: Color) -> io::Result<()> {
    let Record { state, plan, .. } = record;
    let Some(plan) = plan.as_deref().cloned().or_else(no_plan) else { return Ok(()) };
    // The weight that was acknowledged last is in the state.
    let status = Status::of(&plan, state, &RouteSeen::Unknown);
    let mut out = color.stdout();
    if output == Output::Json {
        let line = Line::new(state.clock.unwrap_or(Timestamp::ZERO), LineKind::Status(status));
        serde_json::to_writer(&mut out, &line)?;
        return writeln!(out);
    }
    text::status(&mut out, &status)?;
    let OutcomeLine { outcome, reason, .. } = OutcomeLine::of(state);
    writeln!(out, "\n  {:<12}{}: {reason}", "rollout", text::outcome_word(outcome))?;
    for known in state.revisions.iter().rev() {
        let what = match (known.promoted, known.failed) {
            (_, true) => "failed when it was rolled out last",
            (0, false) => "never promoted",
            (_, false) => "was promoted",
        };
        writeln!(out, "  {:<12}{} {what}", "revision", known.revision.version)?;
    }
    writeln!(out, "  {:<12}http://{listen}", "proxy")
}

/// For a state that no rollout was started from.
fn no_plan() -> Option<Plan> {
    PlanBuilder::new("none", Mode::Ratio).step(Hold::new(Weight::FULL, Millis::ZERO)).build().ok()
}
