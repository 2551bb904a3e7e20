//! The status that people look at, beside the record that the engine keeps in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use lifecycle_core::backend::{BackendResult, ErrorKind, News, Record};
use lifecycle_core::driver::{Driver, Tick};
use lifecycle_core::machine::{Event, EventKind, Look, State};
use lifecycle_core::plan::Plan;
use lifecycle_core::report::Status;
use lifecycle_core::time::Timestamp as At;
use serde_json::{Map, Value};

use super::Problem;
use super::command::Misunderstood;
use super::differs::{Differs, differs};
use super::target::Target;
use crate::client::Show;
use crate::crd::{AgentDeployment, AgentDeploymentStatus, CheckStatus, CommandAnswer, Decision};
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
    /// What each check said last, once one has said something.
    checks: Option<Vec<CheckStatus>>,
    /// When the step began that they are about, if this process has seen it begin.
    step_began: Option<At>,
    /// When the API server accepted a status of this process last.
    written: Option<Instant>,
    /// Had what was rendered in this tick checks? Whether it was written, the end of the tick tells.
    rendered: Option<bool>,
    /// How often in a row the API server accepted checks and did not keep them.
    unkept: u32,
}

/// After so many writes in a row that were accepted without the field its definition is older than this program, and what
/// is dropped would be written again and again.
const UNKEPT: u32 = 3;

impl Shown {
    /// A command that cannot be understood is answered too.
    pub(super) fn refuse(&mut self, command: Misunderstood) {
        self.answer = Some(CommandAnswer::refused(command.id, command.command, command.why));
    }

    /// Remembers what the checks said. A rollout that begins has checks of its own, and nobody asks for those of a version
    /// that was promoted.
    fn hear(&mut self, before: &AgentDeploymentStatus, events: &[Event], looks: &[Look]) {
        let begins_or_ends =
            |kind: &EventKind| matches!(kind, EventKind::Started { .. } | EventKind::Promoted { .. });
        if events.iter().any(|event| begins_or_ends(&event.kind)) {
            self.checks = Some(Vec::new());
        }
        let begins_step = |event: &&Event| matches!(event.kind, EventKind::StepStarted { .. });
        if let Some(event) = events.iter().rfind(begins_step) {
            self.step_began = Some(event.at);
        }
        if !looks.is_empty() {
            let known = self.checks.as_deref().unwrap_or(&before.checks);
            self.checks = Some(status::checks(known, looks, self.step_began));
        }
    }

    /// A tick begins: what an earlier one has rendered was written by then, or it failed.
    pub(super) const fn begin_tick(&mut self) {
        self.rendered = None;
    }

    /// Remembers what became of a status, with checks or without, that the API server has accepted.
    fn accepted(&mut self, had_checks: bool, answer: &AgentDeploymentStatus, now: Instant) {
        self.written = Some(now);
        if !had_checks {
            return;
        }
        self.unkept = if answer.checks.is_empty() { self.unkept.saturating_add(1) } else { 0 };
        if self.unkept == UNKEPT {
            tracing::warn!(
                "status.checks is dropped by the API server: apply the newest definition, `lifecycle crd`"
            );
        }
    }

    /// A tick has come to its end, so what it rendered is written: this is what is there now.
    fn end_tick(&mut self, answer: &AgentDeploymentStatus) {
        if let Some(had_checks) = self.rendered.take() {
            self.accepted(had_checks, answer, Instant::now());
        }
    }

    /// What each check said last, where that is kept.
    fn checks(&self) -> Option<&[CheckStatus]> {
        self.checks.as_deref().filter(|_| self.unkept < UNKEPT)
    }
}

/// Renders the status that is written together with a record.
pub(super) fn show(owner: &Owner, shown: Arc<Mutex<Shown>>) -> Arc<Show<AgentDeployment>> {
    let selector = selector(owner);
    Arc::new(move |object: &AgentDeployment, record: &Record, news: News<'_>| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = object.status.clone().unwrap_or_default();
        let plan = record.plan.as_deref();
        shown.hear(&before, news.events, news.looks);
        let status = Some(news.status);
        let after = render(&before, &mut shown, &selector, (&record.state, plan), status, news.events);
        shown.rendered = Some(!after.checks.is_empty());
        fields(&before, &after)
    })
}

/// Numbers that only move are written together, this long after the first of them moved.
const LATER: Duration = Duration::from_millis(1500);

/// The same while a rollout is on its way: it moves them at every step, and most are written with a decision anyway.
const LATER_IN_ROLLOUT: Duration = Duration::from_secs(3);

/// What the checks say moves with every look. It is written with whatever else is written, and by itself when nothing
/// was written for this long.
const LOOKS_LATER: Duration = Duration::from_secs(30);

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
        let mut shown = target.shown();
        shown.problem = problem;
        if let Some(tick) = tick {
            shown.end_tick(before);
            shown.hear(before, &[], &tick.looks);
        }
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
    let left = match differs(before, &after) {
        Differs::Answer => Duration::ZERO,
        Differs::Numbers => {
            let since = *target.moved.get_or_insert(now);
            let later = if target.state().is_some_and(State::is_active) { LATER_IN_ROLLOUT } else { LATER };
            later.saturating_sub(now.saturating_duration_since(since))
        }
        Differs::Looks => {
            target.moved = None;
            let written = *target.shown().written.get_or_insert(now);
            LOOKS_LATER.saturating_sub(now.saturating_duration_since(written))
        }
    };
    if !left.is_zero() {
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
    let has_written = written?;
    target.moved = None;
    if has_written && let Some(object) = target.rollout.store.newest().await {
        let answer = object.status.as_ref().unwrap_or(&none);
        target.shown().accepted(!after.checks.is_empty(), answer, now);
    }
    Ok(None)
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
        checks: shown.checks(),
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

#[cfg(test)]
mod tests {
    use lifecycle_core::analysis::{Finite, Measurement};
    use lifecycle_core::machine::{Phase, RouteSeen};
    use lifecycle_core::plan::{Hold, Mode, PlanBuilder, Weight};
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{Revision, RevisionNumber, Version};

    use super::*;

    fn look(check: &str) -> Look {
        Look::new(At::ZERO, check, "said").measured(Measurement::Pass(Finite::default()), None)
    }

    fn event(kind: EventKind) -> Event {
        let begun = serde_json::json!({"at": 0, "epoch": 1, "kind": {"kind": "resumed"}});
        let mut event: Event = serde_json::from_value(begun).unwrap();
        event.kind = kind;
        event
    }

    fn names(shown: &Shown) -> Option<Vec<String>> {
        Some(shown.checks.as_ref()?.iter().map(|said| said.check.clone()).collect())
    }

    /// What is written with the record in ticks in which a check passes, of an API server that has no checks: their number.
    fn written_with_records(shown: &Arc<Mutex<Shown>>, ticks: usize, is_accepted: bool) -> Vec<usize> {
        let object = serde_json::json!({"metadata": {"name": "edge", "namespace": "shop", "uid": "u"},
            "spec": {"version": "1.5.0"}});
        let object: AgentDeployment = serde_json::from_value(object).unwrap();
        let owner = Owner::of(&object).unwrap();
        let mut state = State::serving(Version::new(1, 4, 0), "hash", 3);
        state.phase = Phase::Progressing;
        let hold = Hold::new(Weight::FULL, Millis::from_secs(60));
        let plan = PlanBuilder::new("any", Mode::Ratio).step(hold).build().unwrap();
        let status = Status::of(&plan, &state, &RouteSeen::default());
        let record = Record::new(state, None);
        let renders = show(&owner, Arc::clone(shown));
        let tick = || {
            shown.lock().unwrap().begin_tick();
            let looks = [look("a < 1")];
            let fields = renders(&object, &record, News::new(&status, &[]).looks(&looks));
            if is_accepted {
                shown.lock().unwrap().end_tick(&AgentDeploymentStatus::default());
            }
            fields.get("checks").and_then(Value::as_array).map_or(0, Vec::len)
        };
        (0..ticks).map(|_| tick()).collect()
    }

    #[test]
    fn what_the_api_server_does_not_keep_is_not_written_for_ever() {
        let shown = Arc::default();
        assert_eq!(written_with_records(&shown, 6, true), [1, 1, 1, 0, 0, 0]);

        let mut shown = Shown::default();
        for _ in 0..6 {
            let kept = AgentDeploymentStatus {
                checks: status::checks(&[], &[look("a < 1")], None),
                ..Default::default()
            };
            shown.rendered = Some(true);
            shown.end_tick(&kept);
        }
        assert_eq!(shown.unkept, 0);
    }

    #[test]
    fn a_write_that_failed_says_nothing_of_what_the_api_server_keeps() {
        let shown = Arc::default();
        assert_eq!(written_with_records(&shown, 9, false), [1; 9]);
        // two are accepted without, and an outage between them and the third
        assert_eq!(written_with_records(&shown, 2, true), [1; 2]);
        assert_eq!(written_with_records(&shown, 9, false), [1; 9]);
        assert_eq!(written_with_records(&shown, 3, true), [1, 0, 0]);
        // a tick that saves nothing has not written what one before it has failed to write
        let mut failed = Shown { rendered: Some(true), ..Shown::default() };
        failed.begin_tick();
        failed.end_tick(&AgentDeploymentStatus::default());
        assert_eq!((failed.unkept, failed.written), (0, None));
    }

    #[test]
    fn a_look_that_did_not_count_is_no_write_and_a_step_that_begins_gives_its_own_reasons() {
        let mut shown = Shown::default();
        let mut state = State::serving(Version::new(1, 4, 0), "hash", 3);
        state.phase = Phase::Progressing;
        let mut told = |before: &AgentDeploymentStatus, events: &[Event], look: Look| {
            shown.hear(before, events, &[look]);
            render(before, &mut shown, "", (&state, None), None, events)
        };
        let at = |seconds: u64| At::from_millis(seconds * 1000);
        let idle = |seconds| Look::new(at(seconds), "a < 1", "nothing new");
        let passes = |seconds| {
            Look::new(at(seconds), "a < 1", "said").measured(Measurement::Pass(Finite::default()), None)
        };
        let passed = told(&AgentDeploymentStatus::default(), &[], passes(10));
        assert_eq!(told(&passed, &[], idle(15)), passed);
        let again = told(&passed, &[], passes(20));
        assert_eq!((&*again.checks[0].verdict, &again.checks[0].since), ("Pass", &passed.checks[0].since));

        let weight = Weight::FULL;
        let mut step = event(EventKind::StepStarted { step: 2, steps: 3, weight, replicas: 3 });
        step.at = at(20);
        let next = told(&again, &[step], idle(20));
        assert_eq!((&*next.checks[0].verdict, &*next.checks[0].message), ("Uncounted", "nothing new"));
    }

    #[test]
    fn a_rollout_that_begins_has_checks_of_its_own_and_a_promoted_version_has_none() {
        let written = status::checks(&[], &[look("a < 1")], None);
        let before = AgentDeploymentStatus { checks: written, ..Default::default() };
        let mut shown = Shown::default();
        shown.hear(&before, &[event(EventKind::Resumed)], &[]);
        assert_eq!(names(&shown), None, "nothing was said: what is written stays");
        shown.hear(&before, &[], &[look("b < 1")]);
        assert_eq!(
            names(&shown).unwrap(),
            ["a < 1", "b < 1"],
            "an operator that starts knows what was written"
        );

        let revision = Revision::new(RevisionNumber(1), "hash", Version::new(1, 5, 0));
        let started =
            EventKind::Started { revision: revision.clone(), from: None, strategy: "canary".into() };
        shown.hear(&before, &[event(started)], &[look("c < 1")]);
        assert_eq!(names(&shown).unwrap(), ["c < 1"]);
        shown.hear(&before, &[event(EventKind::Promoted { revision })], &[]);
        assert_eq!(names(&shown).unwrap(), [""; 0]);
    }
}
