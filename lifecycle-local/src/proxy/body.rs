//! Bodies on their way through, and what happens when they end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::counts::{Counters, Tally};
use super::endpoint::Endpoint;
use super::endpoint::{Connection, InFlight};

/// The body of a request to a replica.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    /// As the client sends it.
    Stream {
        incoming: Incoming,
        /// Has it come to its end?
        sent: Arc<AtomicBool>,
    },
}

impl RequestBody {
    /// What the client sends.
    pub(crate) fn of(incoming: Incoming) -> Self {
        if incoming.is_end_stream() { Self::Empty } else { Self::Stream { incoming, sent: Arc::default() } }
    }

    /// Tells whether the body has been sent to its end; `None` when there is none.
    pub(crate) fn progress(&self) -> Option<Arc<AtomicBool>> {
        match self {
            Self::Empty => None,
            Self::Stream { sent, .. } => Some(Arc::clone(sent)),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream { incoming, sent } => {
                let frame = Pin::new(&mut *incoming).poll_frame(cx);
                if matches!(frame, Poll::Ready(None)) || incoming.is_end_stream() {
                    sent.store(true, Ordering::Release);
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// Counts a request when it is dropped: with its code, and how long it took up to here.
#[derive(Debug)]
pub(crate) struct Record {
    counters: Arc<Counters>,
    replica: Option<Arc<Tally>>,
    started: Instant,
    code: u16,
    failed: bool,
}

/// What is counted for a client that went away before it was answered.
const CLIENT_GONE: u16 = 499;

impl Record {
    /// A request that has no answer yet.
    pub(crate) const fn new(counters: Arc<Counters>, started: Instant) -> Self {
        Self { counters, replica: None, started, code: CLIENT_GONE, failed: false }
    }

    /// The request goes on with some replica of this revision.
    pub(crate) fn by(&mut self, counters: &Arc<Counters>) {
        if !Arc::ptr_eq(&self.counters, counters) {
            self.counters = Arc::clone(counters);
        }
    }

    /// The request goes on with this replica.
    pub(crate) fn by_replica(&mut self, replica: &Endpoint) {
        self.by(&replica.counters);
        self.replica = Some(Arc::clone(&replica.tally));
    }

    /// It is answered with this.
    pub(crate) const fn answered(&mut self, code: u16) {
        self.code = code;
        self.failed = code >= 500;
    }

    /// The answer broke off.
    pub(crate) const fn broke_off(&mut self) {
        self.failed = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.counters.record(self.code, self.failed, took);
        if let Some(replica) = &self.replica {
            replica.record(self.failed, took);
        }
    }
}

/// The body of a response to a client.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The proxy's own words.
    Own {
        /// Not sent yet.
        text: Option<Bytes>,
        /// Counts when it is dropped.
        _record: Record,
    },
    /// What a replica sends.
    Upstream(Box<Upstream>),
}

/// What a replica sends, and what is done once it has ended.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) incoming: Incoming,
    pub(crate) record: Record,
    pub(crate) in_flight: InFlight,
    /// To be kept for the next request.
    pub(crate) connection: Option<Connection>,
    /// Has the body of the request been sent to its end?
    pub(crate) sent: Option<Arc<AtomicBool>>,
    pub(crate) idle_connections: usize,
    pub(crate) ended: bool,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && (self.ended || self.incoming.is_end_stream())
            && self.sent.as_ref().is_none_or(|sent| sent.load(Ordering::Acquire))
        {
            self.in_flight.endpoint.keep_idle(connection, self.idle_connections);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Own { text, .. } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Upstream(upstream) => {
                let frame = Pin::new(&mut upstream.incoming).poll_frame(cx);
                match &frame {
                    Poll::Ready(None) => upstream.ended = true,
                    Poll::Ready(Some(Err(_))) => {
                        upstream.connection = None;
                        upstream.record.broke_off();
                    }
                    _ => {}
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own { text, .. } => text.is_none(),
            Self::Upstream(upstream) => upstream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own { text, .. } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Upstream(upstream) => upstream.incoming.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

    use super::super::document::{EndpointDocument, EndpointState};
    use super::*;

    #[test]
    fn a_request_is_counted_for_its_revision_and_for_the_replica_that_had_it_last() {
        let revision = Revision::new(RevisionNumber(1), "a", parse_version("1.0.0").unwrap());
        let counters = Arc::new(Counters::new(Some(revision.clone())));
        let addr = "127.0.0.1:1".parse().unwrap();
        let [first, second] = ["1", "2"].map(|id| {
            let document = EndpointDocument::new(id, revision.clone(), addr, EndpointState::Ready);
            Endpoint::new(&document, Arc::clone(&counters))
        });
        let mut record = Record::new(Arc::new(Counters::new(None)), Instant::now());
        record.by(&counters);
        record.by_replica(&first);
        record.by_replica(&second);
        record.answered(503);
        drop(record);
        let requests = [counters.totals(), first.tally.totals(), second.tally.totals()]
            .map(|totals| (totals.requests, totals.failed));
        assert_eq!(requests, [(1, 1), (0, 0), (1, 1)]);
    }
}
