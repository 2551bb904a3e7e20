//! The one task that decides about processes. Everything else (probing, waiting, stopping) happens
//! in tasks of their own, which report to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind, ScaleWish};
use lifecycle_core::version::Version;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::ledger::Ledger;
use super::status::Snapshot;
use crate::config::LocalConfig;
use crate::control::{Client, TableWriter};
use crate::error::LocalError;
use crate::files::{DirLock, Durable, replace_json};
use crate::template::ProcessTemplate;

/// What does not change while the supervisor runs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: LocalConfig,
    pub(crate) ledger_file: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) client: Client,
    pub(crate) writer: Arc<TableWriter>,
    /// Held as long as any of the supervisor's tasks lives.
    pub(crate) lock: Arc<DirLock>,
}

/// What the supervisor is told.
#[derive(Debug)]
pub(crate) enum Message {
    Scale {
        wish: ScaleWish,
        reply: oneshot::Sender<BackendResult<()>>,
    },
    Register {
        hash: String,
        version: Version,
        template: ProcessTemplate,
        reply: oneshot::Sender<Result<(), LocalError>>,
    },
    /// Of one start of one replica; of an earlier start it means nothing any more.
    Replica {
        id: u64,
        starts: u32,
        news: News,
    },
}

/// What happened to a replica.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Its readiness probe passes.
    Ready,
    /// It has failed so many readiness probes in a row; why the last one failed.
    NotReady(String),
    /// It has failed so many liveness probes in a row; why the last one failed.
    Unhealthy(String),
    /// Its process has ended, and how.
    Ended(String),
    /// It was stopped: its process is gone.
    Stopped,
}

/// What is known of a replica beyond the ledger.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) phase: Phase,
    pub(super) ready: bool,
    /// Was it ready since this start? Then the proxy may have requests for it.
    pub(super) listed: bool,
    /// Ends in a row without a long run in between.
    pub(super) crashes: u32,
    pub(super) started: Instant,
    pub(super) trouble: Option<String>,
    /// Watches or stops it.
    pub(super) task: Option<AbortHandle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// To be started at this time.
    Waiting(Instant),
    Running,
    Restarting,
    Stopping,
}

impl Runtime {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            phase,
            ready: false,
            listed: false,
            crashes: 0,
            started: Instant::now(),
            trouble: None,
            task: None,
        }
    }
}

/// The one task that decides about processes.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Ledger,
    pub(super) runtimes: BTreeMap<u64, Runtime>,
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    /// All tasks end with the supervisor.
    pub(super) tasks: JoinSet<()>,
    /// Something in the ledger is newer than its file.
    unsaved: bool,
    /// The file could not be written; tried again at this time.
    pub(super) retry: Option<(Instant, String)>,
}

impl Supervisor {
    pub(super) fn new(
        settings: Settings,
        ledger: Ledger,
        inbox: mpsc::Sender<Message>,
    ) -> (Self, watch::Receiver<Snapshot>) {
        let (snapshot, receiver) = watch::channel(Snapshot::default());
        let supervisor = Self {
            settings: Arc::new(settings),
            ledger,
            runtimes: BTreeMap::new(),
            inbox,
            snapshot,
            tasks: JoinSet::new(),
            unsaved: false,
            retry: None,
        };
        (supervisor, receiver)
    }

    /// Works for ever.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            self.start_due().await;
            if self.unsaved {
                self.save_later().await;
            }
            self.publish();
            let due = self.next_due();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.handle(message).await,
                    None => return,
                },
                () = sleep_until(due) => {}
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    async fn handle(&mut self, message: Message) {
        match message {
            Message::Scale { wish, reply } => {
                let result = self.scale(&wish).await;
                self.publish();
                // whoever wished and went away sees it in the next observation
                let _ = reply.send(result);
            }
            Message::Register { hash, version, template, reply } => {
                let before = self.ledger.clone();
                self.ledger.register(&hash, version, template);
                let result = self.save(Durable::Disk).await;
                if result.is_err() {
                    self.ledger = before;
                }
                let _ = reply.send(result);
            }
            Message::Replica { id, starts, news } => {
                if self.ledger.replicas.get(&id).is_some_and(|replica| replica.starts == starts) {
                    self.hear(id, news);
                    self.unsaved = true;
                }
            }
        }
    }

    /// Records a wish, and what follows from it, in one write; then carries it out.
    async fn scale(&mut self, wish: &ScaleWish) -> BackendResult<()> {
        let known = self.ledger.templates.contains_key(&*wish.revision.hash);
        if wish.replicas > 0 && !known {
            let what = format!("no template is registered for {}", wish.revision);
            return Err(BackendError::new("local", "scale", ErrorKind::Invalid, what));
        }
        let before = self.ledger.clone();
        if !self.ledger.wish(wish) {
            return Ok(());
        }
        let changes = self.plan_group(&wish.revision.hash);
        if before != self.ledger
            && let Err(error) = self.save(Durable::Disk).await
        {
            self.ledger = before;
            return Err(
                BackendError::new("local", "scale", ErrorKind::Transient, error.to_string()).because(error)
            );
        }
        self.carry_out(changes);
        self.start_due().await;
        Ok(())
    }

    /// Writes the ledger.
    pub(super) async fn save(&mut self, durable: Durable) -> Result<(), LocalError> {
        let (file, ledger) = (self.settings.ledger_file.clone(), self.ledger.clone());
        let lock = Arc::clone(&self.settings.lock);
        let written = tokio::task::spawn_blocking(move || {
            let written = replace_json(&file, &ledger, durable);
            // a write that outlives this task still keeps other supervisors out
            drop(lock);
            written
        });
        let result = written.await.unwrap_or_else(|error| {
            Err(LocalError::file("write", &self.settings.ledger_file, std::io::Error::other(error)))
        });
        match &result {
            Ok(()) => {
                self.unsaved = false;
                self.retry = None;
            }
            Err(error) => {
                self.unsaved = true;
                tracing::error!(%error, "the state of the processes is not recorded");
                self.retry = Some((Instant::now() + std::time::Duration::from_secs(1), error.to_string()));
            }
        }
        result
    }

    /// Writes what happened by itself; when that fails it is written later.
    pub(super) async fn save_later(&mut self) {
        if self.retry.as_ref().is_none_or(|(at, _)| *at <= Instant::now()) {
            self.unsaved = self.save(Durable::Process).await.is_err();
        }
    }

    pub(super) const fn changed(&mut self) {
        self.unsaved = true;
    }

    fn next_due(&self) -> Option<Instant> {
        let starts = self.runtimes.values().filter_map(|runtime| match runtime.phase {
            Phase::Waiting(at) => Some(at),
            Phase::Running | Phase::Restarting | Phase::Stopping => None,
        });
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        // while nothing can be recorded nothing is started either
        retry.or_else(|| starts.min())
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
