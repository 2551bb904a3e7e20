//! The one writer of the proxy's table.
//!
//! Two parts of this program want something of the table: the workload its endpoints, the router its
//! route. Each changes its own part of one wanted table in memory, under one lock and with one
//! generation, and one task brings the newest wanted table to the proxy. A change is acknowledged
//! when the proxy has answered that a table of its generation or a later one is in effect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle_core::backend::RouteWish;
use tokio::sync::watch;

use super::client::{Client, ControlError};
use crate::proxy::{Effective, EndpointDocument, RouteDocument, TableDocument};

/// Waits between attempts while the proxy does not answer.
const RETRY: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The one writer of the proxy's table.
#[derive(Debug)]
pub(crate) struct TableWriter {
    client: Client,
    wanted: Mutex<TableDocument>,
    /// Grows with every reason to write.
    reasons: watch::Sender<u64>,
    effective: watch::Sender<Option<Arc<Effective>>>,
}

impl TableWriter {
    /// A writer that goes on from the table that the proxy has.
    pub(crate) fn new(client: Client, effective: Effective) -> Self {
        let wanted = Mutex::new(effective.table.clone());
        Self {
            client,
            wanted,
            reasons: watch::Sender::new(0),
            effective: watch::Sender::new(Some(Arc::new(effective))),
        }
    }

    fn wanted(&self) -> MutexGuard<'_, TableDocument> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes for these replicas in the table. Answers with the generation to wait for.
    pub(crate) fn set_endpoints(&self, endpoints: Vec<EndpointDocument>) -> u64 {
        let mut wanted = self.wanted();
        if wanted.endpoints != endpoints {
            wanted.endpoints = endpoints;
            wanted.generation += 1;
            self.write_again();
        }
        wanted.generation
    }

    /// Wishes for this route, unless a newer wish is there already. Answers with the generation to
    /// wait for.
    pub(crate) fn set_route(&self, wish: &RouteWish) -> u64 {
        let mut wanted = self.wanted();
        if wanted.route.as_ref().is_none_or(|route| route.token < wish.token) {
            wanted.route = Some(RouteDocument::of(wish));
            wanted.generation += 1;
            self.write_again();
        }
        wanted.generation
    }

    /// Makes sure that the proxy has the table: it may have been started again.
    pub(crate) fn write_again(&self) {
        self.reasons.send_modify(|reasons| *reasons += 1);
    }

    /// The table that the proxy has last said it routes by.
    pub(crate) fn effective(&self) -> Option<Arc<Effective>> {
        self.effective.borrow().clone()
    }

    /// Tells of every answer of the proxy.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<Effective>>> {
        self.effective.subscribe()
    }

    /// Waits until a table of this generation or a later one is in effect; `false` when that took too
    /// long.
    pub(crate) async fn in_effect(&self, generation: u64, timeout: Duration) -> bool {
        let mut watch = self.watch();
        let reached =
            watch.wait_for(|effective| effective.as_ref().is_some_and(|e| e.table.generation >= generation));
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }

    /// Brings the newest wanted table to the proxy, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut reasons = self.reasons.subscribe();
        let mut wait = RETRY.0;
        loop {
            reasons.mark_unchanged();
            let table = self.wanted().clone();
            match self.client.put(&table).await {
                Ok(effective) => {
                    wait = RETRY.0;
                    if let Some(why) = &effective.not_persisted {
                        tracing::warn!(%why, "the proxy routes by the new table, but could not keep it for its next start");
                    }
                    self.effective.send_replace(Some(Arc::new(effective)));
                    if reasons.changed().await.is_err() {
                        return;
                    }
                }
                Err(ControlError::Newer(effective)) => self.catch_up(&effective),
                Err(error) => {
                    tracing::debug!(%error, "the table is not written yet");
                    // a new wish does not wait for the end of the pause
                    let _ = tokio::time::timeout(wait, reasons.changed()).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    /// The proxy has a table that this writer did not write: the last words of a supervisor that was
    /// killed. Its replicas are ours to say, its route counts if it is newer.
    fn catch_up(&self, theirs: &Effective) {
        let mut wanted = self.wanted();
        let token = |route: &Option<RouteDocument>| route.as_ref().map(|route| route.token);
        if token(&theirs.table.route) > token(&wanted.route) {
            wanted.route.clone_from(&theirs.table.route);
        }
        wanted.generation = wanted.generation.max(theirs.table.generation) + 1;
    }
}
