//! One `AgentDeployment`: what it asks for, and what is told about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kube::ResourceExt;
use lifecycle_core::backend::{BackendResult, Backends, ErrorKind};
use lifecycle_core::driver::Tick;
use lifecycle_core::machine::{Command, State};
use lifecycle_core::plan::Plan;
use lifecycle_core::spec::{Manifest, TrafficProvider};
use lifecycle_core::time::Timestamp;

use super::command::Misunderstood;
use super::damage::Damage;
use super::logged::Logged;
use super::shown::Shown;
use super::unmeasured::Unmeasured;
use super::{Context, Problem, command};
use crate::crd::{AgentDeployment, CommandAnswer};
use crate::embed::{Rollout, Wanted};
use crate::object::Owner;

/// The rollouts of one object. Everything in here can be lost: what counts is in the object's status.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) rollout: Rollout<AgentDeployment>,
    /// What the store shows beside the record.
    pub(super) shown: Arc<Mutex<Shown>>,
    /// Why the newest spec is not followed.
    refused: Option<Problem>,
    /// The annotation that was handed on last.
    commanded: Option<String>,
    /// A command that could not be understood and was not told yet.
    pub(super) misunderstood: Option<Misunderstood>,
    /// The problem that was told last.
    pub(super) told: Option<Problem>,
    /// Looks in a row that failed.
    pub(super) failures: u32,
    /// Since when.
    pub(super) failing_since: Option<Instant>,
    /// Looks in a row of which a call failed.
    pub(super) errors: u32,
    /// What of that is in the log.
    pub(super) logged: Logged,
    /// Since when a call fails with each look.
    pub(super) erring: Option<Instant>,
    /// Since when shown numbers differ from what is written.
    pub(super) moved: Option<Instant>,
    /// Since when requests do not go where they should.
    pub(super) lost: Option<Instant>,
    /// What failed last and was not done since.
    pub(super) failing: Option<Problem>,
    /// What somebody else changed and was put back.
    pub(super) damage: Damage,
    /// Was it looked for a rollout that this process did not begin?
    has_resumed: bool,
    /// Was the finalizer written, though the cache may not show it yet?
    pub(super) has_finalizer: bool,
}

impl Target {
    /// The target that this object is. Nothing was looked at yet.
    pub(crate) fn new(context: &Context, owner: Owner, object: &Arc<AgentDeployment>) -> Self {
        let shown = Arc::new(Mutex::new(Shown::default()));
        let show = super::shown::show(&owner, Arc::clone(&shown));
        Self {
            rollout: Rollout::new(Arc::clone(&context.cluster), owner, Arc::clone(object), show),
            shown,
            refused: None,
            commanded: None,
            misunderstood: None,
            told: None,
            failures: 0,
            failing_since: None,
            errors: 0,
            logged: Logged::default(),
            erring: None,
            moved: None,
            lost: None,
            failing: None,
            damage: Damage::default(),
            has_resumed: false,
            has_finalizer: false,
        }
    }

    /// Follows the newest spec and command, and ticks. `None` when there is nothing to tick: no spec was ever
    /// accepted.
    pub(super) async fn tick(
        &mut self,
        context: &Context,
        object: &Arc<AgentDeployment>,
        now: Timestamp,
    ) -> BackendResult<Option<Tick>> {
        self.rollout.store.seen(object).await;
        // one that is refused leaves everything as it is
        self.refused = if self.rollout.is_behind(object) { self.follow(context, object).err() } else { None };
        if self.refused.is_some() && self.rollout.driver.is_none() && !self.has_resumed {
            self.resume(context, object).await?;
        }
        let mut misunderstood = None;
        if let Some(text) = object.annotations().get(crate::names::COMMAND)
            && self.commanded.as_ref() != Some(text)
        {
            let answered = object.status.as_ref().and_then(|status| status.last_command.as_ref());
            match (command::parse(text), &mut self.rollout.driver) {
                (Ok(command), Some(driver)) => match driver.state() {
                    Some(state) if is_reused(&command, answered, state) => {
                        misunderstood = Some(Misunderstood::used(&command, answered));
                    }
                    _ => driver.command(command),
                },
                (Ok(command), None) => misunderstood = Some(Misunderstood::too_early(&command)),
                (Err(problem), _) => misunderstood = Some(problem),
            }
            self.commanded = Some(text.clone());
        }
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.begin_tick();
            shown.generation = object.metadata.generation;
            if let Some(problem) = misunderstood {
                shown.refuse(problem.clone());
                // by this process or by one before it
                let answered = object.status.as_ref().and_then(|status| status.last_command.as_ref());
                let is_told = answered
                    .is_some_and(|answer| answer.id == problem.id && answer.command == problem.command);
                self.misunderstood = Some(problem).filter(|_| !is_told);
            }
        }
        self.rollout.tick(now).await
    }

    /// What is shown.
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the engine, once there is one.
    pub(super) fn state(&self) -> Option<&State> {
        self.rollout.state()
    }

    /// Why the newest spec is not followed.
    pub(super) const fn refused(&self) -> Option<&Problem> {
        self.refused.as_ref()
    }

    /// Gives the Service back as it was found, also when no spec was followed since this process started.
    pub(super) async fn release_service(&self, object: &AgentDeployment) -> BackendResult<()> {
        self.rollout.release(self.service_of(object)).await
    }

    /// The Service that the spec names, whether or not it is followed.
    fn service_of<'a>(&'a self, object: &'a AgentDeployment) -> &'a str {
        let written = object.spec.traffic.as_ref().and_then(|traffic| traffic.service.as_deref());
        written.unwrap_or(&self.rollout.owner.name)
    }

    /// A process that starts while the spec is refused goes on with the rollout of the one before.
    async fn resume(&mut self, context: &Context, object: &AgentDeployment) -> BackendResult<()> {
        let service = self.service_of(object).into();
        let owner = self.rollout.owner.clone();
        let others = |plan: &Plan, mut backends: Backends| {
            let surroundings = &context.options.surroundings;
            backends.health = surroundings.health(&owner, plan.analysis()).ok().flatten();
            if !plan.analysis().checks.is_empty() {
                backends.health.get_or_insert_with(|| Arc::new(Unmeasured));
            }
            (backends.hooks, backends.notifier) = (surroundings.hooks(&owner), surroundings.notifier());
            backends
        };
        match self.rollout.resume(service, others).await {
            // the plan cannot be carried out here; what serves goes on serving
            Err(error) if error.kind == ErrorKind::Unsupported => {
                tracing::warn!(name = owner.name, %error, "the rollout on its way cannot be resumed");
            }
            resumed => drop(resumed?),
        }
        self.has_resumed = true;
        Ok(())
    }

    fn follow(&mut self, context: &Context, object: &AgentDeployment) -> Result<(), Problem> {
        let manifest = object.manifest().map_err(|error| Problem::spec(error.to_string()))?;
        let spec = &manifest.spec;
        if spec.traffic().provider != TrafficProvider::Service {
            let message = "spec.traffic.provider: only service is supported by this operator";
            return Err(Problem::spec(message));
        }
        if spec.adopt().is_some() {
            return Err(Problem::spec("spec.adopt: is not supported by this operator yet"));
        }
        let wanted = self.wanted(context, &manifest)?.needs_service(object.spec.traffic.is_some());
        self.rollout.follow(object, &wanted).map_err(|refused| Problem::spec(refused.to_string()))
    }

    /// With the backends that the controller was given.
    fn wanted<'a>(&self, context: &Context, manifest: &'a Manifest) -> Result<Wanted<'a>, Problem> {
        let surroundings = &context.options.surroundings;
        let mut wanted = Wanted::new(&manifest.spec);
        let analysis = manifest.spec.analysis().plan(Vec::new());
        wanted.health = surroundings.health(&self.rollout.owner, &analysis).map_err(Problem::spec)?;
        wanted.hooks = surroundings.hooks(&self.rollout.owner);
        wanted.notifier = surroundings.notifier();
        Ok(wanted)
    }
}

/// Was this id that of another command? (Of this one, the answer is the last one: it is read again by the next process.)
fn is_reused(command: &Command, answered: Option<&CommandAnswer>, state: &State) -> bool {
    let before = answered.filter(|answer| *answer.id == *command.id);
    let is_answered = before.is_some_and(|answer| answer.command == command.kind.to_string());
    !is_answered && (before.is_some() || state.seen_commands.contains(&command.id))
}
