//! The prober against servers that do what servers do on a bad day.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::time::{Duration, Instant};

use lifecycle_http::{ClientConfig, Failure, HttpProber, Outcome, Probe, ProbeClient, Prober, Redirects};
use support::server::{Reply, Server};
use support::tls::{Authority, Identity, serve};
use support::{LONG, SHORT, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn client() -> ProbeClient {
    ProbeClient::new(ClientConfig::default()).unwrap()
}

async fn ask(prober: &HttpProber, timeout: Duration) -> Outcome {
    prober.probe(&Probe::readiness(), timeout.into()).await
}

async fn get(url: &str, timeout: Duration) -> Outcome {
    ask(&client().prober(url).unwrap(), timeout).await
}

/// Why it failed, and what is said of it.
fn failure(outcome: Outcome) -> (Failure, String) {
    match outcome {
        Outcome::Failed { why, .. } => (why, outcome.to_string()),
        Outcome::Passed { .. } => panic!("{outcome}"),
    }
}

#[tokio::test]
async fn one_request_says_who_asks_and_closes_its_connection() {
    let server = Server::replying(Reply::new(204, "")).await;
    let base = server.url().replace("http://", "http://me:pass%40word@");
    let prober = client().prober(&format!("{base}/app/")).unwrap().with_header("X-Probe", "yes").unwrap();
    assert!(!format!("{prober:?}").contains("pass"), "{prober:?}");
    let probe = Probe::readiness().with_path("/ready?full=1").unwrap();
    let outcome = prober.probe(&probe, LONG.into()).await;
    assert!(matches!(outcome, Outcome::Passed { status: 204, took } if took < LONG.into()), "{outcome}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("get /app/ready?full=1 http/1.1\r\n"), "{}", requests[0]);
    for header in [
        "connection: close",
        "user-agent: lifecycle-http/0.1.0",
        "x-probe: yes",
        "authorization: basic bwu6cgfzc0b3b3jk",
        &format!("host: {}", server.addr),
    ] {
        assert!(requests[0].contains(&format!("\r\n{header}\r\n")), "{header}: {}", requests[0]);
    }
    assert!(!requests[0].contains("accept-encoding"), "{}", requests[0]);
}

#[tokio::test]
async fn a_host_and_a_token_of_its_own_are_sent() {
    let server = Server::replying(Reply::new(200, "")).await;
    let prober = client().prober(&server.url()).unwrap().with_header("Host", "agent.example").unwrap();
    ask(&prober.with_bearer_token("abc\n").unwrap(), LONG).await;
    let request = server.requests().remove(0);
    assert!(request.contains("\r\nhost: agent.example\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: bearer abc\r\n"), "{request}");
}

#[tokio::test]
async fn every_probe_has_a_connection_of_its_own() {
    // The server would keep them.
    let server =
        Server::replying(Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
    let prober = client().prober(&server.url()).unwrap();
    for probes in 1..=3 {
        let outcome = ask(&prober, LONG).await;
        assert!(outcome.is_passed(), "{outcome}");
        assert_eq!(server.accepted(), probes);
        until("the connection is closed", || server.open() == 0).await;
    }
}

#[tokio::test]
async fn what_is_no_good_answer_fails_with_its_reason() {
    use Failure::{Closed, NotHttp, Status, TooLarge};
    let endless_head = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20));
    for (reply, why, said) in [
        (Reply::new(503, ""), Status(503), "status 503"),
        (Reply::new(503, "{\"database\":\r\n \"away\"}"), Status(503), r#"status 503: {"database": "away"}"#),
        (Reply::new(404, &"x".repeat(10_000)), Status(404), "status 404: xxxxxxxx"),
        (Reply::text("HTTP/1.1 101 Switching Protocols\r\n\r\n"), Status(101), "status 101"),
        (Reply::new(500, "\u{1b}[31mred"), Status(500), "status 500: [31mred"),
        (Reply::text("HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nhalf"), Status(500), "status 500: half"),
        (Reply::text(""), Closed, "connection closed before the answer was whole"),
        (Reply::text("HTTP/1.1 200 OK\r\nContent-Le"), Closed, "connection closed"),
        (Reply::text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Closed, "end of file"),
        (Reply::text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), Closed, "closed"),
        (Reply::Reset(Vec::new()), Closed, "Connection reset"),
        (Reply::text("SSH-2.0-OpenSSH_9.9\r\n"), NotHttp, "the answer is not HTTP: invalid HTTP version"),
        (Reply::text("\x15\x03\x01\x00\x02\x02\x28"), NotHttp, "the answer is not HTTP"),
        (Reply::text("HTTP/1.1 OK\r\n\r\n"), NotHttp, "invalid HTTP status-code"),
        (Reply::text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"), NotHttp, "not HTTP"),
        (Reply::text(&endless_head), TooLarge, "the answer is too large"),
    ] {
        let server = Server::replying(reply.clone()).await;
        let (reason, text) = failure(get(&server.url(), LONG).await);
        assert_eq!(reason, why, "{reply:?}: {text}");
        assert!(text.contains(said), "{text}");
        assert!(text.len() < 300 && !text.contains('\n'), "{text}");
        assert_eq!(server.accepted(), 1, "{reply:?} was asked again");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::replying(Reply::new(200, "")).await;
    let location = format!("Location: {}/login?token=secret\r\n", elsewhere.url());
    let server = Server::replying(Reply::with(302, &location, "")).await;
    let (why, said) = failure(get(&server.url(), LONG).await);
    assert_eq!(why, Failure::Redirect(302));
    let to = format!("status 302 redirects, which is not followed: to \"{}/login\"", elsewhere.url());
    assert_eq!(said, to);
    let lenient = Probe::readiness().with_redirects(Redirects::Pass);
    let outcome = client().prober(&server.url()).unwrap().probe(&lenient, LONG.into()).await;
    assert!(matches!(outcome, Outcome::Passed { status: 302, .. }), "{outcome}");
    assert_eq!((server.accepted(), elsewhere.accepted()), (2, 0));
    let nowhere = Server::replying(Reply::new(307, "")).await;
    assert_eq!(failure(get(&nowhere.url(), LONG).await).0, Failure::Redirect(307));
}

#[tokio::test]
async fn silence_at_any_point_lasts_until_the_timeout_and_leaves_no_connection() {
    let cases = [
        ("", Failure::Timeout, "no answer in time: nothing came back within 1s"),
        ("HTTP/1.1 200 OK\r\nX-A", Failure::Timeout, "no answer in time: nothing came back within 1s"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            Failure::Timeout,
            "no answer in time: status 200, and the body did not end within 1s",
        ),
        ("HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nhalf", Failure::Status(503), "status 503: half"),
    ];
    let check = async |(begins, why, said): (&'static str, Failure, &str)| {
        let server = Server::replying(Reply::Hang(begins.as_bytes().to_vec())).await;
        let begun = Instant::now();
        let outcome = get(&server.url(), SHORT).await;
        assert!((SHORT..LONG).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(failure(outcome), (why, said.to_owned()));
        until("the connection is closed", || server.open() == 0).await;
    };
    futures::future::join_all(cases.map(check)).await;
}

#[tokio::test]
async fn a_probe_that_is_dropped_leaves_no_connection() {
    let server = Server::replying(Reply::Hang(Vec::new())).await;
    let prober = client().prober(&server.url()).unwrap();
    let probe = tokio::spawn(async move { ask(&prober, LONG * 10).await });
    until("it is asked", || server.requests().len() == 1).await;
    probe.abort();
    until("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_a_limit() {
    for (head, why) in [
        ("HTTP/1.1 200 OK\r\n\r\n", Failure::TooLarge),
        ("HTTP/1.1 500 X\r\n\r\n", Failure::Status(500)),
        ("HTTP/1.1 200 OK\r\nX-A: ", Failure::TooLarge),
    ] {
        let server = Server::replying(Reply::Endless(head.as_bytes().to_vec())).await;
        let (reason, said) = failure(get(&server.url(), LONG).await);
        assert_eq!(reason, why, "{said}");
        until("the connection is closed", || server.open() == 0).await;
        // what the sockets hold comes on top
        assert!(server.written() < 16 << 20, "{}", server.written());
    }
}

#[tokio::test]
async fn the_limit_is_what_was_set() {
    for (length, passes) in [(0, true), (10, true), (11, false)] {
        let server = Server::replying(Reply::new(200, &"x".repeat(length))).await;
        let config = ClientConfig::default().with_max_answer_bytes(10).unwrap();
        let outcome = ask(&ProbeClient::new(config).unwrap().prober(&server.url()).unwrap(), LONG).await;
        assert_eq!(outcome.is_passed(), passes, "{outcome}");
        if !passes {
            assert_eq!(outcome.to_string(), "the answer is too large: the body is longer than 10 bytes");
        }
    }
}

#[tokio::test]
async fn where_nothing_listens_is_told_from_where_no_name_leads() {
    let addr = Server::stopped().await;
    let (why, said) = failure(get(&format!("http://me:secret@{addr}"), LONG).await);
    assert_eq!(why, Failure::Refused);
    assert!(said.starts_with("connection refused") && !said.contains("secret"), "{said}");
    // No resolver asks anybody about a name with a label of more than 63 letters.
    let (why, said) = failure(get(&format!("http://{}.invalid", "a".repeat(64)), LONG).await);
    assert_eq!(why, Failure::Unresolved, "{said}");
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    const MARK: &str = "LIFECYCLE_HTTP_TEST_TARGET";
    if let Ok(target) = std::env::var(MARK) {
        let outcome = get(&target, LONG).await;
        assert!(outcome.is_passed(), "{outcome}");
        return;
    }
    let (proxy, target) =
        tokio::join!(Server::replying(Reply::new(200, "")), Server::replying(Reply::new(200, "")));
    let mut again = tokio::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "a_proxy_of_the_environment_is_not_used"]).env(MARK, target.url());
    again.env("http_proxy", proxy.url()).env("HTTP_PROXY", proxy.url()).env("ALL_PROXY", proxy.url());
    again.env_remove("no_proxy").env_remove("NO_PROXY");
    assert!(again.output().await.unwrap().status.success());
    assert_eq!((proxy.accepted(), target.accepted()), (0, 1));
}

/// The outcome at a server with this certificate.
async fn over_tls(config: ClientConfig, server: &Identity, clients: Option<&Authority>) -> Outcome {
    let prober = ProbeClient::new(config).unwrap().prober(&format!("https://{}", serve(server, clients)));
    ask(&prober.unwrap(), LONG).await
}

fn trusting(authority: &Authority) -> ClientConfig {
    ClientConfig::default().with_ca(authority.pem.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_certificate_is_believed_when_its_authority_and_its_name_are() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let (here, elsewhere) = (ours.identity("127.0.0.1"), ours.identity("agent.example"));
    let outcome = over_tls(trusting(&ours), &here, None).await;
    assert!(outcome.is_passed(), "{outcome}");
    let both = trusting(&other).with_ca(ours.pem.as_bytes()).unwrap();
    assert!(over_tls(both, &here, None).await.is_passed());
    for (config, server, said) in
        [(trusting(&other), &here, "UnknownIssuer"), (trusting(&ours), &elsewhere, "not valid for name")]
    {
        let (why, text) = failure(over_tls(config, server, None).await);
        assert_eq!(why, Failure::TlsFailed, "{text}");
        assert!(text.starts_with("TLS failed: ") && text.contains(said), "{text}");
    }
    let any = ClientConfig::default().accept_any_certificate();
    let outcome = over_tls(any, &elsewhere, None).await;
    assert!(outcome.is_passed(), "{outcome}");
}

#[tokio::test]
async fn a_server_that_asks_who_it_is_is_told() {
    let ours = Authority::new("ours");
    let (server, me) = (ours.identity("127.0.0.1"), ours.identity("prober"));
    let (why, said) = failure(over_tls(trusting(&ours), &server, Some(&ours)).await);
    assert_eq!(why, Failure::TlsFailed, "{said}");
    let pem = format!("{}{}", me.certificate, me.key);
    let config = trusting(&ours).with_identity(pem.as_bytes()).unwrap();
    assert!(format!("{config:?}").len() < 120, "{config:?}");
    let outcome = over_tls(config, &server, Some(&ours)).await;
    assert!(outcome.is_passed(), "{outcome}");
}

#[tokio::test]
async fn tls_and_plain_text_do_not_mix() {
    let ours = Authority::new("ours");
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = plain.local_addr().unwrap();
    let answer = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // until the client goes away
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let prober = ProbeClient::new(trusting(&ours)).unwrap().prober(&format!("https://{addr}")).unwrap();
    let (why, said) = failure(ask(&prober, LONG).await);
    assert_eq!(why, Failure::TlsFailed, "{said}");
    answer.await.unwrap();
    let addr = serve(&ours.identity("127.0.0.1"), None);
    let (why, said) = failure(get(&format!("http://{addr}"), LONG).await);
    assert_eq!(why, Failure::NotHttp, "{said}");
}

#[test]
fn certificates_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let ours = Authority::new("ours");
    let (me, you) = (ours.identity("me"), ours.identity("you"));
    let config = ClientConfig::default;
    let said = |result: Result<ClientConfig, lifecycle_http::ConfigError>| result.unwrap_err().to_string();
    assert!(said(config().with_ca(me.key.as_bytes())).starts_with("ca: there is no certificate in it"));
    for half in [&me.certificate, &me.key] {
        let error = said(config().with_identity(half.as_bytes()));
        assert!(error.starts_with("identity: there is no certificate with its private key in it"), "{error}");
    }
    let mixed = format!("{}{}", me.certificate, you.key);
    let error = ProbeClient::new(config().with_identity(mixed.as_bytes()).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("tls: the certificates cannot be used: "), "{error}");
    assert_eq!(
        said(config().with_max_answer_bytes(1 << 30)),
        "max_answer_bytes: 1073741824 is too much: write a number of bytes from 0 to 16777216"
    );
}

#[test]
fn no_header_smuggles_another_one_in() {
    let prober = || client().prober("http://127.0.0.1:1").unwrap();
    for (name, value) in [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("", "1")] {
        let error = prober().with_header(name, value).unwrap_err().to_string();
        assert!(error.starts_with(&format!("header: {name:?} cannot be sent")), "{error}");
    }
    assert!(prober().with_bearer_token("a\nb").is_err());
}
