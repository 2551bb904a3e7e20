//! A world without latency or faults: every wish comes true before the next step. (The testkit has
//! the real simulated cluster; this one only serves to read the machine's decisions.)

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analysis::AnalysisPlan;
use crate::backend::{
    Counted, EffectKey, GroupStatus, HealthQuery, Histogram, HookOutcome, Increase, Mark, Reading, Route,
    RouteStatus, ScaleWish, Signal, Span,
};
use crate::machine::{
    self, Action, Arm, Command, CommandKind, Desired, EffectOutcome, Event, Look, Measured, Observation,
    RouteSeen, State, Transition,
};
use crate::plan::Plan;
use crate::time::{Millis, Timestamp};
use crate::version::{Version, parse_version};

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) state: State,
    pub(super) desired: Desired,
    pub(super) now: Timestamp,
    pub(super) groups: BTreeMap<Arc<str>, GroupStatus>,
    pub(super) route: Option<Option<RouteStatus>>,
    pub(super) events: Vec<Event>,
    pub(super) looks: Vec<Look>,
    pub(super) actions: Vec<Action>,
    pub(super) wake_at: Option<Timestamp>,
    /// Failed of 10,000 requests, by version.
    pub(super) failing: BTreeMap<String, u64>,
    /// Durations of requests, of every version in every span.
    pub(super) durations: Option<Histogram>,
    pub(super) unready: Vec<String>,
    pub(super) dark: bool,
    /// Writes are lost.
    pub(super) mute: bool,
    pub(super) hooks: BTreeMap<EffectKey, HookOutcome>,
    pub(super) hook_answer: HookOutcome,
    commands: Vec<Command>,
    effects: Vec<EffectOutcome>,
    ids: u32,
}

pub(super) fn version(text: &str) -> Version {
    parse_version(text).unwrap()
}

impl World {
    /// `n` replicas of 1.0.0 serve; with a router when the plan needs one.
    pub(super) fn serving(plan: Plan, n: u32) -> Self {
        let mut world = Self::empty(plan, n);
        world.state = State::serving(version("1.0.0"), "1.0.0", n);
        let mut status = GroupStatus::empty(world.state.revisions[0].revision.clone());
        (status.desired, status.created, status.ready, status.available) = (n, n, n, n);
        world.groups.insert("1.0.0".into(), status);
        world
    }

    pub(super) fn empty(plan: Plan, n: u32) -> Self {
        let routed = matches!(plan.mode(), crate::plan::Mode::Routed { .. });
        let desired = Desired::new("1.0.0".into(), version("1.0.0"), n, plan.mode());
        Self {
            plan,
            state: State::default(),
            desired,
            now: Timestamp::ZERO,
            groups: BTreeMap::new(),
            route: routed.then_some(None),
            events: Vec::new(),
            looks: Vec::new(),
            actions: Vec::new(),
            wake_at: None,
            failing: BTreeMap::new(),
            durations: None,
            unready: Vec::new(),
            dark: false,
            mute: false,
            hooks: BTreeMap::new(),
            hook_answer: HookOutcome::Passed,
            commands: Vec::new(),
            effects: Vec::new(),
            ids: 0,
        }
    }

    pub(super) fn update(&mut self, text: &str) {
        self.desired.version = version(text);
        self.desired.hash = text.into();
    }

    pub(super) fn command(&mut self, kind: CommandKind) {
        self.ids += 1;
        self.commands.push(Command::new(format!("c{}", self.ids), kind));
    }

    pub(super) fn step(&mut self) {
        let queries = machine::queries(&self.plan, &self.state, self.now);
        let health = queries
            .iter()
            .map(|(arm, query)| {
                let reading = Ok(self.reading(*arm, query));
                Measured::new(query.signal.clone(), *arm, reading).over(query.span)
            })
            .collect();
        let observation = Observation {
            desired: Some(self.desired.clone()),
            groups: Some(self.groups.values().cloned().collect()),
            route: match &self.route {
                None => RouteSeen::NoRouter,
                Some(status) => RouteSeen::At(status.clone()),
            },
            health,
            effects: std::mem::take(&mut self.effects),
            commands: std::mem::take(&mut self.commands),
        };
        let transition = machine::step_explained(&self.plan, &self.state, self.now, &observation);
        let untold = machine::step(&self.plan, &self.state, self.now, &observation);
        assert_eq!(
            untold,
            Transition { looks: Vec::new(), ..transition.clone() },
            "to be told changes nothing"
        );
        self.state = transition.state;
        self.events.extend(transition.events);
        self.looks.extend(transition.looks);
        self.wake_at = transition.wake_at;
        for action in &transition.actions {
            let write = matches!(action, Action::Scale(_) | Action::Route(_));
            if !(write && self.mute) {
                self.apply(action);
            }
        }
        self.actions.extend(transition.actions);
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Scale(wish) => self.scale(wish),
            Action::Route(wish) => self.route = Some(Some(RouteStatus::new(wish.route.clone(), wish.token))),
            Action::RunHook(call) => {
                self.hooks.insert(call.key.clone(), self.hook_answer.clone());
                self.effects.push(EffectOutcome::Hook(call.key.clone(), self.hook_answer.clone()));
            }
            Action::Notify(alert) => self.effects.push(EffectOutcome::Alerted(alert.key.clone())),
        }
    }

    fn scale(&mut self, wish: &ScaleWish) {
        let unready = self.unready.contains(&wish.revision.version.to_string());
        let status = self
            .groups
            .entry(Arc::clone(&wish.revision.hash))
            .or_insert_with(|| GroupStatus::empty(wish.revision.clone()));
        status.token = wish.token;
        (status.desired, status.created) = (wish.replicas, wish.replicas);
        status.ready = if unready { 0 } else { wish.replicas };
        status.available = status.ready;
        status.failed_attempts = if unready && wish.replicas > 0 { 3 } else { 0 };
    }

    fn reading(&self, arm: Arm, query: &HealthQuery) -> Reading {
        let number = if arm == Arm::Stable { self.state.stable } else { self.state.canary };
        let version = number.and_then(|number| self.state.revision(number)).map(|r| r.version.to_string());
        match (&query.signal, self.dark) {
            (_, true) => Reading::NoData,
            (Signal::Requests, _) => {
                let failed = version.and_then(|version| self.failing.get(&version)).copied().unwrap_or(0);
                Reading::Counts { requests: 10_000, failed }
            }
            (Signal::Latency, _) => self.latency(query.span),
            (Signal::CriticalAlerts, _) => Reading::Scalar(0.0),
            (Signal::Saturation, _) => {
                let idle = version.is_some_and(|version| self.weight(&version) == 0);
                Reading::Scalar(if idle { 0.01 } else { 0.5 })
            }
            _ => Reading::NoData,
        }
    }

    fn latency(&self, span: Span) -> Reading {
        let Some(durations) = self.durations.clone() else { return Reading::NoData };
        let until = Mark(i64::try_from(self.now.as_millis()).unwrap());
        match span {
            Span::Window(_) => Reading::Histogram(durations),
            Span::Since(mark) => {
                Reading::Increase(Increase::new(until, mark.map(|_| Counted::Durations(durations))))
            }
            Span::Replicas { .. } => Reading::Replicas(Vec::new()),
        }
    }

    /// Steps, and jumps to each next wake-up, until the span is over or nothing is left to do.
    pub(super) fn run(&mut self, span: Millis) {
        let end = self.now + span;
        for _ in 0..100_000 {
            self.step();
            match self.wake_at {
                Some(at) if at <= end => self.now = at.max(self.now + Millis(1)),
                _ => break,
            }
        }
        self.now = end;
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.kind.name()).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().contains(&name)
    }

    pub(super) fn last_reason(&self, name: &str) -> String {
        self.events.iter().rev().find(|e| e.kind.name() == name).map(|e| e.kind.reason()).unwrap_or_default()
    }

    pub(super) fn size(&self, version: &str) -> u32 {
        self.groups.get(version).map_or(0, |status| status.desired)
    }

    pub(super) fn stable(&self) -> Option<String> {
        self.state.stable.and_then(|number| self.state.revision(number)).map(|r| r.version.to_string())
    }

    /// The share of a version by the route.
    pub(super) fn weight(&self, version: &str) -> u32 {
        match &self.route {
            Some(Some(RouteStatus { route: Route::Split { stable, canary, weight }, .. })) => {
                let is =
                    |r: &Option<crate::version::Revision>| r.as_ref().is_some_and(|r| *r.hash == *version);
                if is(canary) {
                    weight.get()
                } else if is(stable) {
                    weight.rest().get()
                } else {
                    0
                }
            }
            _ => 0,
        }
    }
}

pub(super) fn analysis(checks: &[&str]) -> AnalysisPlan {
    AnalysisPlan {
        checks: checks.iter().map(|check| check.parse().unwrap()).collect(),
        ..AnalysisPlan::default()
    }
}
