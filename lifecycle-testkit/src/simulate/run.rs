//! The loop: let time pass, let things happen, tick.

use std::collections::BTreeMap;

use lifecycle_core::driver::{Driver, Target, Tick};
use lifecycle_core::machine::Command;
use lifecycle_core::report::OutcomeLine;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;

use super::ending::{Left, fault_end, left};
use super::scenario::{Happening, Scenario, What};
use super::watch::Watch;
use crate::cluster::{Cluster, Fault, at_once};
use crate::properties::{End, Fact};

/// A driver whose tick failed tries again after this time.
const RETRY: Millis = Millis::from_secs(1);

/// No run is longer, unless its plan is.
const LONGEST: Millis = Millis::from_secs(7 * 24 * 3600);

/// No run has more turns, whatever a driver asks for.
const MOST_TURNS: u64 = 4_000_000;

/// What the driver's clock shows at the start: far enough from its origin that it can jump back.
const CLOCK_AT_ZERO: Millis = Millis::from_secs(30 * 24 * 3600);

/// A rollout that waited for a person so long, with nobody to come, waits for ever.
const FOREVER: Millis = Millis::from_secs(3600);

#[derive(Debug)]
pub(super) struct Run {
    pub(super) cluster: Cluster,
    pub(super) ticks: u64,
    turns: u64,
    driver: Option<Driver>,
    target: Target,
    updates: BTreeMap<Version, Target>,
    events: Vec<Happening>,
    /// How many of the events have happened.
    happened: usize,
    /// Commands that were given and not yet carried out; a new driver is given them again.
    commands: Vec<Command>,
    given: u32,
    /// When to tick at the latest; `None`: when something happens.
    wake: Option<Timestamp>,
    ticked_at: Option<Timestamp>,
    /// Writes until the last tick began.
    writes_before: u64,
    /// When a driver that died is back.
    back: Option<Timestamp>,
    /// The driver dies at its n-th write from some time on, and stays away so long.
    armed: Option<Millis>,
    /// How far the driver's clock is ahead.
    ahead: i64,
    /// From here on nothing goes wrong any more.
    faults_end: Timestamp,
    faults_over: bool,
    until: Option<Timestamp>,
    longest: Timestamp,
    /// When something was last done or seen to change.
    changed_at: Timestamp,
    /// What the last tick left to do.
    left: Left,
    outcome: Option<OutcomeLine>,
    /// Is each look told?
    pub(super) explains: bool,
}

impl Run {
    pub(super) fn new(
        cluster: Cluster,
        target: Target,
        updates: BTreeMap<Version, Target>,
        scenario: &Scenario,
    ) -> Self {
        let bakes =
            target.plan.steps().iter().map(|hold| hold.bake).fold(Millis::ZERO, |sum, bake| sum + bake);
        let longest = LONGEST.max((bakes + target.plan.retire().keep).times(2));
        Self {
            cluster,
            ticks: 0,
            turns: 0,
            driver: None,
            target,
            updates,
            events: scenario.events.clone(),
            happened: 0,
            commands: Vec::new(),
            given: 0,
            wake: None,
            ticked_at: None,
            writes_before: 0,
            back: Some(Timestamp::ZERO),
            armed: None,
            ahead: 0,
            faults_end: scenario.events.iter().map(fault_end).max().unwrap_or_default(),
            faults_over: false,
            until: scenario.until.map(|until| Timestamp::ZERO + until),
            longest: Timestamp::ZERO + longest,
            changed_at: Timestamp::ZERO,
            left: Left::Work,
            outcome: None,
            explains: false,
        }
    }

    pub(super) fn drive(&mut self, watch: &mut dyn Watch) -> OutcomeLine {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        let end = loop {
            if let Some(end) = self.over() {
                break end;
            }
            self.turns += 1;
            let (now, noticed) = self.cluster.advance_until_noticed(self.next());
            self.come_back(now);
            let told = self.happen(now, watch);
            self.tell_faults_over(now);
            if noticed || told || self.wake.is_some_and(|wake| wake <= now) {
                self.tick(now, watch);
            }
        };
        self.finish(end)
    }

    /// The next time at which something is due.
    fn next(&self) -> Timestamp {
        let event = self.events.get(self.happened).map(|event| event.at);
        let now = self.cluster.now();
        let faults_end = Some(self.faults_end).filter(|&end| end > now);
        let wake = self.wake.filter(|_| self.driver.is_some());
        // what moves by itself may come to rest without anybody being told
        let rest = self.cluster.is_moving().then(|| self.cluster.now() + RETRY);
        [event, faults_end, wake, self.back, self.until, rest]
            .into_iter()
            .flatten()
            .fold(self.longest, Ord::min)
    }

    /// Is it over, and if so, why?
    fn over(&mut self) -> Option<End> {
        let now = self.cluster.now();
        if self.until.is_some_and(|until| now >= until) {
            return Some(End::CutOff);
        }
        if now >= self.longest || self.turns >= MOST_TURNS {
            return Some(End::GaveUp);
        }
        let over = self.happened == self.events.len() && self.back.is_none() && now >= self.faults_end;
        if !over {
            return None;
        }
        let settled = match self.left {
            Left::Work => false,
            Left::Nothing => true,
            Left::Keeping => self.until.is_none(),
            Left::Person => {
                // (a version that flaps never comes to rest)
                let rest = self.wake.is_none() && !self.cluster.is_moving();
                let for_ever = rest || now.since(self.changed_at) >= FOREVER;
                return (self.until.is_none() && for_ever).then_some(End::Waits);
            }
        };
        (settled && !self.cluster.is_moving()).then_some(End::Settled)
    }

    fn finish(&mut self, end: End) -> OutcomeLine {
        if end == End::Settled && !self.faults_over {
            // the driver was to die at a write that never came
            self.cluster.crash_after(None);
            self.cluster.see(Fact::FaultsOver);
        }
        self.cluster.see(Fact::End(end));
        let stored = || self.cluster.record().map(|record| record.state).unwrap_or_default();
        let mut outcome = match self.driver.as_ref().and_then(Driver::state) {
            Some(state) => OutcomeLine::of(state),
            None => OutcomeLine::of(&stored()),
        };
        outcome.requests = self.cluster.requests();
        (outcome.min_available, outcome.max_total) = self.cluster.extremes();
        let text = |violation: &crate::properties::Violation| {
            format!("{}: {}", violation.property, violation.message)
        };
        outcome.violations = self.cluster.violations().iter().map(text).collect();
        self.outcome = Some(outcome.clone());
        outcome
    }

    // ---- what happens --------------------------------------------------------------------------

    fn come_back(&mut self, now: Timestamp) {
        if self.back.is_none_or(|back| back > now) {
            return;
        }
        self.back = None;
        self.cluster.see(Fact::Target(&self.target));
        // it was accepted before the run began, so it is accepted here
        let driver = Driver::new(self.target.clone(), self.cluster.backends()).ok();
        self.driver = if self.explains { driver.map(Driver::explained) } else { driver };
        if let Some(driver) = &mut self.driver {
            for command in &self.commands {
                driver.command(command.clone());
            }
        }
        self.wake = Some(now);
    }

    fn tell_faults_over(&mut self, now: Timestamp) {
        if !self.faults_over && self.armed.is_none() && self.back.is_none() && now >= self.faults_end {
            self.faults_over = true;
            self.cluster.see(Fact::FaultsOver);
        }
    }

    /// Lets every event that is due happen. Was the driver told something?
    fn happen(&mut self, now: Timestamp, watch: &mut dyn Watch) -> bool {
        let mut told = false;
        while let Some(event) = self.events.get(self.happened).filter(|event| event.at <= now).cloned() {
            self.happened += 1;
            self.changed_at = now;
            watch.happened(&event);
            match event.what {
                What::Command(kind) => {
                    self.given += 1;
                    let command = Command::new(format!("cmd-{}", self.given), kind);
                    self.cluster.see(Fact::Command(&command));
                    if let Some(driver) = &mut self.driver {
                        driver.command(command.clone());
                    }
                    self.commands.push(command);
                    told = true;
                }
                What::Update(version) => {
                    self.update(&version);
                    told = true;
                }
                What::Set(version, profile) => self.cluster.set_profile(&version, profile),
                What::Fault(fault, span) => self.cluster.begin(fault, span),
                What::CriticalAlert(span) => {
                    self.cluster.begin(Fault::CriticalAlert(self.rolled_out()), span)
                }
                What::Crash { after: Some(n), down } => {
                    self.cluster.crash_after(Some(n));
                    self.armed = Some(down);
                }
                What::Crash { after: None, down } => self.crash_now(now, down, watch),
                What::ClockJump(ms) => {
                    self.ahead = self.ahead.saturating_add(ms);
                    told = true;
                }
            }
        }
        told
    }

    fn update(&mut self, version: &Version) {
        let Some(target) = self.updates.get(version) else { return };
        self.target = target.clone();
        if let Some(driver) = &mut self.driver {
            self.cluster.see(Fact::Target(&self.target));
            // it was accepted before the run began, so it is accepted here
            let _ = driver.set_target(self.target.clone());
        }
    }

    /// The version that is rolled out, or the newest that was asked for.
    fn rolled_out(&self) -> Version {
        let state = self.driver.as_ref().and_then(Driver::state);
        let canary = state.and_then(|state| state.canary.and_then(|number| state.revision(number)));
        canary.map_or_else(|| self.target.desired.version.clone(), |revision| revision.version.clone())
    }

    /// The driver dies: between two effects, if a tick has any just now.
    fn crash_now(&mut self, now: Timestamp, down: Millis, watch: &mut dyn Watch) {
        if self.driver.is_none() {
            return;
        }
        self.cluster.crash_after(Some(1));
        self.armed = Some(down);
        self.tick(now, watch);
        if self.driver.is_some() {
            self.die(now, false, watch);
        }
    }

    fn die(&mut self, now: Timestamp, inside: bool, watch: &mut dyn Watch) {
        self.cluster.crash_after(None);
        self.driver = None;
        self.left = Left::Work;
        self.back = Some(now + self.armed.take().unwrap_or(RETRY));
        let applied = if inside { self.cluster.writes().saturating_sub(self.writes_before) } else { 0 };
        self.cluster.see(Fact::Crashed { applied: usize::try_from(applied).unwrap_or(usize::MAX) });
        watch.crashed(now, self.cluster.writes(), inside);
    }

    // ---- the driver ----------------------------------------------------------------------------

    fn tick(&mut self, now: Timestamp, watch: &mut dyn Watch) {
        if self.ticked_at == Some(now) && self.wake.is_none_or(|wake| wake > now) {
            // once an instant: the rest can wait for the next
            self.wake = Some(now + Millis(1));
            return;
        }
        let clock =
            Timestamp::from_millis((now + CLOCK_AT_ZERO).as_millis().saturating_add_signed(self.ahead));
        let Some(driver) = &mut self.driver else { return };
        self.writes_before = self.cluster.writes();
        self.ticked_at = Some(now);
        self.ticks += 1;
        match at_once(driver.tick(clock)) {
            None => self.die(now, true, watch),
            Some(Err(error)) => {
                self.wake = Some(now + RETRY);
                self.left = Left::Work;
                watch.failed(now, &error);
            }
            Some(Ok(tick)) => self.ticked(now, clock, &tick, watch),
        }
    }

    fn ticked(&mut self, now: Timestamp, clock: Timestamp, tick: &Tick, watch: &mut dyn Watch) {
        let ahead = self.ahead;
        self.wake = tick.wake_at.map(|wake| {
            let ms = wake.as_millis().saturating_add_signed(ahead.saturating_neg());
            Timestamp::from_millis(ms.saturating_sub(CLOCK_AT_ZERO.get())).max(now + Millis(1))
        });
        if !tick.actions.is_empty() || !tick.events.is_empty() {
            self.changed_at = now;
        }
        let Some(state) = self.driver.as_ref().and_then(Driver::state) else { return };
        self.commands.retain(|command| !state.seen_commands.contains(&command.id));
        let asked = state.acted_on.as_ref() == Some(&self.target.desired.hash) || state.paused.is_some();
        let due = tick.wake_at.is_some_and(|wake| wake <= clock);
        let more = due || !asked || !tick.actions.is_empty() || !tick.errors.is_empty();
        self.left =
            if more || !self.commands.is_empty() { Left::Work } else { left(state, tick.wake_at.is_some()) };
        watch.ticked(now, tick, state);
    }
}
