//! What the proxy does to a request, and its control socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use support::http::{Connection, raw};
use support::{Site, eventually, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
