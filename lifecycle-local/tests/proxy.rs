//! What the proxy does to a request, and its control socket.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use lifecycle_local::proxy::{
    Effective, EndpointDocument, EndpointState, ProxyConfig, TableDocument, serve_until,
};
use support::http::{Connection, raw, request};
use support::{Site, eventually, revision, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
async fn the_application_sees_the_clients_host_and_where_it_came_from() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let seen = raw(
        target.local.listen(),
        "GET /headers HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 10.0.0.9\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n\r\n",
    )
    .await;
    for expected in [
        "host: shop.example\n",
        "x-forwarded-for: 10.0.0.9, 127.0.0.1\n",
        "x-forwarded-proto: http\n",
        "x-kept: 2\n",
    ] {
        assert!(seen.contains(expected), "{expected}{seen}");
    }
    assert!(!seen.contains("x-hop"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_are_whole() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    // several on one connection: a body that should not be there would break the next answer
    let addr = target.local.listen();
    let seen = raw(
        addr,
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /status?204 HTTP/1.1\r\nHost: a\r\n\r\nGET /status?304 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    let statuses: Vec<&str> =
        seen.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).collect();
    assert_eq!(statuses, ["200", "204", "304", "200"], "{seen}");
    assert!(
        seen.starts_with("HTTP/1.1 200")
            && seen.to_lowercase().split("\r\n\r\n").next().unwrap().contains("content-length: 5"),
        "{seen}"
    );
    assert!(seen.ends_with("\r\n\r\n1.0.0"), "{seen}");
    let old = raw(addr, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with("1.0.0"), "{old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let mut stream = TcpStream::connect(target.local.listen()).await.unwrap();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut begin = [0; 25];
    soon("100", stream.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut rest = String::new();
    soon("the rest", stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200") && rest.contains("hello"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_streamed_both_ways() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let stream = TcpStream::connect(target.local.listen()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (mut say, said) = Channel::<Bytes>::new(1);
    let request = Request::post("/echo").header("host", "a").body(said).unwrap();
    let mut answer = soon("the head", sender.send_request(request)).await.unwrap();
    for word in ["one", "two", "three"] {
        say.send_data(Bytes::from(word)).await.unwrap();
        // comes back before the next one is sent
        let frame = soon("an echo", answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(say);
    assert!(soon("the end", answer.frame()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_comes_through_unchanged() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let sent: Bytes =
        (0..5_000_000_u32).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect::<Vec<u8>>().into();
    for method in ["POST", "GET"] {
        let request = Request::builder()
            .method(method)
            .uri("/echo")
            .header("host", "a")
            .body(Full::new(sent.clone()))
            .unwrap();
        let mut connection = Connection::open(target.local.listen()).await.unwrap();
        let answer = soon("the echo", connection.send(request)).await.unwrap();
        assert_eq!(answer.headers()["content-length"], "5000000");
        let got = soon("the body", answer.into_body().collect()).await.unwrap().to_bytes();
        assert!(got == sent, "{method}: {} bytes", got.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_protocols_is_passed_through_and_counts_as_under_way() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 1, 1, &[]).await;
    let mut stream = TcpStream::connect(target.local.listen()).await.unwrap();
    stream
        .write_all(
            b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n",
        )
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("the head", stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: echo"), "{head}");
    for word in [b"ping", b"pong"] {
        stream.write_all(word).await.unwrap();
        let mut back = [0; 4];
        soon("the echo", stream.read_exact(&mut back)).await.unwrap();
        assert_eq!(&back, word);
    }
    let under_way = || async { target.local.status().await.in_flight.values().sum::<u64>() };
    assert_eq!(under_way().await, 1);
    drop(stream);
    eventually("over", async || match under_way().await {
        0 => Ok(()),
        n => Err(n),
    })
    .await;
    assert_eq!(target.counted(&one, 1).await.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_beyond_the_limits_is_refused() {
    let site = Site::new();
    let target = site.open().await;
    target.run(1, 1, 1, &[]).await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000));
    let answer = raw(target.local.listen(), &long).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(target.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_a_replica_are_told_apart() {
    let site = Site::new();
    let mut config = site.config();
    config.limits.response_timeout_ms = 300;
    let target = site.open_with(config).await;
    let one = target.run(1, 1, 1, &[]).await;
    assert_eq!(target.get("/status?418").await.status, 418);
    assert_eq!(target.get("/slow?10000").await.status, 504);
    assert_eq!(target.get("/die").await.status, 502);
    target.until(&one, "back", |group| group.available == 1).await;
    target.scale(&one, 0, 2, 0).await;
    target.until(&one, "gone", |group| group.terminating == 0).await;
    assert_eq!(target.get("/").await.status, 503);
    assert_eq!(target.counted(&one, 3).await.failed, 2);
}

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
    assert_eq!(bare.call("GET", "/stats?window=x", String::new()).await.unwrap().0, 400);
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
