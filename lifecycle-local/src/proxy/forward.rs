//! One request from a client, from its head to its answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;

use super::body::{Record, RequestBody, ResponseBody, Upstream};
use super::config::Limits;
use super::counts::Counts;
use super::endpoint::{Connection, Endpoint, InFlight};
use super::headers;
use super::table::Table;
use super::upstream::{Outgoing, SendError, outgoing, send};

/// How often a request takes a newer table because every replica of the one it had was leaving.
const TABLES: usize = 3;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: ArcSwap<Table>,
    pub(crate) counts: Counts,
    pub(crate) limits: Limits,
    pub(crate) listen: SocketAddr,
}

/// Answers one request.
pub(crate) async fn forward(
    shared: &Shared,
    client: IpAddr,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    let mut record = Record::new(Arc::clone(&shared.counts.unrouted), Instant::now());
    if request.method() == Method::CONNECT {
        return own(record, StatusCode::METHOD_NOT_ALLOWED, "this proxy opens no tunnels to other hosts\n");
    }
    let upgrade = headers::wanted_upgrade(request.headers());
    let from_client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    let body = RequestBody::of(body);
    let progress = body.progress();
    headers::to_upstream(&mut head, client, shared.listen, !body.is_end_stream());
    let may_repeat = headers::is_safe(&head.method) && body.is_end_stream() && upgrade.is_none();
    let wants_upgrade = upgrade.is_some();
    if let Some(protocol) = upgrade {
        headers::put_upgrade(&mut head.headers, protocol);
    }
    let sent = to_some_replica(shared, &mut record, outgoing(head, body, may_repeat, wants_upgrade)).await;
    match sent {
        Ok(answer) => respond(answer, record, from_client, progress, shared.limits.idle_connections),
        Err((status, why)) => own(record, status, why),
    }
}

struct Answer {
    response: Response<Incoming>,
    connection: Option<Connection>,
    in_flight: InFlight,
}

type Refusal = (StatusCode, &'static str);

/// Sends a request to the replica whose turn it is; when it could not be sent at all, to another one
/// of the same revision.
async fn to_some_replica(
    shared: &Shared,
    record: &mut Record,
    mut outgoing: Outgoing,
) -> Result<Answer, Refusal> {
    let mut unreachable = false;
    for _ in 0..TABLES {
        let table = shared.table.load_full();
        let arm = table.pick();
        record.by(&arm.counters);
        let Some(first) = arm.turn() else { break };
        let mut candidate = &arm.ready[first];
        let mut rest = None;
        let mut again = None;
        loop {
            record.by_replica(candidate);
            match try_one(candidate, outgoing, &shared.limits).await {
                Ok(answer) => return Ok(answer),
                Err(NotAnswered::Failed(refusal)) => return Err(refusal),
                Err(NotAnswered::Leaving(unsent)) => outgoing = *unsent,
                Err(NotAnswered::Again(unsent)) => {
                    outgoing = *unsent;
                    again = Some(candidate);
                }
                Err(NotAnswered::Unreachable(unsent)) => {
                    outgoing = *unsent;
                    unreachable = true;
                    candidate.counters.retried.fetch_add(1, Ordering::Relaxed);
                }
            }
            let rest = rest.get_or_insert_with(|| arm.after(first).into_iter());
            match rest.next().or_else(|| again.take()) {
                Some(next) => candidate = next,
                None => break,
            }
        }
        if unreachable {
            break;
        }
    }
    Err(if unreachable {
        (StatusCode::BAD_GATEWAY, "no replica could be reached\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no replica is ready\n")
    })
}

enum NotAnswered {
    Leaving(Box<Outgoing>),
    Again(Box<Outgoing>),
    Unreachable(Box<Outgoing>),
    Failed(Refusal),
}

async fn try_one(
    endpoint: &Arc<Endpoint>,
    outgoing: Outgoing,
    limits: &Limits,
) -> Result<Answer, NotAnswered> {
    let Some(in_flight) = endpoint.admit() else { return Err(NotAnswered::Leaving(Box::new(outgoing))) };
    match send(endpoint, outgoing, limits).await {
        Ok((response, connection)) => Ok(Answer { response, connection, in_flight }),
        Err(SendError::Unsent(outgoing)) => Err(NotAnswered::Unreachable(outgoing)),
        Err(SendError::Again(outgoing)) => Err(NotAnswered::Again(outgoing)),
        Err(SendError::Lost) => Err(NotAnswered::Failed((
            StatusCode::BAD_GATEWAY,
            "the replica ended the connection without an answer\n",
        ))),
        Err(SendError::TimedOut) => {
            Err(NotAnswered::Failed((StatusCode::GATEWAY_TIMEOUT, "the replica did not answer in time\n")))
        }
    }
}

fn respond(
    answer: Answer,
    mut record: Record,
    from_client: Option<OnUpgrade>,
    sent: Option<Arc<AtomicBool>>,
    idle_connections: usize,
) -> Response<ResponseBody> {
    let Answer { mut response, connection, in_flight } = answer;
    record.answered(response.status().as_u16());
    *response.version_mut() = Version::HTTP_11;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(from_client)) = (response.status(), from_client) {
        let protocol = response.headers().get(UPGRADE).cloned();
        let to_replica = hyper::upgrade::on(&mut response);
        tokio::spawn(tunnel(from_client, to_replica, in_flight));
        headers::remove_hop_by_hop(response.headers_mut());
        if let Some(protocol) = protocol {
            headers::put_upgrade(response.headers_mut(), protocol);
        }
        return response.map(|_| ResponseBody::Own { text: None, _record: record });
    }
    let connection = connection.filter(|_| !headers::closes(response.headers()));
    headers::remove_hop_by_hop(response.headers_mut());
    response.map(|incoming| {
        ResponseBody::Upstream(Box::new(Upstream {
            incoming,
            record,
            in_flight,
            connection,
            sent,
            idle_connections,
            ended: false,
        }))
    })
}

/// Passes bytes both ways after a switch of protocols, until both sides have ended. It counts as a
/// request under way for as long.
async fn tunnel(from_client: OnUpgrade, to_replica: OnUpgrade, in_flight: InFlight) {
    if let Ok((client, replica)) = tokio::try_join!(from_client, to_replica) {
        // an end that is cut off is the business of the two that talk
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(replica)).await;
    }
    drop(in_flight);
}

/// The proxy's own answer.
fn own(mut record: Record, status: StatusCode, why: &'static str) -> Response<ResponseBody> {
    record.answered(status.as_u16());
    let mut response =
        Response::new(ResponseBody::Own { text: Some(Bytes::from_static(why.as_bytes())), _record: record });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
