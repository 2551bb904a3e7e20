//! Taking over what a supervisor before has left.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::{mpsc, watch};

use super::TOKEN_VARIABLE;
use super::ledger::{FORMAT, Ledger, endpoint_id};
use super::procfs::{ProcessId, boot_id, find_by_variable};
use super::status::Snapshot;
use super::supervisor::{Message, News, Phase, Runtime, Settings, Supervisor};
use crate::error::LocalError;
use crate::files::{Durable, read_json, replace_json};
use crate::proxy::{Effective, EndpointState};

/// Between fork and exec a process cannot be found by its environment yet. A start that was not
/// recorded is looked for this long.
const UNBORN: Duration = Duration::from_millis(200);
/// How long a process that was killed may take to be gone before it is left alone.
const DYING: Duration = Duration::from_secs(1);
/// Messages that wait for the supervisor.
const INBOX: usize = 4096;

/// A supervisor that has not begun to work.
pub(crate) struct Opened {
    pub(crate) supervisor: Supervisor,
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) inbox: mpsc::Sender<Message>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
}

/// Reads the ledger, or begins one, so that it has a name before any process is started.
///
/// # Errors
/// When it cannot be read or written, or is of a newer form.
pub(crate) fn load(file: &Path) -> Result<Ledger, LocalError> {
    if let Some(ledger) = read(file)? {
        return Ok(ledger);
    }
    let ledger = Ledger::new(boot_id());
    replace_json(file, &ledger, Durable::Disk)?;
    Ok(ledger)
}

/// Reads the ledger, `None` when nothing was ever started.
///
/// # Errors
/// When it cannot be read, or is of a newer form.
pub(crate) fn read(file: &Path) -> Result<Option<Ledger>, LocalError> {
    let boot = boot_id();
    let Some(mut ledger) = read_json::<Ledger>(file)? else { return Ok(None) };
    if ledger.format != FORMAT {
        let problem = format!("it has form {}, and this program knows form {FORMAT}", ledger.format);
        return Err(LocalError::Damaged { path: file.to_owned(), problem });
    }
    if ledger.boot != boot {
        // no process has outlived the system
        ledger.boot = boot;
        for replica in ledger.replicas.values_mut() {
            replica.process = None;
        }
    }
    Ok(Some(ledger))
}

/// Finds the processes of a ledger again, and ends those that are in no ledger.
pub(crate) async fn open(settings: Settings, mut ledger: Ledger, effective: &Effective) -> Opened {
    find_unrecorded(&mut ledger).await;
    kill_strays(&ledger).await;
    let (inbox, messages) = mpsc::channel(INBOX);
    let (mut supervisor, snapshot) = Supervisor::new(settings, ledger, inbox.clone());
    let replicas: Vec<(u64, u32, Option<ProcessId>, bool)> = supervisor
        .ledger
        .replicas
        .iter()
        .map(|(id, r)| (*id, r.starts, r.process, r.drain_until_ms.is_some()))
        .collect();
    let mut stopping = Vec::new();
    for (id, starts, process, asked_to_stop) in replicas {
        let listed = effective.table.endpoints.iter().find(|endpoint| endpoint.id == endpoint_id(id, starts));
        let ready = listed.is_some_and(|endpoint| endpoint.state == EndpointState::Ready);
        match process {
            _ if asked_to_stop => {
                let mut runtime = Runtime::new(Phase::Stopping);
                runtime.listed = listed.is_some();
                supervisor.runtimes.insert(id, runtime);
                stopping.push(id);
            }
            Some(process) if process.is_alive() => {
                supervisor.supervise(id, process, ready);
                if let Some(runtime) = supervisor.runtimes.get_mut(&id) {
                    runtime.listed = listed.is_some();
                }
            }
            Some(process) => {
                process.reap();
                let mut runtime = Runtime::new(Phase::Running);
                runtime.listed = listed.is_some();
                supervisor.runtimes.insert(id, runtime);
                supervisor.tell(id, starts, News::Ended("ended while nobody watched".to_owned()));
            }
            None => {
                supervisor.runtimes.insert(id, Runtime::new(Phase::Waiting(Instant::now())));
            }
        }
    }
    let generation = supervisor.publish();
    for id in stopping {
        supervisor.spawn_stop(id, generation);
    }
    let hashes: Vec<String> = supervisor.ledger.groups.keys().cloned().collect();
    for hash in hashes {
        let changes = supervisor.plan_group(&hash);
        supervisor.carry_out(changes);
    }
    supervisor.changed();
    Opened { supervisor, messages, inbox, snapshot }
}

/// Looks for the processes of starts that were written down, and whose pid was not.
async fn find_unrecorded(ledger: &mut Ledger) {
    let deadline = Instant::now() + UNBORN;
    loop {
        let missing: Vec<(u64, String)> = ledger
            .replicas
            .iter()
            .filter(|(_, replica)| replica.process.is_none() && replica.starts > 0)
            .map(|(id, replica)| (*id, ledger.token(*id, replica)))
            .collect();
        if missing.is_empty() {
            return;
        }
        let found = find_by_variable(TOKEN_VARIABLE, &ledger.name).unwrap_or_default();
        for (id, token) in missing {
            // what it has started itself has its token too, and is younger
            let process = found.iter().filter(|(_, value)| *value == token).map(|(process, _)| *process);
            let process = process.min_by_key(|process| (process.start, process.pid));
            if let (Some(process), Some(replica)) = (process, ledger.replicas.get_mut(&id)) {
                replica.process = Some(process);
            }
        }
        if Instant::now() > deadline {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends processes of this state directory that are in no ledger: earlier starts of a replica, and
/// replicas whose record is gone. The proxy has a record of its own.
async fn kill_strays(ledger: &Ledger) {
    let known: BTreeSet<String> =
        ledger.replicas.iter().map(|(id, replica)| ledger.token(*id, replica)).collect();
    for (process, token) in
        find_by_variable(TOKEN_VARIABLE, &format!("{}-r", ledger.name)).unwrap_or_default()
    {
        if !known.contains(&token) {
            tracing::warn!(pid = process.pid, %token, "a process that nobody knows is killed");
            process.signal(Signal::KILL);
            // Usually at once. One that this program has started would stay behind as a zombie.
            let _ = tokio::time::timeout(DYING, process.ended()).await;
            process.reap();
        }
    }
}
