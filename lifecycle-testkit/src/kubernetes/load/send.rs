//! The requests themselves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::endpoints::Target;
use super::report::Ended;
use super::{LoadOptions, Seen};

/// The header that says which version answered.
const VERSION_HEADER: &str = "x-app-version";
/// What a POST carries.
const POSTED: Bytes = Bytes::from_static(&[b'x'; 512]);

/// Sends until it is told to stop, then waits for the answers that are due.
pub(super) async fn requests(
    options: LoadOptions,
    mut targets: watch::Receiver<Vec<Target>>,
    seen: Arc<Seen>,
    mut stopped: oneshot::Receiver<()>,
) {
    let options = Arc::new(options);
    let mut every = tokio::time::interval(Duration::from_secs_f64(1.0 / options.rate));
    // What came too late is made up for: the rate holds on average.
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut endpoints = Endpoints::default();
    endpoints.change(&targets.borrow_and_update());
    let mut on_their_way = JoinSet::new();
    let mut posts = 0.0;
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Ok(()) = targets.changed() => endpoints.change(&targets.borrow_and_update()),
            _ = every.tick() => {
                posts += options.post_share;
                let method = if posts >= 1.0 { Method::POST } else { Method::GET };
                posts -= posts.floor();
                match endpoints.next() {
                    None => seen.report().refuse(seen.elapsed()),
                    Some(endpoint) => drop(on_their_way.spawn(request(endpoint, method, Arc::clone(&options), Arc::clone(&seen)))),
                }
            }
            Some(_) = on_their_way.join_next() => {}
        }
    }
    while on_their_way.join_next().await.is_some() {}
}

/// The endpoints in turn, with their connections.
#[derive(Default)]
struct Endpoints {
    all: Vec<Arc<Endpoint>>,
    turn: usize,
}

impl Endpoints {
    fn next(&mut self) -> Option<Arc<Endpoint>> {
        self.turn = self.turn.wrapping_add(1);
        self.all.get(self.turn.checked_rem(self.all.len())?).cloned()
    }

    /// Those that stay keep their connections; idle ones to those that go are closed.
    fn change(&mut self, targets: &[Target]) {
        let mut before: HashMap<_, _> =
            self.all.drain(..).map(|endpoint| (endpoint.target.clone(), endpoint)).collect();
        let kept = |target: &Target| {
            before.remove(target).unwrap_or_else(|| Arc::new(Endpoint::new(target.clone())))
        };
        self.all = targets.iter().map(kept).collect();
    }
}

struct Endpoint {
    target: Target,
    idle: Mutex<Vec<Connection>>,
}

type Connection = SendRequest<Full<Bytes>>;

impl Endpoint {
    fn new(target: Target) -> Self {
        Self { target, idle: Mutex::default() }
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One that the other side has closed in the meantime is not used: that is seen without sending anything.
        std::iter::from_fn(|| idle.pop()).find(|connection| connection.is_ready())
    }

    fn keep(&self, connection: Connection, atmost: usize) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < atmost {
            idle.push(connection);
        }
    }
}

/// One request, counted in the end.
async fn request(endpoint: Arc<Endpoint>, method: Method, options: Arc<LoadOptions>, seen: Arc<Seen>) {
    let name = if method == Method::POST { "POST" } else { "GET" };
    let ended = match tokio::time::timeout(options.timeout, ask(&endpoint, method, &options)).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(why)) => Ended::Lost { method: name, why },
        Err(_) => Ended::Lost { method: name, why: format!("no answer in {:?}", options.timeout) },
    };
    seen.report().record(seen.elapsed(), &endpoint.target.pod, ended);
}

async fn ask(endpoint: &Endpoint, method: Method, options: &LoadOptions) -> Result<Ended, String> {
    let address = endpoint.target.address;
    let mut connection = match endpoint.idle() {
        Some(connection) => connection,
        None => connect(address).await?,
    };
    let body = if method == Method::POST { POSTED } else { Bytes::new() };
    let request = Request::builder().method(method).uri(&options.path).header(HOST, address.to_string());
    let request = request.body(Full::new(body)).map_err(|error| told(&error))?;
    let answer = connection.send_request(request).await.map_err(|error| told(&error))?;
    let status = answer.status().as_u16();
    let version =
        answer.headers().get(VERSION_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // An answer is one when all of it has come.
    answer.into_body().collect().await.map_err(|error| told(&error))?;
    // It may have to say that it is ready for the next one, or closed.
    if connection.ready().await.is_ok() {
        endpoint.keep(connection, options.kept_connections);
    }
    Ok(Ended::Answered { status, version })
}

async fn connect(address: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| told(&error))?;
    // It ends with the sender, or with an error that the sender tells, too.
    tokio::spawn(connection);
    Ok(sender)
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
