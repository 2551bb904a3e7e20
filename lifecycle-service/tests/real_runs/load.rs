//! A load generator: a constant rate over keep-alive connections, whatever the answers do (an open
//! loop, so that a stall shows as many late requests and not as fewer ones). Every request is counted
//! by the version that answered it; one that got no whole answer from the application is lost. Every
//! other request is a POST with a body: a proxy may not send one a second time, so nothing can hide
//! that it was lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A request that is not answered for this long is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// The application says with this header that the answer is its own.
const VERSION_HEADER: &str = "x-app-version";

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Sent, answered or not.
    pub(crate) sent: u64,
    /// Answers by the version that gave them.
    pub(crate) by_version: BTreeMap<String, Answers>,
    /// Requests that the application did not make fail, and that failed.
    pub(crate) lost: u64,
    /// What happened to the first of them.
    pub(crate) losses: Vec<String>,
}

/// Answers of one version.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    /// All.
    pub(crate) all: u64,
    /// Of these, the ones with a 5xx status that the application chose.
    pub(crate) failed: u64,
}

impl Counts {
    /// All answers of this version.
    pub(crate) fn of(&self, version: &str) -> Answers {
        self.by_version.get(version).copied().unwrap_or_default()
    }
}

/// A load that is on.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    generator: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    counts: Mutex<Counts>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Load {
    /// So many requests a second to this address, until it is stopped.
    pub(crate) fn start(target: SocketAddr, per_second: u32) -> Self {
        let shared = Arc::new(Shared { target, counts: Mutex::default(), idle: Mutex::default() });
        let (stop, stopped) = watch::channel(false);
        let generator = tokio::spawn(generate(Arc::clone(&shared), per_second, stopped));
        Self { shared, stop, generator }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        held(&self.shared.counts).clone()
    }

    /// Stops, waits for the answers that are still to come, and answers with the counts.
    pub(crate) async fn stop(self) -> Counts {
        // The generator may have ended by a panic: then the join says so.
        let _ = self.stop.send(true);
        self.generator.await.expect("the load generator ended by itself");
        held(&self.shared.counts).clone()
    }
}

async fn generate(shared: Arc<Shared>, per_second: u32, mut stopped: watch::Receiver<bool>) {
    let mut beat = interval(Duration::from_secs(1) / per_second);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    let mut post = false;
    loop {
        tokio::select! {
            _ = beat.tick() => {
                post = !post;
                requests.spawn(one(Arc::clone(&shared), post));
            }
            Some(done) = requests.join_next() => done.expect("a request ended by a panic"),
            _ = stopped.changed() => break,
        }
    }
    while let Some(done) = requests.join_next().await {
        done.expect("a request ended by a panic");
    }
}

async fn one(shared: Arc<Shared>, post: bool) {
    let answer =
        timeout(PATIENCE, ask(&shared, post)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let mut counts = held(&shared.counts);
    counts.sent += 1;
    match answer {
        Ok((version, failed)) => {
            let answers = counts.by_version.entry(version).or_default();
            answers.all += 1;
            answers.failed += u64::from(failed);
        }
        Err(loss) => {
            counts.lost += 1;
            if counts.losses.len() < 10 {
                counts.losses.push(loss);
            }
        }
    }
}

/// Sends one request and reads its whole answer: the version that gave it, and whether it failed.
async fn ask(shared: &Shared, post: bool) -> Result<(String, bool), String> {
    let mut connection = match idle(shared).await {
        Some(connection) => connection,
        None => connect(shared.target).await?,
    };
    let (method, body) = if post { (Method::POST, "work") } else { (Method::GET, "") };
    let request = Request::builder().method(method).uri("/").header("host", "agent").body(Full::from(body));
    let request = request.map_err(|e| e.to_string())?;
    let response = connection.send_request(request).await.map_err(|e| format!("no answer: {e:?}"))?;
    let status = response.status();
    let version = response.headers().get(VERSION_HEADER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body =
        response.into_body().collect().await.map_err(|e| format!("a truncated answer: {e:?}"))?.to_bytes();
    let Some(version) = version else {
        return Err(format!(
            "{status} that the application did not make: {}",
            String::from_utf8_lossy(&body)
        ));
    };
    held(&shared.idle).push(connection);
    Ok((version, status.is_server_error()))
}

/// A connection that is open and has nothing on its way.
async fn idle(shared: &Shared) -> Option<SendRequest<Full<Bytes>>> {
    loop {
        let mut connection = held(&shared.idle).pop()?;
        if connection.ready().await.is_ok() {
            return Some(connection);
        }
    }
}

async fn connect(target: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(target).await.map_err(|e| format!("no connection: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(async move {
        // What goes wrong with it shows at its request.
        let _ = connection.await;
    });
    Ok(sender)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
