//! What the operator says about itself over HTTP: `/health`, `/ready` and `/metrics`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// How long a request that was begun may take when the operator stops.
const GRACE: Duration = Duration::from_secs(2);

/// What has to hold before the operator is ready, each check by its name. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Check>>>,
}

/// How one check stands, as people read it.
#[derive(Clone, Debug)]
enum Check {
    /// Keeps the operator from being ready unless it is `Ok`.
    Required(Result<(), String>),
    /// Good to know.
    Informational(String),
}

#[derive(Debug, Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct Ready {
    status: &'static str,
    checks: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Nothing is known of any of these yet, and all of them have to hold.
    pub(crate) fn new(required: &[&'static str]) -> Self {
        let readiness = Self::default();
        for name in required {
            readiness.set(name, Err("not known yet".to_owned()));
        }
        readiness
    }

    /// Whether this holds now, or why not.
    pub(crate) fn set(&self, name: &'static str, holds: Result<(), String>) {
        self.put(name, Check::Required(holds));
    }

    /// How this stands now; the operator is ready either way.
    pub(crate) fn inform(&self, name: &'static str, how: impl Into<String>) {
        self.put(name, Check::Informational(how.into()));
    }

    fn put(&self, name: &'static str, check: Check) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, check);
    }

    fn answer(&self) -> (StatusCode, Ready) {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = checks.values().all(|check| !matches!(check, Check::Required(Err(_))));
        let text = |check: &Check| match check {
            Check::Required(Ok(())) => "ok".to_owned(),
            Check::Required(Err(text)) | Check::Informational(text) => text.clone(),
        };
        let shown = checks.iter().map(|(name, check)| (*name, text(check))).collect();
        match holds {
            true => (StatusCode::OK, Ready { status: "ready", checks: shown }),
            false => (StatusCode::SERVICE_UNAVAILABLE, Ready { status: "not_ready", checks: shown }),
        }
    }
}

/// Listens here.
///
/// # Errors
/// When that is not possible; the message has the address.
pub(crate) async fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))
}

/// Answers until `shutdown` resolves, and what was begun for a moment longer.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        // nobody waits any more when the server has ended by itself
        let _ = tell.send(());
    };
    let served = axum::serve(listener, routes(readiness, metrics)).with_graceful_shutdown(shutdown);
    tokio::select! {
        ended = served => ended,
        () = async {
            match told.await {
                Ok(()) => tokio::time::sleep(GRACE).await,
                Err(_) => std::future::pending().await,
            }
        } => Ok(()),
    }
}

fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    let health = || async { Json(Alive { status: "alive" }) };
    let ready = |State(readiness): State<Readiness>| async move {
        let (status, body) = readiness.answer();
        (status, Json(body))
    };
    let shown = move || async move {
        match metrics.text() {
            Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    };
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(shown))
        .with_state(readiness)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};
    use hyper::body::Bytes;
    use hyper_util::rt::TokioIo;
    use serde_json::{Value, json};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    /// A server on a free port, and how to stop it.
    async fn started(
        readiness: &Readiness,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = serve(listener, readiness.clone(), Metrics::new(), async { drop(stopped.await) });
        (addr, stop, tokio::spawn(served))
    }

    /// Status, content type and body.
    async fn call(addr: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::builder().method(method).uri(path).header("host", "operator");
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn json_of(addr: SocketAddr, path: &str) -> (u16, Value) {
        let (status, kind, body) = call(addr, "GET", path).await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn it_is_ready_when_every_required_check_holds() {
        let readiness = Readiness::new(&["caches", "apiServer"]);
        readiness.inform("leadership", "follower");
        let (addr, _stop, _task) = started(&readiness).await;
        let unknown = "not known yet";
        let checks = json!({"apiServer": unknown, "caches": unknown, "leadership": "follower"});
        assert_eq!(json_of(addr, "/ready").await, (503, json!({"status": "not_ready", "checks": checks})));
        readiness.set("caches", Ok(()));
        readiness.set("apiServer", Err("HTTP status 403".to_owned()));
        let checks = json!({"apiServer": "HTTP status 403", "caches": "ok", "leadership": "follower"});
        assert_eq!(json_of(addr, "/ready").await, (503, json!({"status": "not_ready", "checks": checks})));
        readiness.set("apiServer", Ok(()));
        let checks = json!({"apiServer": "ok", "caches": "ok", "leadership": "follower"});
        assert_eq!(json_of(addr, "/ready").await, (200, json!({"status": "ready", "checks": checks})));
        // alive in any case
        readiness.set("caches", Err("gone".to_owned()));
        assert_eq!(json_of(addr, "/health").await, (200, json!({"status": "alive"})));
    }

    #[tokio::test]
    async fn metrics_are_text_and_other_paths_are_not_there() {
        let (addr, _stop, _task) = started(&Readiness::default()).await;
        let (status, kind, body) = call(addr, "GET", "/metrics").await;
        assert_eq!(
            (status, kind.as_str()),
            (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        );
        assert!(body.contains("lifecycle_leader 0\n") && body.ends_with("# EOF\n"), "{body}");
        assert_eq!(call(addr, "GET", "/nothing").await.0, 404);
        assert_eq!(call(addr, "POST", "/ready").await.0, 405);
        assert_eq!(call(addr, "HEAD", "/health").await.0, 200);
    }

    #[tokio::test]
    async fn it_stops_though_somebody_keeps_a_connection() {
        let (addr, stop, task) = started(&Readiness::default()).await;
        // half a request
        let mut stream = TcpStream::connect(addr).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /hea").await.unwrap();
        call(addr, "GET", "/health").await;
        stop.send(()).unwrap();
        tokio::time::timeout(GRACE * 5, task).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = taken.local_addr().unwrap();
        let error = listen(addr).await.unwrap_err().to_string();
        assert!(error.contains(&format!("cannot listen on {addr}: ")), "{error}");
    }
}
