//! One replica as the proxy sees it: requests under way, and idle connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use lifecycle_core::version::Revision;

use super::body::RequestBody;
use super::counts::{Counters, Tally};
use super::document::EndpointDocument;

/// A connection to a replica that can take a request.
pub(crate) type Connection = SendRequest<RequestBody>;

/// One replica.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) addr: SocketAddr,
    pub(crate) revision: Revision,
    pub(crate) counters: Arc<Counters>,
    /// Its own share of them.
    pub(crate) tally: Arc<Tally>,
    in_flight: AtomicU64,
    leaving: AtomicBool,
    idle: Mutex<Idle>,
}

/// Connections without a request, the one used last at the end.
#[derive(Debug, Default)]
struct Idle {
    connections: VecDeque<(Connection, Instant)>,
    /// A connection was seen open after it was idle for [`PROOF`].
    proven: bool,
    /// The replica closed a connection that was idle for less than twice that.
    hasty: Option<Instant>,
}

/// A replica that leaves connections open for this long is trusted not to close one that was just
/// used.
const PROOF: Duration = Duration::from_secs(1);
/// How old a connection may be then for a request that cannot be repeated.
const JUST_USED: Duration = Duration::from_millis(500);
/// How long a replica that closed one early is not trusted.
const DISTRUST: Duration = Duration::from_secs(60);

impl Endpoint {
    pub(crate) fn new(document: &EndpointDocument, counters: Arc<Counters>) -> Self {
        Self {
            id: document.id.clone(),
            addr: document.addr,
            revision: document.revision.clone(),
            counters,
            tally: Arc::new(Tally::new()),
            in_flight: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            idle: Mutex::default(),
        }
    }

    /// Lets a request in, unless the replica is leaving.
    ///
    /// Counting first and looking second, against [`leave`](Self::leave) and
    /// [`in_flight`](Self::in_flight) in the order of one writer (all sequentially consistent): a
    /// request that the writer did not count has seen that the replica is leaving.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let held = InFlight { endpoint: Arc::clone(self) };
        (!self.leaving.load(Ordering::SeqCst)).then_some(held)
    }

    /// No new requests from here on (or new ones again).
    pub(crate) fn leave(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::SeqCst);
        if leaving {
            self.idle().connections.clear();
        }
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// The connection that was used last: it is the least likely to have been closed. For a request
    /// that cannot be repeated only when it was used a moment ago, and the replica is known to leave
    /// connections open for much longer than that.
    pub(crate) fn take_idle(&self, may_repeat: bool, idle_timeout: Duration) -> Option<Connection> {
        let mut idle = self.idle();
        if !may_repeat && !idle.is_trusted() {
            return None;
        }
        while let Some((connection, since)) = idle.connections.pop_back() {
            let age = since.elapsed();
            if age > idle_timeout {
                // everything below is older still
                idle.connections.clear();
            } else if connection.is_closed() {
                idle.closed(age);
            } else if !may_repeat && age > JUST_USED {
                idle.connections.push_back((connection, since));
                return None;
            } else {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose response was read to its end, instead of the one that was used the
    /// longest time ago when there are enough: a request that cannot be repeated takes fresh ones only.
    pub(crate) fn keep_idle(&self, connection: Connection, most: usize) {
        if connection.is_closed() || self.leaving.load(Ordering::SeqCst) {
            return;
        }
        let mut idle = self.idle();
        if idle.connections.len() >= most && idle.connections.pop_front().is_none() {
            return;
        }
        idle.connections.push_back((connection, Instant::now()));
    }

    /// A connection that was just taken turned out to be closed by the replica.
    pub(crate) fn was_closed(&self) {
        self.idle().closed(Duration::ZERO);
    }

    /// Looks at all idle connections: which are closed, and which have been idle for too long.
    pub(crate) fn sweep_idle(&self, idle_timeout: Duration) {
        let mut idle = self.idle();
        let mut closed = None;
        let mut proven = false;
        idle.connections.retain(|(connection, since)| {
            let age = since.elapsed();
            if connection.is_closed() {
                closed = closed.max(Some(std::cmp::Reverse(age)));
                return false;
            }
            proven |= age >= PROOF;
            age <= idle_timeout
        });
        idle.proven |= proven;
        if let Some(std::cmp::Reverse(youngest)) = closed {
            idle.closed(youngest);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn is_trusted(&self) -> bool {
        self.proven && self.hasty.is_none_or(|when| when.elapsed() > DISTRUST)
    }

    /// The replica closed a connection that was idle for at most this long.
    fn closed(&mut self, age: Duration) {
        if age < PROOF * 2 {
            self.hasty = Some(Instant::now());
            self.proven = false;
        }
    }
}

/// A request under way at a replica; dropped when it has ended.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use hyper::client::conn::http1::handshake;
    use hyper_util::rt::TokioIo;
    use lifecycle_core::version::{RevisionNumber, parse_version};
    use tokio::io::DuplexStream;

    use super::super::document::EndpointState;
    use super::*;

    /// A connection, and its other end.
    async fn connection() -> (Connection, DuplexStream) {
        let (near, far) = tokio::io::duplex(64);
        let (sender, connection) = handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        (sender, far)
    }

    /// Many at once leave as many idle connections as may be kept. These get old; a request that
    /// cannot be repeated, and every one after it, must not need a new connection for ever.
    #[tokio::test]
    async fn a_connection_that_was_just_used_is_kept_instead_of_an_old_one() {
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.0.0").unwrap());
        let counters = Arc::new(Counters::new(Some(revision.clone())));
        let addr = "127.0.0.1:1".parse().unwrap();
        let document = EndpointDocument::new("r1.1", revision, addr, EndpointState::Ready);
        let endpoint = Endpoint::new(&document, counters);
        let mut others = Vec::new();
        let mut keep = async || {
            let (connection, other) = connection().await;
            others.push(other);
            endpoint.keep_idle(connection, 2);
        };
        keep().await;
        keep().await;
        endpoint.idle().connections.iter_mut().for_each(|(_, since)| *since -= PROOF);
        endpoint.sweep_idle(Duration::from_secs(30));
        let taken = || endpoint.take_idle(false, Duration::from_secs(30)).is_some();
        assert!(!taken(), "both are old");
        keep().await;
        assert_eq!(endpoint.idle().connections.len(), 2);
        assert!(taken() && !taken(), "the one that was just used is there");
    }
}
