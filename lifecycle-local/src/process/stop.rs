//! Stopping one process without losing a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::mpsc;

use super::kill::kill_rest;
use super::ledger::endpoint_id;
use super::procfs::ProcessId;
use super::supervisor::{Message, News, Settings};
use crate::proxy::{Effective, EndpointState};

/// How often the proxy is asked for the requests under way.
const ASK: Duration = Duration::from_millis(10);
/// A proxy that does not answer for this long on top of the drain is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One process to stop.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) id: u64,
    pub(super) starts: u32,
    pub(super) process: ProcessId,
    pub(super) token: String,
    pub(super) drain: Duration,
    /// From this generation of the proxy's table on it gets nothing new.
    pub(super) generation: u64,
    pub(super) settings: Arc<Settings>,
    pub(super) inbox: mpsc::Sender<Message>,
}

/// Waits for the proxy's acknowledgement that the replica gets nothing new, then for its requests, at
/// most for the drain; then SIGTERM, and after the grace SIGKILL.
pub(super) async fn stop(it: Stop) {
    tokio::select! {
        () = drained(&it) => {}
        () = it.process.ended() => {}
    }
    it.process.signal_group(Signal::TERM);
    if tokio::time::timeout(it.settings.config.grace, it.process.ended()).await.is_err() {
        tracing::warn!(replica = it.id, "a replica did not end in its grace and is killed");
        it.process.signal_group(Signal::KILL);
        it.process.ended().await;
    }
    it.process.signal_group(Signal::KILL);
    it.process.reap();
    kill_rest(&it.token).await;
    let _ = it.inbox.send(Message::Replica { id: it.id, starts: it.starts, news: News::Stopped }).await;
}

async fn drained(it: &Stop) {
    let endpoint = endpoint_id(it.id, it.starts);
    let begun = Instant::now();
    if !it.settings.writer.in_effect(it.generation, it.drain + PATIENCE).await {
        tracing::warn!(replica = it.id, "the proxy has not acknowledged that a replica leaves");
        return;
    }
    while begun.elapsed() < it.drain {
        match it.settings.client.table().await {
            Ok(table) if is_out(&table, &endpoint) && table.in_flight_of(&endpoint) == 0 => return,
            _ => tokio::time::sleep(ASK.min(it.drain.saturating_sub(begun.elapsed()))).await,
        }
    }
}

/// Does the proxy give this replica nothing new?
fn is_out(table: &Effective, endpoint: &str) -> bool {
    table.table.endpoints.iter().all(|entry| entry.id != endpoint || entry.state == EndpointState::Leaving)
}
