//! The readiness of a service by real dependencies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::sync::Arc;

use lifecycle_http::{ClientConfig, Dependencies, DependencyCheck, ProbeClient, ReadyReport, TcpCheck};
use support::server::{Reply, Server};
use support::{LONG, SHORT};

fn client() -> ProbeClient {
    ProbeClient::new(ClientConfig::default()).unwrap()
}

/// The report on this one dependency.
async fn report(check: impl DependencyCheck + 'static) -> ReadyReport {
    let builder = Dependencies::builder().deadline(LONG).required("it", LONG, Arc::new(check));
    builder.build().unwrap().ready().await
}

/// What is shown of it, and what the log can have.
fn told(report: &ReadyReport) -> (String, String) {
    let body = serde_json::to_value(report).unwrap();
    let cause = report.checks()["it"].failure.as_ref().map_or("", |failure| failure.cause.as_str());
    (body["checks"]["it"].as_str().unwrap().to_owned(), cause.to_owned())
}

#[tokio::test]
async fn a_url_holds_when_its_answer_passes() {
    let server = Server::replying(Reply::new(200, "secret")).await;
    let url = server.url().replace("http://", "http://me:secret@");
    let check = client().check(&format!("{url}/health?full=1")).unwrap().with_header("X-A", "b").unwrap();
    assert!(!format!("{check:?}").contains("secret"), "{check:?}");
    assert_eq!(told(&report(check).await), ("ok".to_owned(), String::new()));
    let request = server.requests().remove(0);
    assert!(request.starts_with("get /health?full=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nx-a: b\r\n") && request.contains("\r\nauthorization: basic "), "{request}");
}

#[tokio::test]
async fn what_a_dependency_writes_is_for_the_log_alone() {
    let server = Server::replying(Reply::new(503, "no connection to 10.0.0.7, password secret")).await;
    let report = report(client().check(&server.url()).unwrap()).await;
    assert_eq!(report.status_code(), 503);
    let (shown, cause) = told(&report);
    assert_eq!(shown, "status 503");
    assert_eq!(cause, "no connection to 10.0.0.7, password secret");
}

#[tokio::test]
async fn a_port_holds_when_somebody_listens() {
    let server = Server::replying(Reply::new(200, "")).await;
    let check = TcpCheck::new(&server.addr.to_string()).unwrap();
    assert_eq!(told(&report(check).await), ("ok".to_owned(), String::new()));
    let nobody = Server::stopped().await;
    let (shown, cause) = told(&report(TcpCheck::new(&nobody.to_string()).unwrap()).await);
    assert_eq!(shown, "connection refused");
    assert!(cause.starts_with(&format!("{nobody}: ")), "{cause}");
    // No resolver asks anybody about a name with a label of more than 63 letters.
    let nowhere = TcpCheck::new(&format!("{}.invalid:1", "a".repeat(64))).unwrap();
    assert_eq!(told(&report(nowhere).await).0, "the name of the host has no address");
}

#[tokio::test]
async fn silence_fails_at_the_timeout_of_the_check() {
    let hangs = Server::replying(Reply::Hang(Vec::new())).await;
    let answers = Server::replying(Reply::new(200, "")).await;
    let check = |server: &Server| Arc::new(client().check(&server.url()).unwrap());
    let dependencies = Dependencies::builder()
        .deadline(LONG)
        .required("answers", LONG, check(&answers))
        .required("hangs", SHORT, check(&hangs))
        .build()
        .unwrap();
    let body = serde_json::to_string(&dependencies.ready().await).unwrap();
    assert_eq!(body, r#"{"status":"not_ready","checks":{"answers":"ok","hangs":"no answer within 1s"}}"#);
}

#[test]
fn a_url_that_is_none_is_refused() {
    for url in ["", "inference", "unix:///run/it.sock", "ftp://inference/health"] {
        let error = client().check(url).unwrap_err().to_string();
        assert!(error.starts_with(&format!("url: {url:?} ")), "{error}");
        assert!(error.ends_with("; write one like http://inference:8080/health"), "{error}");
    }
}
