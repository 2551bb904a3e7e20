//! Answers, and what comes in their place.

use std::time::{Duration, Instant};

use lifecycle_core::backend::{ErrorKind, Reading, Signal};
use lifecycle_prom::{Connection, Metrics, PodMetrics, PrometheusConfig, PrometheusSource, Target};

use super::support::query;
use super::support::server::{Reply, Server};
use super::{SHORT, WINDOW, config, error, health, named, over, success};

#[tokio::test]
async fn one_question_answers_for_both_arms() {
    let server = Server::prometheus(|_| {
        let count = |hash: &str, count: &str, value: u32| {
            let agent = r#""namespace":"default","agent":"edge""#;
            let labels = format!(r#"{agent},"revision":"{hash}","lifecycle_count":"{count}""#);
            format!(r#"{{"metric":{{{labels}}},"value":[1,"{value}"]}}"#)
        };
        let all = [count("aaa", "", 995), count("aaa", "failed", 5), count("bbb", "", 200)];
        let all = [&all[..], &["aaa", "bbb"].map(|hash| count(hash, "scraped", 1))].concat();
        Reply::new(200, &success(&all.join(",")))
    })
    .await;
    let config = PrometheusConfig::new(&format!("{}/prometheus/", server.url())).unwrap();
    let both = ["aaa", "bbb"].map(|hash| query(Signal::Requests, hash, WINDOW));
    let answers: Vec<Reading> = health(config).measure(&both).await.into_iter().map(Result::unwrap).collect();
    let counts = |requests, failed| Reading::Counts { requests, failed };
    assert_eq!(answers, [counts(1000, 5), counts(200, 0)]);
    let requests = server.questions();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("POST /prometheus/api/v1/query HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains("content-type: application/x-www-form-urlencoded"), "{requests:?}");
    assert!(requests[0].contains("http_requests_total%7Bnamespace%3D%22default%22"), "{requests:?}");
}

#[tokio::test]
async fn nothing_to_measure_asks_nothing() {
    let server = Server::prometheus(|_| Reply::new(200, &success(""))).await;
    assert!(health(config(&server)).measure(&[]).await.is_empty());
    assert_eq!(server.requests(), [""; 0]);
}

#[tokio::test]
async fn a_target_knows_its_own_queries() {
    let server = Server::prometheus(|_| Reply::new(200, &success(""))).await;
    let health = health(config(&server));
    assert!(health.knows("depth") && !health.knows("other"));
    let answer = health.measure(&[query(named("other"), "aaa", WINDOW)]).await.remove(0);
    assert_eq!(answer.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(server.questions(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_of_its_kind() {
    use ErrorKind::{Invalid, Transient};
    let html = "<html><body>Please sign in</body></html>";
    let bytes = |text: &str| Reply::Bytes(text.as_bytes().to_vec());
    for (reply, kind, said) in [
        (Reply::new(500, "oops"), Transient, "HTTP status 500: \"oops\""),
        (
            Reply::new(503, r#"{"status":"error","errorType":"unavailable","error":"TSDB not ready"}"#),
            Transient,
            "TSDB not ready",
        ),
        (
            Reply::new(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            Invalid,
            "bad_data: parse error",
        ),
        (Reply::with(502, "Content-Type: text/html\r\n", html), Transient, "HTTP status 502"),
        (
            Reply::with(200, "Content-Type: text/html\r\n", html),
            Invalid,
            "HTML came back in the place of JSON",
        ),
        (Reply::new(200, r#"{"status":"success","data":[]}"#), Invalid, "no answer of Prometheus' API"),
        (Reply::new(200, ""), Invalid, "no answer of Prometheus' API"),
        (bytes(""), Transient, "connection closed"),
        (
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\""),
            Transient,
            "end of file before message length reached",
        ),
        (bytes("SSH-2.0-OpenSSH_9.9\r\n"), Transient, "invalid HTTP version"),
    ] {
        let sent = reply.clone();
        let server = Server::start(move |_| sent.clone()).await;
        let error = error(config(&server)).await;
        assert_eq!(
            (error.backend, error.operation, error.kind),
            ("prometheus", "measure", kind),
            "{reply:?}: {error}"
        );
        assert!(error.message.contains(said), "{reply:?}: {error}");
        assert!(error.message.starts_with(&server.url()), "{error}");
        assert_eq!(server.requests().len(), 1, "{reply:?} was asked again");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| Reply::new(200, &success(""))).await;
    let location = format!("Location: {}/login\r\n", elsewhere.url());
    let server = Server::start(move |_| Reply::with(302, &location, "")).await;
    let error = error(over(Connection::new(&server.url()).unwrap().bearer_token("secret").unwrap())).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains(&format!("sends to \"{}/login\"", elsewhere.url())), "{error}");
    assert_eq!(elsewhere.requests(), [""; 0]);
}

#[tokio::test]
async fn an_answer_without_end_is_read_up_to_a_limit() {
    let begins = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let server = Server::start(move |_| Reply::Endless(begins.clone())).await;
    let error = error(config(&server).max_answer_bytes(1 << 16)).await;
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("more than 65536 bytes: let the query aggregate"), "{error}");
    // what the sockets hold comes on top
    assert!(server.written() < 16 << 20, "{}", server.written());
}

#[tokio::test]
async fn an_answer_of_50_mb_is_too_large_unless_that_is_allowed() {
    let begins = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 50 << 20).into_bytes();
    let server = Server::start(move |_| Reply::Endless(begins.clone())).await;
    let refused = error(config(&server)).await;
    assert!(refused.message.contains("more than 8388608 bytes: let the query aggregate"), "{refused}");
    let read = error(config(&server).max_answer_bytes(50 << 20).deadline(Duration::from_secs(60))).await;
    assert!(read.message.contains("no answer of Prometheus' API"), "{read}");
}

#[tokio::test]
async fn nothing_that_listens_is_a_transient_error() {
    let addr = Server::start(|_| Reply::new(200, "")).await.stop().await;
    let error = error(PrometheusConfig::new(&format!("http://me:secret@{addr}")).unwrap()).await;
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.message.contains("Connection refused") && !error.message.contains("secret"), "{error}");
}

#[tokio::test]
async fn silence_lasts_until_the_deadline_whatever_was_asked() {
    for begins in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":"] {
        let server = Server::prometheus(move |_| Reply::Hang(begins.as_bytes().to_vec())).await;
        let health = health(config(&server).deadline(SHORT).concurrency(2));
        let signals =
            [Signal::Requests, Signal::Latency, Signal::CriticalAlerts, named("depth"), named("age")];
        let begun = Instant::now();
        let answers = health.measure(&signals.map(|signal| query(signal, "aaa", WINDOW))).await;
        assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
        assert_eq!(answers.len(), 5);
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Transient);
            assert!(error.message.contains("no answer within 300 ms"), "{error}");
        }
    }
}

#[tokio::test]
async fn one_question_that_is_late_spoils_no_other() {
    let server = Server::prometheus(|request| match request.contains("max%28age%29") {
        true => Reply::Hang(Vec::new()),
        false => Reply::new(200, &success(r#"{"metric":{},"value":[1,"7"]}"#)),
    })
    .await;
    let health = health(config(&server).deadline(SHORT));
    let answers = health.measure(&["age", "depth"].map(|name| query(named(name), "aaa", WINDOW))).await;
    let answers: Vec<Option<Reading>> = answers.into_iter().map(Result::ok).collect();
    assert_eq!(answers, [None, Some(Reading::Scalar(7.0))]);
    // Prometheus is told how long somebody waits
    let timeout = server.questions()[0].rsplit_once("timeout=").map(|(_, ms)| ms.to_owned()).unwrap();
    let ms: u128 = timeout.strip_suffix("ms").unwrap().parse().unwrap();
    assert!((1..=SHORT.as_millis()).contains(&ms), "{timeout}");
}

#[tokio::test]
async fn all_rollouts_together_ask_no_more_than_agreed_at_once() {
    let server = Server::prometheus(|_| Reply::Late(Duration::from_millis(20), 200, success(""))).await;
    let source = PrometheusSource::new(config(&server).concurrency(3).joined(1)).unwrap();
    let mut looks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let health = source.for_target(Target::new("default", format!("edge-{n}")));
        looks.spawn(async move {
            health
                .measure(&[Signal::Requests, Signal::Latency].map(|signal| query(signal, "aaa", WINDOW)))
                .await
        });
    }
    for answers in looks.join_all().await {
        assert!(answers.into_iter().all(|answer| answer.unwrap() == Reading::NoData));
    }
    assert_eq!((server.questions().len(), server.most_open()), (12, 3));
}

/// The machine has a clock of its own, and nobody asks for it.
#[tokio::test]
async fn looks_at_the_same_time_ask_for_the_time_once() {
    let server = Server::prometheus(|_| Reply::new(200, &success(""))).await;
    let source = PrometheusSource::new(config(&server)).unwrap();
    let looks = (0..8).map(|n| {
        let health = source.for_target(Target::new("default", format!("edge-{n}")));
        async move { health.measure(&[query(Signal::Requests, "aaa", WINDOW)]).await }
    });
    for answers in futures::future::join_all(looks).await {
        assert_eq!(*answers[0].as_ref().unwrap(), Reading::NoData);
    }
    assert_eq!(server.requests().len(), server.questions().len() + 1);
    // 1 s before what the server says, in whole seconds
    assert!(server.questions().iter().all(|question| question.contains("&time=999.000&")));
}

#[test]
fn pods_are_measured_where_somebody_said_how_and_queries_where_they_are_known() {
    let config = || PrometheusConfig::new("http://127.0.0.1:1").unwrap();
    let plain = health(config().pods_come_with("--pods"));
    let with_pods = health(config().metrics(Metrics::default().pods(PodMetrics::default())));
    for (signal, measured) in [
        (Signal::Requests, (true, true)),
        (Signal::Latency, (true, true)),
        (Signal::CriticalAlerts, (true, true)),
        (Signal::Restarts, (false, true)),
        (Signal::Saturation, (false, true)),
        (named("depth"), (true, true)),
        (named("width"), (false, false)),
    ] {
        assert_eq!((plain.measures(&signal), with_pods.measures(&signal)), measured, "{signal}");
        let lack = measured == (false, true);
        let says = "Prometheus measures that only with --pods; give it, or leave the check away";
        assert_eq!(plain.lack(&signal).as_deref(), lack.then_some(says), "{signal}");
        assert_eq!(with_pods.lack(&signal), None, "{signal}");
    }
}
