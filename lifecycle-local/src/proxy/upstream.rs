//! Sending one request to one replica.
//!
//! A connection that was kept idle may have been closed by the replica in the same moment. A request
//! with a safe method and no body takes kept connections, and when one of them ends without a byte of
//! an answer, the request is sent once more, on a new connection, to another replica if there is one
//! (this one may be on its way down). Every other request is never sent
//! twice; it gets a new connection, on which that cannot happen, or one that was used within the last
//! half second if the replica is known to leave idle connections open for longer than a second.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::Builder;
use hyper::http::request;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::config::Limits;
use super::endpoint::{Connection, Endpoint};

/// A request on its way to some replica.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: Request<RequestBody>,
    /// May it be sent once more when the kept connection it took was closed?
    pub(crate) may_repeat: bool,
    /// It was.
    pub(crate) repeated: bool,
    /// Does it want to switch protocols?
    pub(crate) upgrade: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Nothing was sent: another replica can have it.
    Unsent(Box<Outgoing>),
    /// The kept connection was closed: it can be sent once more, on a new connection.
    Again(Box<Outgoing>),
    /// The replica may have seen it.
    Lost,
    /// The replica did not answer in time.
    TimedOut,
}

/// Sends a request to a replica, and waits for the head of the response.
pub(crate) async fn send(
    endpoint: &Arc<Endpoint>,
    outgoing: Outgoing,
    limits: &Limits,
) -> Result<(Response<Incoming>, Option<Connection>), SendError> {
    let deadline = tokio::time::Instant::from_std(Instant::now() + limits.response_timeout());
    let sent = tokio::time::timeout_at(deadline, send_untimed(endpoint, outgoing, limits)).await;
    sent.unwrap_or(Err(SendError::TimedOut))
}

async fn send_untimed(
    endpoint: &Arc<Endpoint>,
    mut outgoing: Outgoing,
    limits: &Limits,
) -> Result<(Response<Incoming>, Option<Connection>), SendError> {
    let kept = !outgoing.upgrade && !outgoing.repeated;
    while kept && let Some(mut connection) = endpoint.take_idle(outgoing.may_repeat, limits.idle_timeout()) {
        if connection.ready().await.is_err() {
            endpoint.was_closed();
            continue;
        }
        let spare = outgoing.may_repeat.then(|| copy_head(&outgoing.request));
        match exchange(connection, outgoing.request).await {
            Ok(answered) => return Ok(answered),
            Err(mut error) => {
                endpoint.was_closed();
                match (error.take_message(), spare) {
                    (Some(unsent), _) => outgoing.request = unsent,
                    (None, Some(spare)) if ended_without_answer(error.error()) => {
                        return Err(SendError::Again(Box::new(Outgoing {
                            request: spare,
                            repeated: true,
                            ..outgoing
                        })));
                    }
                    (None, _) => return Err(SendError::Lost),
                }
            }
        }
    }
    let Ok(connection) = connect(endpoint, outgoing.upgrade, limits).await else {
        return Err(SendError::Unsent(Box::new(outgoing)));
    };
    match exchange(connection, outgoing.request).await {
        Ok((response, connection)) => Ok((response, connection.filter(|_| !outgoing.upgrade))),
        Err(mut error) => match error.take_message() {
            Some(request) => Err(SendError::Unsent(Box::new(Outgoing { request, ..outgoing }))),
            None => Err(SendError::Lost),
        },
    }
}

/// One request and the head of its response.
///
/// A connection that ends in the very moment in which a request is handed to it can leave that
/// request in its queue, without an error and for as long as the queue has a sender. So when the
/// connection has ended the sender is dropped: then the request comes back.
async fn exchange(
    mut connection: Connection,
    request: Request<RequestBody>,
) -> Result<(Response<Incoming>, Option<Connection>), TrySendError<Request<RequestBody>>> {
    let mut answer = std::pin::pin!(connection.try_send_request(request));
    tokio::select! {
        biased;
        answer = &mut answer => return answer.map(|response| (response, Some(connection))),
        Err(_) = connection.ready() => {}
    }
    drop(connection);
    answer.await.map(|response| (response, None))
}

async fn connect(endpoint: &Endpoint, upgrade: bool, limits: &Limits) -> io::Result<Connection> {
    let stream = tokio::time::timeout(limits.connect_timeout(), TcpStream::connect(endpoint.addr)).await??;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new();
    builder.max_headers(limits.headers).max_header_size(limits.header_bytes);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    if upgrade {
        tokio::spawn(connection.with_upgrades());
    } else {
        tokio::spawn(connection);
    }
    Ok(sender)
}

/// The same request once more; only asked for when there is no body.
fn copy_head(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Did the connection end before any byte of an answer came?
fn ended_without_answer(error: &hyper::Error) -> bool {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return true;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
            return matches!(io.kind(), ConnectionReset | BrokenPipe | ConnectionAborted | NotConnected);
        }
        source = cause.source();
    }
    false
}

/// A request as its head and body make it.
pub(crate) fn outgoing(head: request::Parts, body: RequestBody, may_repeat: bool, upgrade: bool) -> Outgoing {
    Outgoing { request: Request::from_parts(head, body), may_repeat, repeated: false, upgrade }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Connections that end in the very moment in which they are given a request.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_request_given_to_a_connection_that_ends_comes_back() {
        for round in 0..20_000_u32 {
            let (near, far) = tokio::io::duplex(64);
            let (mut sender, connection) = Builder::new().handshake(TokioIo::new(near)).await.unwrap();
            tokio::spawn(connection);
            sender.ready().await.unwrap();
            let end = tokio::spawn(async move {
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
                drop(far);
            });
            let answer = exchange(sender, Request::new(RequestBody::Empty));
            let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
            assert!(answer.is_ok_and(|answer| answer.is_err()), "lost in round {round}");
            end.await.unwrap();
        }
    }
}
