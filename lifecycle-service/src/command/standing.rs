//! How a rollout stands, for people and programs: what was recorded of it, held against what runs.

use std::io::{self, Write};

use lifecycle_core::machine::{RouteSeen, State};
use lifecycle_core::plan::{Hold, Mode, Plan, PlanBuilder, Weight};
use lifecycle_core::report::{Line, LineKind, OutcomeLine, Status};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_local::{Seen, SeenReplica};
use serde_json::json;

use crate::output::{Color, Output};
use crate::run::Standing;
use crate::text;

/// Writes it.
pub(super) fn write(standing: &Standing, now: Timestamp, output: Output, color: Color) -> io::Result<()> {
    let mut out = color.stdout();
    match output {
        Output::Text => text(&mut out, standing, now),
        Output::Json => json(&mut out, standing),
    }
}

/// What is recorded, with the replicas as they are now where nobody looks after the record.
fn looked_at(standing: &Standing) -> Option<(State, Status)> {
    let Standing { record, seen, .. } = standing;
    let plan = record.plan.as_deref().cloned().or_else(no_plan)?;
    let mut state = record.state.clone();
    if seen.supervisor.is_none() {
        let revisions = state.revisions.clone();
        for group in &mut state.groups {
            let hash = revisions.iter().find(|known| known.revision.number == group.revision);
            let Some(hash) = hash.map(|known| &known.revision.hash) else { continue };
            let of = |is: fn(&SeenReplica) -> bool| {
                let replicas = seen.replicas.iter().filter(|replica| *replica.hash == **hash && is(replica));
                u32::try_from(replicas.count()).unwrap_or(u32::MAX)
            };
            group.seen.created = of(|replica| replica.runs);
            group.seen.ready = of(|replica| replica.ready);
            group.seen.available = if seen.answers { group.seen.ready } else { 0 };
        }
    }
    // The weight that was acknowledged last is in the state.
    let status = Status::of(&plan, &state, &RouteSeen::Unknown);
    Some((state, status))
}

/// The word for what the record cannot know: that nobody drives it, and what has ended since.
fn instead(seen: &Seen, state: &State) -> Option<&'static str> {
    let is_missing = || state.groups.iter().any(|group| group.seen.ready < group.wish);
    match seen {
        Seen { supervisor: Some(_), .. } => None,
        seen if seen.is_stopped() => Some("stopped"),
        _ if state.is_active() => Some("interrupted"),
        seen if !seen.answers || is_missing() => Some("unhealthy"),
        _ => None,
    }
}

fn json(out: &mut impl Write, standing: &Standing) -> io::Result<()> {
    let Some((state, status)) = looked_at(standing) else { return Ok(()) };
    let Standing { seen, listen, .. } = standing;
    let word = instead(seen, &state);
    let line = Line::new(state.clock.unwrap_or(Timestamp::ZERO), LineKind::Status(status));
    let mut value = serde_json::to_value(&line)?;
    let OutcomeLine { outcome, reason, .. } = OutcomeLine::of(&state);
    if let Some(word) = word {
        value["phase"] = word.into();
    }
    value["outcome"] = if is_halted(outcome, word) { "interrupted" } else { outcome }.into();
    value["reason"] = reason.into();
    value["driver"] = json!(seen.supervisor.as_deref().map(|pid| pid.parse::<u32>().unwrap_or(0)));
    value["proxy"] = json!({"address": listen.to_string(), "pid": seen.proxy_pid, "answers": seen.answers});
    serde_json::to_writer(&mut *out, &value)?;
    writeln!(out)
}

/// Is this the outcome of a rollout that nobody goes on with?
fn is_halted(outcome: &str, instead: Option<&str>) -> bool {
    outcome == "running" && instead.is_some()
}

fn text(out: &mut impl Write, standing: &Standing, now: Timestamp) -> io::Result<()> {
    let Some((state, status)) = looked_at(standing) else { return Ok(()) };
    let Standing { seen, listen, .. } = standing;
    let word = instead(seen, &state);
    text::status(out, &status, word)?;
    writeln!(out)?;
    let OutcomeLine { outcome, reason, .. } = OutcomeLine::of(&state);
    let mut row = |label: &str, text: &str| writeln!(out, "  {label:<12}{text}");
    if is_halted(outcome, word) {
        row("rollout", &format!("interrupted: {reason}; `lifecycle run MANIFEST` goes on from there"))?;
    } else {
        row("rollout", &format!("{}: {reason}", text::outcome_word(outcome)))?;
    }
    for known in state.revisions.iter().rev() {
        let what = match (known.promoted, known.failed) {
            (_, true) => "failed when it was rolled out last",
            (0, false) => "never promoted",
            (_, false) => "was promoted",
        };
        row("revision", &format!("{} {what}", known.revision.version))?;
    }
    row("driven by", &driver(seen, &state, now))?;
    let takes = match seen {
        Seen { answers: true, .. } => "",
        Seen { proxy_pid: Some(_), .. } => " does not answer",
        _ => " is not there: no request is taken",
    };
    row("proxy", &format!("http://{listen}{takes}"))
}

/// Who goes on with the rollout and restarts what dies.
fn driver(seen: &Seen, state: &State, now: Timestamp) -> String {
    if let Some(pid) = &seen.supervisor {
        return format!("process {pid}");
    }
    let looked = state.clock.map(|clock| Millis::from_secs(now.since(clock).get() / 1000));
    let looked = match looked {
        Some(Millis::ZERO) => ", recorded just now".to_owned(),
        Some(ago) => format!(", recorded {ago} ago"),
        None => String::new(),
    };
    let advice = match seen.is_stopped() {
        true => "`lifecycle run MANIFEST` starts it again",
        false => "nothing that dies is restarted before the next `run`",
    };
    format!("nobody{looked}; {advice}")
}

/// For a state that no rollout was started from.
fn no_plan() -> Option<Plan> {
    PlanBuilder::new("none", Mode::Ratio).step(Hold::new(Weight::FULL, Millis::ZERO)).build().ok()
}
