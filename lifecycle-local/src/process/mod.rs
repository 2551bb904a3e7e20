//! Supervision of local processes as a [`Workload`]: a group per revision, each replica one process
//! on a loopback port.
//!
//! - A process must stay in the foreground and listen on `HOST:PORT`. It leads a process group of its
//!   own and writes to a log file of its own, so that it outlives its supervisor.
//! - A replica gets requests once its readiness probe has passed. A new one is also asked in between
//!   (every 20 to 200 ms) until it is ready for the first time; only the regular probes count as
//!   failures.
//! - A replica that fails its liveness probe leaves the proxy, finishes its requests, and is started
//!   again. One whose process ends is started again after a wait that doubles.
//! - A replica that is stopped first leaves the proxy. When the proxy has acknowledged that, its
//!   requests may go on for the wish's drain; then it gets SIGTERM, and after the grace SIGKILL.
//! - [`GroupStatus::failed_attempts`]: a verdict is so many failed readiness probes in a row, or a
//!   process that ended before it was ever ready. The count of a replica only grows.
//!
//! What the supervisor must know after it was killed is in a file that is replaced whole; see the
//! module `ledger` in the source.

pub(crate) mod kill;
mod ledger;
pub(crate) mod logs;
pub(crate) mod probe;
pub(crate) mod procfs;
mod reconcile;
mod recover;
mod show;
pub(crate) mod spawn;
mod status;
mod stop;
mod supervisor;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind, GroupStatus, ScaleWish, Workload};
use lifecycle_core::version::Version;
use tokio::sync::{mpsc, oneshot, watch as channel};

use crate::background::Background;
use crate::control::TableWriter;
use crate::error::LocalError;
use crate::proxy::Effective;
use crate::template::ProcessTemplate;

pub(crate) use ledger::{endpoint_id, now_ms};
pub(crate) use recover::{load, open, read};
pub(crate) use status::Snapshot;
pub use status::{ReplicaState, ReplicaStatus};
pub(crate) use supervisor::{Message, Settings};

/// Tells which replica a process is, from the outside. Set for every process.
pub const TOKEN_VARIABLE: &str = "LIFECYCLE_REPLICA";

/// How long a wish may take to be written down, on the way through a supervisor that may be writing
/// already.
const RECORDED: Duration = Duration::from_secs(3);

/// Local processes as a [`Workload`]. When it and the [`Local`](crate::Local) that it came from are
/// dropped the supervision ends and nothing else: processes and proxy go on serving.
///
/// [`scale`](Workload::scale) answers once the wish is written down. When the disk hangs it answers
/// [`ErrorKind::Transient`] after 3 s; the wish is carried out later, if no newer one has come.
#[derive(Debug)]
pub struct LocalWorkload {
    inbox: mpsc::Sender<Message>,
    snapshot: channel::Receiver<Snapshot>,
    writer: Arc<TableWriter>,
    background: Arc<Background>,
    ledger_file: PathBuf,
}

impl LocalWorkload {
    pub(crate) fn new(
        inbox: mpsc::Sender<Message>,
        snapshot: channel::Receiver<Snapshot>,
        writer: Arc<TableWriter>,
        background: Arc<Background>,
        ledger_file: PathBuf,
    ) -> Self {
        Self { inbox, snapshot, writer, background, ledger_file }
    }

    /// Keeps the template of a revision, so that a rollback can start it again later.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn register(
        &self,
        hash: &str,
        version: &Version,
        template: ProcessTemplate,
    ) -> Result<(), LocalError> {
        let template = template.anchored();
        let (reply, answer) = oneshot::channel();
        let message = Message::Register { hash: hash.to_owned(), version: version.clone(), template, reply };
        let gone = || LocalError::invalid("workload", "the supervisor has ended");
        self.inbox.send(message).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Every replica as it is now.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaStatus> {
        self.snapshot.borrow().replicas.clone()
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> Changes {
        Changes { snapshot: self.snapshot.clone(), effective: self.writer.watch() }
    }
}

/// Tells when something changed: a replica, or what the proxy routes by.
#[derive(Debug)]
pub struct Changes {
    snapshot: channel::Receiver<Snapshot>,
    effective: channel::Receiver<Option<Arc<Effective>>>,
}

impl Changes {
    /// Waits until something has changed since the last call. For a driver: the time to tick again.
    pub async fn next(&mut self) {
        let changed = tokio::select! {
            changed = self.snapshot.changed() => changed,
            changed = self.effective.changed() => changed,
        };
        if changed.is_err() {
            // the supervisor has ended: nothing changes any more
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Workload for LocalWorkload {
    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        if self.background.is_over() || self.inbox.is_closed() {
            return Err(ended("observe"));
        }
        let effective = self.writer.effective();
        Ok(self.snapshot.borrow().groups(effective.as_deref()))
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Scale { wish: wish.clone(), reply };
        let recorded = async {
            self.inbox.send(message).await.map_err(|_| ended("scale"))?;
            answer.await.map_err(|_| ended("scale"))?
        };
        tokio::time::timeout(RECORDED, recorded).await.unwrap_or_else(|_| {
            let file = self.ledger_file.display();
            let what = format!("{file} is not written after {} s: the disk hangs", RECORDED.as_secs());
            Err(BackendError::new("local", "scale", ErrorKind::Transient, what))
        })
    }
}

fn ended(operation: &'static str) -> BackendError {
    BackendError::new("local", operation, ErrorKind::Transient, "the supervisor has ended")
}
