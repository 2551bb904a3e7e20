//! The tick driver: observe, step, save, apply, once.
//!
//! The driver sleeps nowhere and spawns nothing. The caller waits until [`Tick::wake_at`] or an
//! event, then ticks again. A Kubernetes controller turns `wake_at` into a requeue, the CLI sleeps,
//! the testkit jumps its virtual clock there.

mod refuse;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use refuse::Refused;

use crate::backend::{
    BackendError, Backends, ErrorKind, HealthQuery, HookOutcome, News, Reading, Record, Span, StoreVersion,
    Stored,
};
use crate::machine::{
    self, Action, Command, Desired, EffectOutcome, Event, Look, Measured, Observation, RouteSeen, State,
};
use crate::plan::Plan;
use crate::report::Status;
use crate::time::Timestamp;

/// What the newest spec asks for, and the plan that its strategy made of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The plan for the next rollout.
    pub plan: Arc<Plan>,
    /// What shall run.
    pub desired: Desired,
}

impl Target {
    /// This plan for these wishes.
    #[must_use]
    pub const fn new(plan: Arc<Plan>, desired: Desired) -> Self {
        Self { plan, desired }
    }
}

/// What one tick did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tick {
    /// Decisions, for people.
    pub events: Vec<Event>,
    /// What each look said about each check, where the driver is [`explained`](Driver::explained).
    pub looks: Vec<Look>,
    /// When to tick again at the latest, `None` when only an event can change anything.
    pub wake_at: Option<Timestamp>,
    /// What people watch.
    pub status: Status,
    /// Calls that failed. The machine knows and repeats what is needed.
    pub errors: Vec<BackendError>,
    /// The plan that was stepped.
    pub plan: Arc<Plan>,
    /// What the decision was based on.
    pub observation: Observation,
    /// The wishes that were sent, in this order.
    pub actions: Vec<Action>,
}

/// Drives one rollout target. Holds no truth: everything that must survive a crash is in the store.
#[derive(Debug)]
pub struct Driver {
    backends: Backends,
    /// For the next rollout.
    newest: Arc<Plan>,
    /// What shall run, `None` while nobody says it.
    desired: Option<Desired>,
    held: Option<Held>,
    commands: Vec<Command>,
    outcomes: Vec<EffectOutcome>,
    explains: bool,
}

#[derive(Debug)]
struct Held {
    record: Record,
    version: Option<StoreVersion>,
}

impl Driver {
    /// A driver for this target.
    ///
    /// # Errors
    /// When the plan needs what the backends cannot do; nothing has moved then.
    pub fn new(target: Target, backends: Backends) -> Result<Self, Refused> {
        refuse::check(&target.plan, &backends)?;
        let Target { plan, desired } = target;
        Ok(Self::with(backends, plan, Some(desired), None))
    }

    /// A driver that goes on with what is stored, and begins nothing by itself: for a program that starts while the
    /// newest spec cannot be followed. The rollout that is on its way ends as it was planned; then what serves is
    /// kept, until [`set_target`](Self::set_target) says what shall run. `None` where no plan is stored.
    ///
    /// # Errors
    /// When the stored plan needs what the backends cannot do; nothing has moved then.
    pub fn resume(stored: Stored, backends: Backends) -> Result<Option<Self>, Refused> {
        let Stored { record, version } = stored;
        let Some(plan) = record.plan.clone() else { return Ok(None) };
        refuse::check(&plan, &backends)?;
        let held = Held { record, version: Some(version) };
        Ok(Some(Self::with(backends, plan, None, Some(held))))
    }

    const fn with(
        backends: Backends,
        newest: Arc<Plan>,
        desired: Option<Desired>,
        held: Option<Held>,
    ) -> Self {
        Self { backends, newest, desired, held, commands: Vec::new(), outcomes: Vec::new(), explains: false }
    }

    /// Tells what each look said, in [`Tick::looks`] and to the store ([`News::looks`]). It decides nothing.
    #[must_use]
    pub fn explained(self) -> Self {
        Self { explains: true, ..self }
    }

    /// Takes a newer spec. Another version, template or configuration supersedes the rollout that is
    /// on its way; a changed number of replicas and `paused` are followed at once; every other edit
    /// waits for the next rollout.
    ///
    /// # Errors
    /// When the plan needs what the backends cannot do; the target before stays.
    pub fn set_target(&mut self, target: Target) -> Result<(), Refused> {
        refuse::check(&target.plan, &self.backends)?;
        (self.newest, self.desired) = (target.plan, Some(target.desired));
        Ok(())
    }

    /// The same with other backends: another router, another source of health. What they are about is the
    /// same rollout target still.
    ///
    /// # Errors
    /// When the plan needs what these backends cannot do, or the rollout that is on its way needs a router and there is
    /// none among them; target and backends stay as they were.
    pub fn set_target_with(&mut self, target: Target, backends: Backends) -> Result<(), Refused> {
        refuse::check(&target.plan, &backends)?;
        if let Some(plan) = self.held.as_ref().and_then(|held| on_its_way(&held.record)) {
            // its way back begins with the traffic
            refuse::without_router(plan, &backends)?;
        }
        (self.newest, self.desired) = (target.plan, Some(target.desired));
        self.backends = backends;
        Ok(())
    }

    /// Gives a command, carried out by the next tick whose state could be saved.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// The state as of the last tick.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.held.as_ref().map(|held| &held.record.state)
    }

    /// The version of the record that the state is of, as the store gave it: `Some(None)` before the first save, `None`
    /// while nothing is held that was stored.
    #[must_use]
    pub fn version(&self) -> Option<&Option<StoreVersion>> {
        self.held.as_ref().map(|held| &held.version)
    }

    /// Holds nothing any more: somebody else has saved, and the next tick loads what.
    pub fn forget(&mut self) {
        self.held = None;
    }

    /// The plan that the rollout is on, or the newest one when none is on its way.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        self.held.as_ref().and_then(|held| on_its_way(&held.record)).unwrap_or(&self.newest)
    }

    /// Observes, steps, saves and applies, once.
    ///
    /// # Errors
    /// When the state could not be loaded or saved: nothing was applied. On
    /// [`ErrorKind::Conflict`] somebody else drives this target too; the next tick loads their state.
    pub async fn tick(&mut self, now: Timestamp) -> Result<Tick, BackendError> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None => self.load().await?,
        };
        let plan = self.plan_for(&held.record);
        let mut errors = Vec::new();
        let observation = self.observe(&plan, &held.record.state, now, &mut errors).await;
        let step = if self.explains { machine::step_explained } else { machine::step };
        let transition = step(&plan, &held.record.state, now, &observation);
        let begins = transition.state.epoch != held.record.state.epoch;
        let (plan, transition) = if begins && !Arc::ptr_eq(&plan, &self.newest) {
            // what supersedes a rollout in its middle is another rollout: it is on the newest plan
            let newest = Arc::clone(&self.newest);
            let transition = step(&newest, &held.record.state, now, &observation);
            (newest, transition)
        } else {
            (plan, transition)
        };

        let status = if transition.save {
            let record = Record::new(transition.state.clone(), Some(Arc::clone(&plan)));
            let status = Status::of(&plan, &record.state, &observation.route);
            let news = News::new(&status, &transition.events).looks(&transition.looks);
            // Held is given back only after a save: a tick that is cut off here loads again.
            let version = self.backends.store.save_with_news(&record, held.version.clone(), news).await?;
            held = Held { record, version: Some(version) };
            self.commands.clear();
            self.outcomes.clear();
            status
        } else {
            held.record.state = transition.state.clone();
            let state_plan = held.record.plan.as_ref().unwrap_or(&self.newest);
            Status::of(state_plan, &held.record.state, &observation.route)
        };
        self.held = Some(held);
        for action in &transition.actions {
            if let Err(error) = self.apply(action).await {
                errors.push(error);
            }
        }
        let machine::Transition { events, looks, wake_at, actions, .. } = transition;
        Ok(Tick { events, looks, wake_at, status, errors, plan, observation, actions })
    }

    async fn load(&self) -> Result<Held, BackendError> {
        Ok(match self.backends.store.load().await? {
            Some(stored) => Held { record: stored.record, version: Some(stored.version) },
            None => Held { record: Record::default(), version: None },
        })
    }

    /// A rollout keeps the plan it started with; the next one takes the newest.
    fn plan_for(&self, record: &Record) -> Arc<Plan> {
        Arc::clone(on_its_way(record).unwrap_or(&self.newest))
    }

    async fn observe(
        &self,
        plan: &Plan,
        state: &State,
        now: Timestamp,
        errors: &mut Vec<BackendError>,
    ) -> Observation {
        let groups = match self.backends.workload.observe().await {
            Ok(groups) => Some(groups),
            Err(error) => {
                errors.push(error);
                None
            }
        };
        let route = match &self.backends.router {
            None => RouteSeen::NoRouter,
            Some(router) => match router.observe().await {
                Ok(status) => RouteSeen::At(status),
                Err(error) => {
                    errors.push(error);
                    RouteSeen::Unknown
                }
            },
        };
        Observation {
            desired: self.desired.clone(),
            groups,
            route,
            health: self.look(plan, state, now, errors).await,
            effects: self.outcomes.clone(),
            commands: self.commands.clone(),
        }
    }

    async fn look(
        &self,
        plan: &Plan,
        state: &State,
        now: Timestamp,
        errors: &mut Vec<BackendError>,
    ) -> Vec<Measured> {
        let wanted = machine::queries(plan, state, now);
        if wanted.is_empty() {
            return Vec::new();
        }
        let Some(health) = &self.backends.health else { return Vec::new() };
        // a source that cannot tell replicas apart is not asked for them
        let can = health.capabilities();
        let is_asked = |query: &HealthQuery| can.replicas || !matches!(query.span, Span::Replicas { .. });
        let queries: Vec<HealthQuery> =
            wanted.iter().map(|(_, query)| query).filter(|query| is_asked(query)).cloned().collect();
        let answers = if queries.is_empty() { Vec::new() } else { health.measure(&queries).await };
        let mut answers = answers.into_iter();
        wanted
            .into_iter()
            .map(|(arm, query)| {
                if !is_asked(&query) {
                    let none = Ok(Reading::Replicas(Vec::new()));
                    return Measured::new(query.signal, arm, none).over(query.span);
                }
                let reading = answers.next().unwrap_or_else(|| {
                    Err(BackendError::new(
                        "health",
                        "measure",
                        ErrorKind::Invalid,
                        "fewer answers than queries",
                    ))
                });
                let reading = reading.map_err(|error| {
                    let text = error.to_string();
                    errors.push(error);
                    text
                });
                Measured::new(query.signal, arm, reading).over(query.span)
            })
            .collect()
    }

    async fn apply(&mut self, action: &Action) -> Result<(), BackendError> {
        match action {
            Action::Scale(wish) => self.backends.workload.scale(wish).await,
            Action::Route(wish) => match &self.backends.router {
                Some(router) => router.set(wish).await,
                None => Ok(()),
            },
            Action::RunHook(call) => {
                if let Some(hooks) = &self.backends.hooks {
                    let outcome = match hooks.run(call).await {
                        // another try would not mend it
                        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported) => {
                            HookOutcome::Failed(error.to_string())
                        }
                        outcome => outcome?,
                    };
                    self.outcomes.push(EffectOutcome::Hook(call.key.clone(), outcome));
                }
                Ok(())
            }
            Action::Notify(alert) => {
                if let Some(notifier) = &self.backends.notifier {
                    notifier.notify(alert).await?;
                }
                self.outcomes.push(EffectOutcome::Alerted(alert.key.clone()));
                Ok(())
            }
        }
    }
}

/// The plan of the rollout that is on its way, if one is.
fn on_its_way(record: &Record) -> Option<&Arc<Plan>> {
    record.plan.as_ref().filter(|_| record.state.is_active())
}
