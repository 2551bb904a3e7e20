//! The status that people look at, beside the record that the engine keeps in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use lifecycle_core::backend::{BackendResult, ErrorKind, News, Record};
use lifecycle_core::driver::{Driver, Tick};
use lifecycle_core::machine::{Event, EventKind, State};
use lifecycle_core::plan::Plan;
use lifecycle_core::report::Status;
use serde_json::{Map, Value};

use super::Problem;
use super::command::Misunderstood;
use super::target::Target;
use crate::client::Show;
use crate::crd::{AgentDeployment, AgentDeploymentStatus, CommandAnswer, Decision};
use crate::names;
use crate::object::Owner;
use crate::status::{self, Seen};

/// What is shown and is not in the record.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Of the spec that the status is about.
    pub(super) generation: Option<i64>,
    problem: Option<Problem>,
    /// A command that could not be understood, until another one is answered.
    answer: Option<CommandAnswer>,
}

impl Shown {
    /// A command that cannot be understood is answered too.
    pub(super) fn refuse(&mut self, command: Misunderstood) {
        self.answer = Some(CommandAnswer::refused(command.id, command.command, command.why));
    }
}

/// Renders the status that is written together with a record.
pub(super) fn show(owner: &Owner, shown: Arc<Mutex<Shown>>) -> Arc<Show<AgentDeployment>> {
    let selector = selector(owner);
    Arc::new(move |object: &AgentDeployment, record: &Record, news: News<'_>| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = object.status.clone().unwrap_or_default();
        let plan = record.plan.as_deref();
        fields(
            &before,
            &render(&before, &mut shown, &selector, (&record.state, plan), Some(news.status), news.events),
        )
    })
}

/// Numbers that only move are written together, this long after the first of them moved.
const LATER: Duration = Duration::from_millis(1500);

/// The same while a rollout is on its way: it moves them at every step, and most are written with a decision anyway.
const LATER_IN_ROLLOUT: Duration = Duration::from_secs(3);

/// Writes what is shown where that is not what is there. Answers with how long something still waits to be
/// written.
pub(super) async fn write(
    target: &mut Target,
    tick: Option<&Tick>,
    problem: Option<Problem>,
) -> BackendResult<Option<Duration>> {
    let known = match target.rollout.store.newest().await {
        Some(object) => Some(object),
        None => target.rollout.store.refresh().await?,
    };
    let Some(object) = known else { return Ok(None) };
    let none = AgentDeploymentStatus::default();
    let before = object.status.as_ref().unwrap_or(&none);
    let after = {
        let mut shown = target.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.problem = problem;
        match (target.state(), &shown.problem, &before.rollout) {
            // there is a record, and it could not be read yet
            (None, Some(problem), Some(_)) => {
                let problem = (problem.reason, problem.message.as_str());
                status::render_blind(before, problem, shown.answer.clone(), Timestamp::now())
            }
            (None, None, Some(_)) => return Ok(None),
            (state, ..) => {
                let unknown = State::default();
                let state = state.unwrap_or(&unknown);
                let plan = target.rollout.driver.as_ref().map(|driver| &**driver.plan());
                let status = tick.map(|tick| &tick.status);
                render(before, &mut shown, &selector(&target.rollout.owner), (state, plan), status, &[])
            }
        }
    };
    if after == *before {
        target.moved = None;
        return Ok(None);
    }
    let now = Instant::now();
    let since = *target.moved.get_or_insert(now);
    let later = if target.state().is_some_and(State::is_active) { LATER_IN_ROLLOUT } else { LATER };
    let left = later.saturating_sub(now.saturating_duration_since(since));
    if only_moved(before, &after) && !left.is_zero() {
        return Ok(Some(left));
    }
    tracing::debug!(name = target.rollout.owner.name, ?before, ?after, "the status is written by itself");
    let about = target.rollout.driver.as_ref().and_then(Driver::version);
    let written = target.rollout.store.write_shown(&fields(before, &after), about).await;
    if written.as_ref().is_err_and(|error| error.kind == ErrorKind::Conflict)
        && let Some(driver) = &mut target.rollout.driver
    {
        // what was rendered may be of a record that is none any more
        driver.forget();
    }
    written?;
    target.moved = None;
    Ok(None)
}

/// Do only numbers differ, and what conditions say about them?
fn only_moved(before: &AgentDeploymentStatus, after: &AgentDeploymentStatus) -> bool {
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

fn selector(owner: &Owner) -> String {
    format!("{}={}", names::AGENT, owner.name)
}

fn render(
    before: &AgentDeploymentStatus,
    shown: &mut Shown,
    selector: &str,
    (state, plan): (&State, Option<&Plan>),
    status: Option<&Status>,
    events: &[Event],
) -> AgentDeploymentStatus {
    let decision = events.iter().rev().find(|event| is_decision(&event.kind)).map(decision);
    let answered = events.iter().rev().find_map(|event| answer(&event.kind));
    if answered.is_some() {
        shown.answer = None;
    }
    let answer = answered.or_else(|| shown.answer.clone());
    let seen = Seen {
        generation: shown.generation,
        state,
        plan,
        status,
        selector,
        problem: shown.problem.as_ref().map(|problem| (problem.reason, problem.message.as_str())),
        decision,
        answer,
    };
    status::render(before, seen, Timestamp::now())
}

/// Single moves are shown by their effects.
const fn is_decision(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::Scaled { .. }
            | EventKind::WeightReached { .. }
            | EventKind::Measured { .. }
            | EventKind::HookStarted { .. }
            | EventKind::Alerted { .. }
    )
}

fn decision(event: &Event) -> Decision {
    let at = i64::try_from(event.at.as_millis()).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let kind = &event.kind;
    Decision::new(
        kind.name(),
        kind.reason(),
        kind.message(),
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at.unwrap_or_default()),
    )
}

fn answer(kind: &EventKind) -> Option<CommandAnswer> {
    match kind {
        EventKind::CommandDone { id, command } => Some(CommandAnswer::done(&**id, command.to_string())),
        EventKind::CommandRefused { id, command, why } => {
            Some(CommandAnswer::refused(&**id, command.to_string(), &**why))
        }
        _ => None,
    }
}

/// The fields of a status for a merge: what is not there any more is null, and the record is not among them.
fn fields(before: &AgentDeploymentStatus, after: &AgentDeploymentStatus) -> Map<String, Value> {
    let fields_of = |status: &AgentDeploymentStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let mut fields = fields_of(after);
    for gone in fields_of(before).keys() {
        fields.entry(gone.clone()).or_insert(Value::Null);
    }
    fields.remove("rollout");
    fields
}
