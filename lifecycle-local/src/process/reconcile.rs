//! From wishes to processes: which replicas are started, which are stopped, and what follows when
//! something happens to one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::now_ms;
use super::logs;
use super::procfs::ProcessId;
use super::spawn::{Launch, free_port};
use super::stop::{Stop, stop};
use super::supervisor::{Message, News, Phase, Runtime, Supervisor};
use super::watch::{Watch, watch};
use crate::files::Durable;

/// What a wish changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    start: Vec<u64>,
    stop: Vec<u64>,
}

impl Supervisor {
    /// Writes into the ledger what brings a group to its size.
    pub(super) fn plan_group(&mut self, hash: &str) -> Changes {
        let mut changes = Changes::default();
        let Some(group) = self.ledger.groups.get(hash) else { return changes };
        let (wanted, drain) = (usize::try_from(group.replicas).unwrap_or(usize::MAX), group.drain_ms);
        let mut created: Vec<u64> = self.ledger.created(hash).map(|(id, _)| id).collect();
        while created.len() < wanted {
            let id = self.ledger.add(hash);
            created.push(id);
            changes.start.push(id);
        }
        // those that are not ready first, then the youngest
        let ready = |id: &u64| {
            self.runtimes.get(id).is_some_and(|runtime| runtime.ready && runtime.phase == Phase::Running)
        };
        created.sort_by_key(|id| (ready(id), std::cmp::Reverse(*id)));
        let surplus = created.len().saturating_sub(wanted);
        for &id in created.iter().take(surplus) {
            if let Some(replica) = self.ledger.replicas.get_mut(&id) {
                replica.drain_until_ms = Some(now_ms().saturating_add(drain));
                changes.stop.push(id);
            }
        }
        changes
    }

    /// Does what was written down. Starts happen in the next [`start_due`](Self::start_due).
    pub(super) fn carry_out(&mut self, changes: Changes) {
        for id in changes.start {
            self.runtimes.insert(id, Runtime::new(Phase::Waiting(Instant::now())));
        }
        for id in &changes.stop {
            self.begin_stop(*id, Phase::Stopping);
        }
        let generation = self.publish();
        for id in changes.stop {
            self.spawn_stop(id, generation);
        }
    }

    /// Starts every replica whose time has come: recorded first, started, recorded with its pid.
    pub(super) async fn start_due(&mut self) {
        let now = Instant::now();
        if self.retry.as_ref().is_some_and(|(at, _)| *at > now) {
            return;
        }
        let is_due = |runtime: &Runtime| matches!(runtime.phase, Phase::Waiting(at) if at <= now);
        let due: Vec<u64> =
            self.runtimes.iter().filter(|(_, runtime)| is_due(runtime)).map(|(id, _)| *id).collect();
        if due.is_empty() {
            return;
        }
        let mut taken = self.ledger.ports();
        let starts: Vec<u64> = due.into_iter().filter(|id| self.prepare(*id, &mut taken)).collect();
        if self.save(Durable::Process).await.is_err() {
            return;
        }
        logs::prune(&self.settings.logs);
        for id in starts {
            self.start(id);
        }
        self.save_later().await;
    }

    /// Gives a replica its next number of starts and a port.
    fn prepare(&mut self, id: u64, taken: &mut BTreeSet<u16>) -> bool {
        let port = free_port(&self.settings.config.ports, taken);
        match (port, self.ledger.replicas.get_mut(&id)) {
            (Ok(port), Some(replica)) => {
                taken.insert(port);
                replica.port = port;
                replica.starts += 1;
                replica.process = None;
                true
            }
            (Err(why), Some(_)) => {
                self.crashed(id, why);
                false
            }
            (_, None) => {
                self.runtimes.remove(&id);
                false
            }
        }
    }

    fn start(&mut self, id: u64) {
        let Some(replica) = self.ledger.replicas.get(&id) else { return };
        let Some(registered) = self.ledger.templates.get(&replica.hash) else {
            self.crashed(id, "its template is not registered any more".to_owned());
            return;
        };
        let token = self.ledger.token(id, replica);
        let log = self.log(id, &replica.hash);
        let launched = Launch::replica(&registered.template, replica.port, &token, &log).start();
        match (launched, self.ledger.replicas.get_mut(&id)) {
            (Ok(process), Some(replica)) => {
                replica.process = Some(process);
                replica.started_ms = now_ms();
                self.changed();
                self.supervise(id, process, false);
            }
            (Err(why), _) => self.crashed(id, why.to_string()),
            (Ok(_), None) => {}
        }
    }

    /// Watches a running process. `ready`: the proxy already gives it requests.
    pub(super) fn supervise(&mut self, id: u64, process: ProcessId, ready: bool) {
        let Some(replica) = self.ledger.replicas.get(&id) else { return };
        let task = watch(Watch {
            id,
            starts: replica.starts,
            process,
            port: replica.port,
            ready,
            token: self.ledger.token(id, replica),
            log: self.log(id, &replica.hash),
            settings: Arc::clone(&self.settings),
            inbox: self.inbox.clone(),
        });
        let task = self.tasks.spawn(task);
        let runtime = self.runtimes.entry(id).or_insert_with(|| Runtime::new(Phase::Running));
        runtime.phase = Phase::Running;
        runtime.started = Instant::now();
        runtime.ready = ready;
        runtime.listed = ready;
        runtime.task = Some(task);
    }

    /// Something happened to the newest start of a replica.
    pub(super) fn hear(&mut self, id: u64, news: News) {
        let stopping = |runtime: &Runtime| matches!(runtime.phase, Phase::Stopping | Phase::Restarting);
        if news != News::Stopped && self.runtimes.get(&id).is_none_or(stopping) {
            // said before the one who watched it was told to leave it
            return;
        }
        match news {
            News::Ready => {
                if let Some(runtime) = self.runtimes.get_mut(&id) {
                    runtime.ready = true;
                    runtime.listed = true;
                    runtime.trouble = None;
                }
            }
            News::NotReady(why) => {
                self.failed_attempt(id);
                let trouble = self.with_log(id, &format!("not ready: {why}"));
                if let Some(runtime) = self.runtimes.get_mut(&id) {
                    runtime.ready = false;
                    runtime.trouble = Some(trouble);
                }
            }
            News::Unhealthy(why) => {
                self.begin_stop(id, Phase::Restarting);
                let trouble = self.with_log(id, &format!("restarted, its liveness probe failed: {why}"));
                if let Some(runtime) = self.runtimes.get_mut(&id) {
                    runtime.trouble = Some(trouble);
                }
                let generation = self.publish();
                self.spawn_stop(id, generation);
            }
            News::Ended(how) => {
                let trouble = self.with_log(id, &how);
                self.crashed(id, trouble);
            }
            News::Stopped => self.stopped(id),
        }
    }

    /// What went wrong, and where the replica may have said more.
    fn with_log(&self, id: u64, why: &str) -> String {
        match self.ledger.replicas.get(&id) {
            Some(replica) => format!("{why}; log: {}", self.log(id, &replica.hash).display()),
            None => why.to_owned(),
        }
    }

    fn failed_attempt(&mut self, id: u64) {
        if let Some(replica) = self.ledger.replicas.get_mut(&id) {
            replica.failed_attempts = replica.failed_attempts.saturating_add(1);
            self.changed();
        }
    }

    /// The process of a replica ended, or could not be started: once more, after a wait.
    fn crashed(&mut self, id: u64, why: String) {
        if !self.runtimes.get(&id).is_some_and(|runtime| runtime.listed) {
            self.failed_attempt(id);
        }
        let backoff = self.settings.config.backoff;
        let (Some(runtime), Some(replica)) = (self.runtimes.get_mut(&id), self.ledger.replicas.get_mut(&id))
        else {
            return;
        };
        tracing::warn!(replica = id, revision = %replica.hash, %why, "a replica is down");
        let ran_long = replica.process.is_some() && runtime.started.elapsed() >= backoff.most;
        runtime.crashes = if ran_long { 1 } else { runtime.crashes.saturating_add(1) };
        runtime.phase = Phase::Waiting(Instant::now() + backoff.after(runtime.crashes));
        runtime.ready = false;
        runtime.listed = false;
        runtime.trouble = Some(why);
        replica.process = None;
        self.changed();
    }

    /// From here on it gets no new requests.
    fn begin_stop(&mut self, id: u64, phase: Phase) {
        let Some(runtime) = self.runtimes.get_mut(&id) else { return };
        if let Some(task) = runtime.task.take() {
            task.abort();
        }
        runtime.phase = phase;
    }

    /// Stops the process of a replica that gets no new requests from this generation of the table on.
    pub(super) fn spawn_stop(&mut self, id: u64, generation: u64) {
        let Some(replica) = self.ledger.replicas.get(&id) else { return };
        let Some(process) = replica.process else {
            self.stopped(id);
            return;
        };
        let drain = match (replica.drain_until_ms, self.ledger.groups.get(&replica.hash)) {
            (Some(until), _) => Duration::from_millis(until.saturating_sub(now_ms())),
            (None, group) => Duration::from_millis(group.map_or(0, |group| group.drain_ms)),
        };
        let task = stop(Stop {
            id,
            starts: replica.starts,
            process,
            token: self.ledger.token(id, replica),
            drain,
            generation,
            settings: Arc::clone(&self.settings),
            inbox: self.inbox.clone(),
        });
        let task = self.tasks.spawn(task);
        if let Some(runtime) = self.runtimes.get_mut(&id) {
            runtime.task = Some(task);
        }
    }

    fn stopped(&mut self, id: u64) {
        let asked_to = self.ledger.replicas.get(&id).is_none_or(|replica| replica.drain_until_ms.is_some());
        self.changed();
        if asked_to {
            self.ledger.replicas.remove(&id);
            self.runtimes.remove(&id);
            return;
        }
        if let Some(replica) = self.ledger.replicas.get_mut(&id) {
            replica.process = None;
        }
        if let Some(runtime) = self.runtimes.get_mut(&id) {
            runtime.phase = Phase::Waiting(Instant::now());
            runtime.ready = false;
            runtime.listed = false;
        }
    }

    /// Tells the supervisor of something in a moment.
    pub(super) fn tell(&self, id: u64, starts: u32, news: News) {
        // there is room: this is only used before the supervisor has begun to work
        let _ = self.inbox.try_send(Message::Replica { id, starts, news });
    }
}
