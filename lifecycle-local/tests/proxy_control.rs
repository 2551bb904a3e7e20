//! The proxy by itself: its control socket, and replicas that cannot be reached.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use lifecycle_local::proxy::{
    Effective, EndpointDocument, EndpointState, ProxyConfig, TableDocument, serve_until,
};
use support::http::{Connection, request};
use support::load::Load;
use support::{Site, eventually, revision, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

/// A proxy in this process, told what to do over its socket.
struct Bare {
    config: ProxyConfig,
    listen: SocketAddr,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Bare {
    async fn start(dir: &std::path::Path) -> Self {
        let config = ProxyConfig::new(dir, "127.0.0.1:0".parse().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = config.clone();
        let running = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            serve_until(served, stopped).await.unwrap();
        });
        let mut bare = Self { config, listen: "127.0.0.1:0".parse().unwrap(), stop, running };
        bare.listen =
            eventually("running", async || bare.call("GET", "/route", String::new()).await).await.1.listen();
        bare
    }

    async fn call(&self, method: &str, path: &str, body: String) -> Result<(u16, Body), String> {
        let socket = self.config.dir.join("control.sock");
        let stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "a")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, Body(body)))
    }

    async fn put(&self, generation: u64, endpoints: Vec<EndpointDocument>) -> (u16, Body) {
        let mut table = TableDocument::default();
        table.generation = generation;
        table.endpoints = endpoints;
        self.call("PUT", "/route", serde_json::to_string(&table).unwrap()).await.unwrap()
    }

    async fn stop(self) {
        drop(self.stop);
        soon("stopping", self.running).await.unwrap();
    }
}

#[derive(Debug)]
struct Body(Bytes);

impl Body {
    fn effective(&self) -> Effective {
        serde_json::from_slice(&self.0).unwrap()
    }

    fn listen(&self) -> SocketAddr {
        self.effective().listen
    }
}

fn endpoint(id: &str, addr: SocketAddr) -> EndpointDocument {
    EndpointDocument::new(id, revision(1), addr, EndpointState::Ready)
}

/// Answers every request on every connection with `text`.
async fn upstream(text: &'static str) -> SocketAddr {
    counting_upstream(text).await.0
}

/// Counts its connections too.
async fn counting_upstream(text: &'static str) -> (SocketAddr, Arc<AtomicU32>) {
    let accepted = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&accepted);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let service = hyper::service::service_fn(move |_| async move {
                Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(text))))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (addr, accepted)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_be_reached_costs_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    let (up, down) = (upstream("up").await, nobody().await);
    bare.put(1, vec![endpoint("down", down), endpoint("up", up)]).await;
    for method in ["GET", "POST"] {
        for _ in 0..10 {
            let mut connection = Connection::open(bare.listen).await.unwrap();
            let answer = connection
                .call(request(method, "/", if method == "POST" { "body" } else { "" }))
                .await
                .unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "up"));
        }
    }
    bare.put(2, vec![endpoint("down", down)]).await;
    assert_eq!(support::http::get(bare.listen, "/").await.unwrap().status, 502);
    let (_, metrics) = bare.call("GET", "/metrics", String::new()).await.unwrap();
    let text = String::from_utf8_lossy(&metrics.0).into_owned();
    assert!(
        text.contains("lifecycle_requests_total{revision=\"hash1\",version=\"1.0.0\",code=\"502\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("lifecycle_replica_unreachable_total{revision=\"hash1\",version=\"1.0.0\"} 11\n"),
        "{text}"
    );
    bare.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_for_requests_that_can_be_repeated_and_for_others_once_they_are_safe() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    let (addr, accepted) = counting_upstream("up").await;
    bare.put(1, vec![endpoint("a", addr)]).await;
    let mut client = Connection::open(bare.listen).await.unwrap();
    let mut connections = async |method: &'static str| {
        let before = accepted.load(Ordering::SeqCst);
        let body = if method == "POST" { "body" } else { "" };
        assert_eq!(client.call(request(method, "/", body)).await.unwrap().status, 200);
        accepted.load(Ordering::SeqCst) - before
    };
    assert_eq!(connections("GET").await, 1);
    assert_eq!(connections("GET").await, 0);
    assert_eq!(connections("POST").await, 1, "nothing is known of the replica yet");
    let begun = std::time::Instant::now();
    while connections("POST").await == 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the replica is never trusted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "trusted after {:?}", begun.elapsed());
    bare.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_closes_after_each_answer_without_a_word_fails_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                if stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    bare.put(1, vec![endpoint("a", addr)]).await;
    // the connection that the proxy keeps is always just being closed when the next request comes
    let load = Load::start(bare.listen, 4, &[("GET", "/")]);
    load.more(6000).await;
    let seen = load.end().await;
    assert_eq!(seen.failures, [""; 0], "of {}", seen.total());
    bare.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_seen_is_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    // reads a request, then closes
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            if stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    bare.put(1, vec![endpoint("rude", addr), endpoint("other", addr)]).await;
    for (n, method) in ["POST", "GET", "DELETE", "PUT"].into_iter().enumerate() {
        let mut connection = Connection::open(bare.listen).await.unwrap();
        assert_eq!(connection.call(request(method, "/", "")).await.unwrap().status, 502, "{method}");
        assert_eq!(seen.load(Ordering::SeqCst), u32::try_from(n).unwrap() + 1, "{method}");
    }
    bare.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_taken_when_it_is_newer_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    let up = upstream("up").await;
    let (status, body) = bare.put(5, vec![endpoint("a", up)]).await;
    assert_eq!((status, body.effective().table.generation), (200, 5));
    assert_eq!(bare.put(5, vec![endpoint("a", up)]).await.0, 200, "a repetition");
    for older in [5, 4] {
        let (status, body) = bare.put(older, Vec::new()).await;
        assert_eq!(
            (status, body.effective().table.endpoints.len()),
            (409, 1),
            "the answer is the table in effect"
        );
    }
    assert_eq!(bare.call("PUT", "/route", "{".to_owned()).await.unwrap().0, 400);
    for wrong in ["window=x", "since=", "minutes=0", "minutes=61", "minutes=x", "hours=1"] {
        let status = bare.call("GET", &format!("/stats?{wrong}"), String::new()).await.unwrap().0;
        assert_eq!(status, 400, "{wrong}");
    }
    assert_eq!(bare.call("GET", "/stats?minutes=60", String::new()).await.unwrap().0, 200);
    bare.stop().await;
    let bare = Bare::start(dir.path()).await;
    let answer = support::http::get(bare.listen, "/").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "up"));
    bare.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_requests_end() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let port = target.local.workload().replicas()[0].port;
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    bare.put(1, vec![endpoint("a", SocketAddr::from(([127, 0, 0, 1], port)))]).await;
    let listen = bare.listen;
    let slow = tokio::spawn(async move { support::http::get(listen, "/slow?300").await });
    eventually("under way", async || {
        match bare.call("GET", "/route", String::new()).await.unwrap().1.effective().in_flight[0] {
            1 => Ok(()),
            n => Err(n),
        }
    })
    .await;
    bare.stop().await;
    assert_eq!(soon("the answer", slow).await.unwrap().unwrap().status, 200);
    assert!(TcpStream::connect(listen).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let bare = Bare::start(dir.path()).await;
    let second = serve_until(bare.config.clone(), std::future::pending());
    let error = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap_err().to_string();
    assert!(error.contains(&format!("in use by the proxy with process {}", std::process::id())), "{error}");
    bare.stop().await;
}
