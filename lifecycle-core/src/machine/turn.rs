//! One step in the making: the state so far, and what was decided.

use std::sync::Arc;

use super::event::{Event, EventKind, PauseCause};
use super::io::{Action, Desired, Observation, RouteSeen};
use super::look::Look;
use super::state::{Group, Known, State};
use crate::backend::{Alert, AlertKind, EffectKey, Severity, Token};
use crate::plan::{Hold, Mode, Plan, Weight};
use crate::time::{Millis, Timestamp};
use crate::version::{Revision, RevisionNumber};

/// A wish that is not acknowledged is sent again after this long. Short enough that a lost write
/// costs little, long enough that an ordinary acknowledgement comes first.
pub(super) const RESEND: Millis = Millis(2000);

/// Between two questions how a hook goes.
pub(super) const HOOK_POLL: Millis = Millis(1000);

/// The longest the machine lets time pass unseen while it counts a span.
const HEARTBEAT: Millis = Millis::from_secs(60);

/// The clocks in the state are saved at least this often while a rollout is on its way: a crash
/// costs a bake at most this much.
const SAVE_CLOCKS: Millis = Millis::from_secs(60);

/// The same while a revision is only kept, for a day unless written: a crash keeps it for an hour more at most.
const SAVE_IDLE_CLOCKS: Millis = Millis::from_secs(3600);

/// Undelivered alerts that are kept; the oldest goes first.
const MAX_ALERTS: usize = 4;

pub(super) struct Turn<'a> {
    pub(super) plan: &'a Plan,
    pub(super) seen: &'a Observation,
    pub(super) now: Timestamp,
    /// Time that counts since the step before.
    pub(super) dt: Millis,
    pub(super) state: State,
    pub(super) actions: Vec<Action>,
    pub(super) events: Vec<Event>,
    /// What each look says, where somebody wants to be told.
    pub(super) looks: Option<Vec<Look>>,
    wait: Option<Millis>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(plan: &'a Plan, state: &State, now: Timestamp, seen: &'a Observation) -> Self {
        let dt = elapsed(plan, state, now);
        let mut state = state.clone();
        state.clock = Some(now);
        state.unsaved += dt;
        Self { plan, seen, now, dt, state, actions: Vec::new(), events: Vec::new(), looks: None, wait: None }
    }

    /// Tells what each look says.
    pub(super) fn explained(self) -> Self {
        Self { looks: Some(Vec::new()), ..self }
    }

    pub(super) fn tell(&mut self, kind: EventKind) {
        self.events.push(Event { at: self.now, epoch: self.state.epoch, kind });
    }

    /// Something begins: the time since the step before belongs to what was there before.
    pub(super) const fn begin_anew(&mut self) {
        self.dt = Millis::ZERO;
    }

    /// Step again in this long at the latest.
    pub(super) fn wake_in(&mut self, wait: Millis) {
        self.wait = Some(self.wait.map_or(wait, |earlier| earlier.min(wait)));
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let wait = match (self.wait, self.state.is_active()) {
            (Some(wait), _) => Some(wait.min(heartbeat(self.plan, &self.state))),
            (None, true) => Some(heartbeat(self.plan, &self.state)),
            (None, false) => None,
        };
        wait.map(|wait| self.now + wait)
    }

    pub(super) fn save_clocks(&self) -> bool {
        self.state.unsaved >= if self.state.is_active() { SAVE_CLOCKS } else { SAVE_IDLE_CLOCKS }
    }

    pub(super) fn next_token(&mut self) -> Token {
        self.state.token.0 += 1;
        self.state.token
    }

    pub(super) fn group(&self, revision: RevisionNumber) -> Option<&Group> {
        self.state.group(revision)
    }

    /// How many replicas are wished for, 0 when there is no group.
    pub(super) fn wish(&self, revision: Option<RevisionNumber>) -> u32 {
        revision.and_then(|number| self.group(number)).map_or(0, |group| group.wish)
    }

    /// The group of this revision, made when there is none.
    pub(super) fn group_mut(&mut self, revision: RevisionNumber) -> &mut Group {
        let groups = &mut self.state.groups;
        let at = match groups.iter().position(|group| group.revision == revision) {
            Some(at) => at,
            None => {
                groups.push(Group::empty(revision));
                groups.len() - 1
            }
        };
        &mut groups[at]
    }

    pub(super) fn revision(&self, number: RevisionNumber) -> Option<Revision> {
        self.state.revision(number).cloned()
    }

    pub(super) fn known_mut(&mut self, number: RevisionNumber) -> Option<&mut Known> {
        Arc::make_mut(&mut self.state.revisions).iter_mut().find(|known| known.revision.number == number)
    }

    /// Desired number of replicas.
    pub(super) const fn n(&self) -> u32 {
        self.state.replicas
    }

    pub(super) const fn has_router(&self) -> bool {
        !matches!(self.seen.route, RouteSeen::NoRouter)
    }

    pub(super) const fn is_routed(&self) -> bool {
        matches!(self.plan.mode, Mode::Routed { .. })
    }

    /// The step that the rollout is in. A first deployment has one of its own: all replicas, all
    /// traffic, the absolute checks for one window.
    pub(super) fn hold(&self) -> Hold {
        self.state.hold(self.plan)
    }

    pub(super) fn steps(&self) -> usize {
        if self.state.stable.is_none() { 1 } else { self.plan.steps.len() }
    }

    /// Weight and size of the step before, which hold until the hooks before this step have passed.
    pub(super) fn hold_before(&self) -> Option<Hold> {
        match (self.state.stable, self.state.progress.step.checked_sub(1)) {
            (Some(_), Some(before)) => self.plan.steps.get(before).copied(),
            _ => None,
        }
    }

    pub(super) fn pause(&mut self, cause: PauseCause) {
        self.pause_because(cause, None);
    }

    /// With a sentence that says what exactly.
    pub(super) fn pause_because(&mut self, cause: PauseCause, why: Option<Arc<str>>) {
        if self.state.paused.is_some() {
            return;
        }
        self.state.paused = Some(cause);
        let paused = EventKind::Paused { cause, why };
        let message = paused.message();
        self.tell(paused);
        if cause.is_alarming() {
            self.alert(AlertKind::Paused, Severity::Warning, message);
        }
    }

    pub(super) fn resume(&mut self) {
        if self.state.paused.take().is_some() {
            let progress = &mut self.state.progress;
            progress.frozen = None;
            progress.no_data = Millis::ZERO;
            progress.stalled = Millis::ZERO;
            for check in &mut progress.checks {
                check.errors = 0;
                check.inconclusive = 0;
            }
            self.tell(EventKind::Resumed);
        }
    }

    pub(super) fn alert(&mut self, kind: AlertKind, severity: Severity, message: String) {
        self.state.alerted += 1;
        let State { epoch, progress, alerted, .. } = &self.state;
        let key = self.key(&format!("{epoch}/{}/{kind:?}/{alerted}", progress.step));
        self.tell(EventKind::Alerted { key: Arc::clone(&key.0), message: message.as_str().into() });
        if self.state.alerts.len() >= MAX_ALERTS {
            self.state.alerts.remove(0);
        }
        let alert = Alert::new(key, kind, severity, message);
        self.state.alerts.push(alert.about(Arc::clone(&self.state.name), Arc::clone(&self.plan.strategy)));
    }

    /// The key of an effect of this deployment.
    pub(super) fn key(&self, effect: &str) -> EffectKey {
        let name = &self.state.name;
        EffectKey(if name.is_empty() { effect.into() } else { format!("{name}/{effect}").into() })
    }

    /// Time without progress goes on, or starts anew when `measure` is better than ever.
    pub(super) fn stall(&mut self, measure: u32) {
        let dt = self.dt;
        let known = self.seen.groups.is_some() && self.seen.route != RouteSeen::Unknown;
        let progress = &mut self.state.progress;
        if measure > progress.best {
            progress.best = measure;
            progress.stalled = Millis::ZERO;
        } else if known {
            // what a backend could not say is no fault of the rollout
            progress.stalled += dt;
        }
    }

    /// Was this not acted on yet?
    pub(super) fn is_new(&self, desired: &Desired) -> bool {
        self.state.acted_on.as_deref() != Some(&desired.hash)
    }

    /// Would another step begin something (or note that it has to wait)?
    pub(super) fn is_due(&self) -> bool {
        let Some(desired) = &self.seen.desired else { return false };
        let is_new = self.is_new(desired);
        let waits = self.state.next.is_some();
        let due = if self.state.paused.is_some() { is_new && !waits } else { is_new || waits };
        due && !self.state.progress.wrapping_up
    }

    /// What the canary serves: the weight that the data plane has acknowledged, or without a split its
    /// share of the ready replicas, rounded.
    pub(super) fn canary_share(&self) -> Weight {
        let Some(canary) = self.state.canary else { return Weight::ZERO };
        if self.is_routed() {
            return self.state.route.acknowledged_weight(canary);
        }
        Weight::new(self.state.ready_share(canary)).unwrap_or(Weight::FULL)
    }

    /// How far replicas and traffic are on their way: a number that grows with progress.
    pub(super) fn in_place(&self, towards: Option<RevisionNumber>) -> u32 {
        let Some(group) = towards.and_then(|number| self.group(number)) else { return 0 };
        let weight = self.state.route.acknowledged_weight(group.revision);
        group.seen.ready.saturating_mul(2).saturating_add(weight.get())
    }
}

/// The longest the machine lets time pass unseen.
fn heartbeat(plan: &Plan, state: &State) -> Millis {
    if state.is_active() { plan.analysis.interval.min(HEARTBEAT) } else { HEARTBEAT }
}

/// Time that counts since the last step. A driver steps at least once a heartbeat; a gap of more than
/// two is a clock that has jumped or a driver that was away, and counts nothing: so neither shortens a
/// bake, a drain or a keep window (property S16).
pub(super) fn elapsed(plan: &Plan, state: &State, now: Timestamp) -> Millis {
    let most = heartbeat(plan, state).times(2).max(RESEND.times(2));
    let gap = state.clock.map_or(Millis::ZERO, |last| now.since(last));
    if gap > most { Millis::ZERO } else { gap }
}
