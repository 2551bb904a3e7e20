//! Driving a rollout: tick, show, sleep until something can have changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle_core::backend::store::Record;
use lifecycle_core::driver::{Driver, Tick};
use lifecycle_core::machine::State;
use lifecycle_core::report::{Line, LineKind, OutcomeLine, Status};
use lifecycle_core::time::{Millis, Timestamp};
use tokio::time::Instant;

use super::accept::{self, Accepted};
use super::signals::{Signals, Woken};
use super::spool::Spool;
use super::tally::Tally;
use super::verdict::{self, Asked};
use super::view::{Left, View};
use super::watch::Watch;
use super::world::World;
use crate::exit::{self, Exit};

/// While a rollout is on its way, what processes and the proxy say is looked at this often.
const PACE: Duration = Duration::from_millis(200);
/// While none is, this often.
const IDLE_PACE: Duration = Duration::from_secs(1);
/// Between two looks at the manifest and the commands.
const LOOK: Duration = Duration::from_millis(500);

/// A trouble that comes back sooner than this is the same one, and not told again: a full disk does not
/// fail the ticks that have nothing to save.
const OVER: Duration = Duration::from_secs(30);

/// When driving ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The rollout that the manifest asks for has ended, and nothing is left to be scaled; or it may not
    /// begin before a person says so.
    Settled,
    /// Whatever is on its way has ended or waits for a person.
    AtRest,
    /// Somebody interrupts it.
    Interrupted,
}

/// One rollout target being driven.
pub(super) struct Course {
    pub(super) world: World,
    pub(super) driver: Driver,
    pub(super) spool: Spool,
    pub(super) watch: Option<Watch>,
    pub(super) view: Box<dyn View>,
    asked: Asked,
    started: Timestamp,
    tally: Tally,
    status: Option<Status>,
    /// Troubles that were told, and when each was there last.
    troubles: BTreeMap<String, Instant>,
}

impl Course {
    pub(super) fn new(
        world: World,
        driver: Driver,
        spool: Spool,
        watch: Option<Watch>,
        view: Box<dyn View>,
        accepted: &Accepted,
    ) -> Self {
        let (asked, started, tally) = (Asked::by(accepted), now(), Tally::default());
        let troubles = BTreeMap::new();
        Self { world, driver, spool, watch, view, asked, started, tally, status: None, troubles }
    }

    /// Drives until this.
    pub(super) async fn go(mut self, until: Until) -> anyhow::Result<Exit> {
        let mut signals = Signals::new()?;
        let mut changes = self.world.changes();
        let mut looked: Option<Instant> = None;
        if let Woken::Interrupted = self.bring_back(&mut signals).await? {
            return self.end(Until::Interrupted, Some(Exit::Interrupted)).await;
        }
        loop {
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                self.look().await?;
            }
            let pause = match self.driver.tick(now()).await {
                Ok(tick) => self.told(&tick)?,
                Err(error) => {
                    self.trouble(format!("{error}; nothing was changed, trying again"))?;
                    IDLE_PACE
                }
            };
            let over = match until {
                Until::Settled => self.settled() || self.may_not_begin(),
                Until::AtRest => self.settled() || self.waits(),
                Until::Interrupted => false,
            };
            if over {
                return self.end(until, None).await;
            }
            if let Woken::Interrupted = signals.or_change(&mut changes, pause).await {
                return self.end(until, Some(Exit::Interrupted)).await;
            }
        }
    }

    /// After `down`, or a restart of the machine, what served is there again before anything else: a
    /// rollout takes its traffic from replicas that are ready, and goes back to them. A command may
    /// interrupt that, and so does the deadline of the rollout.
    async fn bring_back(&mut self, signals: &mut Signals) -> anyhow::Result<Woken> {
        let Some(gone) = self.world.gone().await else { return Ok(Woken::Time) };
        let (version, replicas) = (&gone.version, gone.replicas);
        self.tell(
            "StartedAgain",
            "NothingRan",
            format!(
                "nothing ran here: the replicas of {version} ({replicas}) are started again first; until they \
                 are ready requests are refused"
            ),
        )?;
        let mut changes = self.world.changes();
        let deadline = Instant::now() + Duration::from(self.driver.plan().progress_deadline());
        while !self.world.is_back(&gone).await {
            if Instant::now() > deadline {
                self.trouble(format!("{version} is not ready; going on without it"))?;
                break;
            }
            let commands = self.spool.take().unwrap_or_default();
            if !commands.is_empty() {
                commands.into_iter().for_each(|command| self.driver.command(command));
                break;
            }
            if let Woken::Interrupted = signals.or_change(&mut changes, PACE).await {
                return Ok(Woken::Interrupted);
            }
        }
        Ok(Woken::Time)
    }

    /// Takes commands, and the manifest when it was edited.
    async fn look(&mut self) -> anyhow::Result<()> {
        match self.spool.take() {
            Ok(commands) => commands.into_iter().for_each(|command| self.driver.command(command)),
            Err(error) => self.trouble(format!("{error}; trying again"))?,
        }
        let Some(edited) = self.watch.as_mut().and_then(Watch::changed) else { return Ok(()) };
        let accepted = edited.and_then(|text| accept::accept(&text));
        match accepted {
            Ok(accepted) => self.edited(accepted).await,
            Err(error) => {
                self.tell("ManifestIgnored", "BadInput", format!("{error}; the manifest before holds"))
            }
        }
    }

    async fn edited(&mut self, accepted: Accepted) -> anyhow::Result<()> {
        if let Err(refused) = self.world.take(&accepted, &mut self.driver, self.asked.target()).await {
            let why = exit::sentence(&refused);
            return self.tell("ManifestIgnored", "Refused", format!("{why}; the manifest before holds"));
        }
        self.asked.edit(&accepted);
        let spec = &accepted.manifest.spec;
        let mut message = format!("it asks for version {} on {} replicas", spec.version(), spec.replicas());
        if self.world.probes_otherwise(&accepted) {
            message += "; its healthCheck and liveness hold from the next run on";
        }
        self.tell("ManifestApplied", "Edited", message)
    }

    /// Shows what a tick did; answers how long to sleep.
    fn told(&mut self, tick: &Tick) -> anyhow::Result<Duration> {
        self.tally.count(&tick.observation);
        self.spool.answer_from(tick.events.iter().map(|event| &event.kind));
        if let Some(state) = self.driver.state() {
            self.asked.see(state, !tick.actions.is_empty());
            self.spool.answer_seen(state.seen_commands.iter().map(|id| &**id));
        }
        if let Err(error) = self.spool.write_answers() {
            self.trouble(format!("{error}; trying again"))?;
        }
        for event in &tick.events {
            let mut line = Line::event(event);
            line.at_ms = event.at.since(self.started).get();
            self.view.line(&line)?;
        }
        if self.status.as_ref() != Some(&tick.status) {
            self.status = Some(tick.status.clone());
            self.line(LineKind::Status(tick.status.clone()))?;
            if let Some(state) = self.driver.state() {
                let record = Record::new(state.clone(), Some(Arc::clone(self.driver.plan())));
                // For people only: what must survive is in the store.
                let _ = self.world.show(&record);
            }
        }
        for error in &tick.errors {
            self.trouble(error.to_string())?;
        }
        if let Some(state) = self.driver.state() {
            self.view.moment(self.driver.plan(), state, &tick.status);
        }
        self.view.pass(now().since(self.started).get())?;
        self.view.flush()?;
        let active = self.driver.state().is_some_and(State::is_active);
        let pace = if active { PACE } else { IDLE_PACE };
        Ok(tick
            .wake_at
            .map_or(pace, |at| Duration::from(at.since(now())).clamp(Duration::from_millis(20), pace)))
    }

    /// Tells a trouble once, until it was over for a while.
    fn trouble(&mut self, trouble: String) -> anyhow::Result<()> {
        self.troubles.retain(|_, seen| seen.elapsed() < OVER);
        match self.troubles.insert(trouble.clone(), Instant::now()) {
            None => self.tell("BackendTrouble", "BackendTrouble", trouble),
            Some(_) => Ok(()),
        }
    }

    /// Has the rollout that is asked for ended, with every replica where it belongs?
    fn settled(&self) -> bool {
        let (Some(state), Some(status)) = (self.driver.state(), &self.status) else { return false };
        let ended = !state.is_active() && state.next.is_none() && state.alerts.is_empty();
        let ended = ended && self.asked.is_known_to(state);
        let whole = status.stable.as_ref().is_none_or(|stable| stable.available >= stable.desired);
        ended && whole && status.canary.is_none() && status.retiring.is_empty() && self.spool.is_answered()
    }

    /// Is it paused, with every command answered?
    fn waits(&self) -> bool {
        self.driver.state().is_some_and(|state| state.paused.is_some()) && self.spool.is_answered()
    }

    /// Must the newest manifest wait before anything of it is started?
    fn may_not_begin(&self) -> bool {
        self.driver.state().is_some_and(verdict::is_waiting_at_rest) && self.spool.is_answered()
    }

    async fn end(mut self, until: Until, interrupted: Option<Exit>) -> anyhow::Result<Exit> {
        let state = match self.driver.state() {
            Some(state) => state.clone(),
            None => self.world.recorded().await,
        };
        let (mut outcome, exit) = match until {
            // a command is about whatever is on its way, not about a manifest
            Until::AtRest => (OutcomeLine::of(&state), Exit::Done),
            Until::Settled | Until::Interrupted => self.asked.verdict(&state),
        };
        let over = !state.is_active() && state.next.is_none() && state.last.is_some();
        let exit = interrupted.filter(|_| !over || self.driver.state().is_none()).unwrap_or(exit);
        self.tally.write_to(&mut outcome);
        outcome.requests = self.world.requests().await;
        let left = Left { listening: self.world.listening(), serves: self.world.serves().await };
        self.line(LineKind::Outcome(Box::new(outcome)))?;
        self.view.part(exit, left)?;
        self.world.close().await;
        Ok(exit)
    }

    fn tell(&mut self, name: &'static str, reason: &str, message: String) -> anyhow::Result<()> {
        self.line(LineKind::Event { name, reason: reason.to_owned(), message })?;
        self.view.flush()?;
        Ok(())
    }

    fn line(&mut self, kind: LineKind) -> anyhow::Result<()> {
        let at = Timestamp::ZERO + now().since(self.started);
        Ok(self.view.line(&Line::new(at, kind))?)
    }
}

/// The wall clock. Backends of the machine carry its timestamps, so all processes must agree on it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(Millis::from(since).get())
}
