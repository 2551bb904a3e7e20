//! Driving a rollout: tick, show, sleep until something can have changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifecycle_core::backend::store::Record;
use lifecycle_core::driver::{Driver, Tick};
use lifecycle_core::machine::State;
use lifecycle_core::report::{Line, LineKind, OutcomeLine, Status};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_local::Changes;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::accept::{self, Accepted};
use super::spool::Spool;
use super::tally::Tally;
use super::view::View;
use super::watch::Watch;
use super::world::World;
use crate::exit::Exit;

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
    /// The rollout has ended, and nothing is left to be scaled.
    Settled,
    /// The same, or it waits for a person.
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
    started: Timestamp,
    tally: Tally,
    status: Option<Status>,
    /// Troubles that were told, and when each was there last.
    troubles: BTreeMap<String, Instant>,
}

/// What ends a sleep.
enum Woken {
    Time,
    Interrupted,
}

impl Course {
    pub(super) fn new(
        world: World,
        driver: Driver,
        spool: Spool,
        watch: Option<Watch>,
        view: Box<dyn View>,
    ) -> Self {
        let (started, tally) = (now(), Tally::default());
        Self { world, driver, spool, watch, view, started, tally, status: None, troubles: BTreeMap::new() }
    }

    /// Drives until this.
    pub(super) async fn go(mut self, until: Until) -> anyhow::Result<Exit> {
        let mut signals = Signals::new()?;
        let mut changes = self.world.changes();
        let mut looked: Option<Instant> = None;
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
                Until::Settled => self.settled(),
                Until::AtRest => self.settled() || self.waits(),
                Until::Interrupted => false,
            };
            if over {
                return self.end(None).await;
            }
            if let Woken::Interrupted = signals.or_change(&mut changes, pause).await {
                return self.end(Some(Exit::Interrupted)).await;
            }
        }
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
        if let Err(refused) = self.world.take(&accepted, &mut self.driver).await {
            return self.tell(
                "ManifestIgnored",
                "Refused",
                format!("{refused:#}; the manifest before holds"),
            );
        }
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

    /// Has the rollout ended, with every replica where it belongs?
    fn settled(&self) -> bool {
        let (Some(state), Some(status)) = (self.driver.state(), &self.status) else { return false };
        let ended =
            !state.is_active() && state.next.is_none() && state.last.is_some() && state.alerts.is_empty();
        let whole = status.stable.as_ref().is_none_or(|stable| stable.available >= stable.desired);
        ended && whole && status.canary.is_none() && status.retiring.is_empty() && self.spool.is_answered()
    }

    /// Is it paused, with every command answered?
    fn waits(&self) -> bool {
        self.driver.state().is_some_and(|state| state.paused.is_some()) && self.spool.is_answered()
    }

    async fn end(mut self, interrupted: Option<Exit>) -> anyhow::Result<Exit> {
        let Some(state) = self.driver.state() else {
            self.world.close().await;
            return Ok(interrupted.unwrap_or(Exit::Failed));
        };
        let mut outcome = OutcomeLine::of(state);
        let over = !state.is_active() && state.last.is_some();
        self.tally.write_to(&mut outcome);
        outcome.requests = self.world.requests().await;
        let exit = match (interrupted, outcome.outcome) {
            (Some(interrupted), _) if !over => interrupted,
            (_, "promoted") => Exit::Done,
            _ => Exit::Failed,
        };
        let listening = self.world.listening();
        self.line(LineKind::Outcome(Box::new(outcome)))?;
        self.view.part(exit, listening)?;
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
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(Millis::from(since).get())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn or_change(&mut self, changes: &mut Changes, time: Duration) -> Woken {
        tokio::select! {
            () = tokio::time::sleep(time) => Woken::Time,
            () = changes.next() => Woken::Time,
            _ = self.interrupt.recv() => Woken::Interrupted,
            _ = self.terminate.recv() => Woken::Interrupted,
            _ = self.hangup.recv() => Woken::Interrupted,
        }
    }
}
