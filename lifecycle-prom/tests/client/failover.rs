//! Several addresses, and addresses that are dead.

use std::error::Error as _;
use std::time::{Duration, Instant};

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind, Reading, Signal};
use lifecycle_prom::{CallError, Connection, PrometheusSource, Target};

use super::support::query;
use super::support::server::{Reply, Server};
use super::{SHORT, WINDOW, config, one_of, over, success};

const DEADLINE: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(600);

async fn good() -> Server {
    Server::prometheus(|_| Reply::new(200, &success(""))).await
}

fn both(first: &Server, second: &Server) -> Connection {
    Connection::new(&first.url()).unwrap().or(&second.url()).unwrap()
}

#[tokio::test]
async fn the_next_address_answers_for_one_that_does_not() {
    let moved = "Location: http://127.0.0.1:1/login\r\n";
    for reply in [
        Reply::Bytes(Vec::new()),
        Reply::Hang(Vec::new()),
        Reply::new(503, r#"{"status":"error","errorType":"unavailable","error":"TSDB not ready"}"#),
        Reply::new(500, "oops"),
        Reply::new(429, "not so fast"),
        Reply::new(401, "who are you?"),
        Reply::new(404, "404 page not found"),
        Reply::with(302, moved, ""),
        Reply::with(200, "Content-Type: text/html\r\n", "<html>Please sign in</html>"),
        Reply::new(200, "{}"),
    ] {
        let sent = reply.clone();
        let (bad, good) = (Server::start(move |_| sent.clone()).await, good().await);
        let config = over(both(&bad, &good)).deadline(DEADLINE).rest(LONG);
        let source = PrometheusSource::new(config).unwrap();
        let begun = Instant::now();
        assert_eq!(one_of(&source).await.unwrap(), Reading::NoData, "{reply:?}");
        // half of the time was the first one's
        assert!(begun.elapsed() < DEADLINE * 3 / 4, "{reply:?}: {:?}", begun.elapsed());
        assert_eq!((bad.requests().len(), good.requests().len()), (1, 2), "{reply:?}");
        // it has its rest
        assert_eq!(one_of(&source).await.unwrap(), Reading::NoData);
        assert_eq!(bad.requests().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_about_the_query_is_said_by_the_first() {
    let refused = |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"because"}}"#);
    for (reply, said) in [
        (Reply::new(400, &refused("bad_data")), "bad_data: because"),
        (Reply::new(422, &refused("execution")), "execution: because"),
        (Reply::new(503, &refused("timeout")), "timeout: because"),
        (Reply::new(400, "no"), "HTTP status 400"),
        (
            Reply::new(200, r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#),
            "a string",
        ),
    ] {
        let (first, second) = (Server::prometheus(move |_| reply.clone()).await, good().await);
        let source = PrometheusSource::new(over(both(&first, &second))).unwrap();
        for _ in 0..3 {
            let error = one_of(&source).await.unwrap_err();
            assert!(error.message.contains(said), "{error}");
        }
        assert_eq!((first.questions().len(), second.requests().len()), (3, 0), "{said}");
    }
}

async fn incomplete(warning: &'static str) -> Server {
    let empty = r#""data":{"resultType":"vector","result":[]}"#;
    Server::prometheus(move |_| {
        Reply::new(200, &format!(r#"{{"status":"success",{empty},"warnings":["{warning}"]}}"#))
    })
    .await
}

#[tokio::test]
async fn the_next_address_answers_for_one_that_does_not_know_all() {
    let (first, second) = (incomplete("a store is down").await, good().await);
    let source = PrometheusSource::new(over(both(&first, &second)).rest(LONG)).unwrap();
    for _ in 0..3 {
        assert_eq!(one_of(&source).await.unwrap(), Reading::NoData);
    }
    // it is alive, and asked in its place
    assert_eq!((first.questions().len(), second.questions().len()), (3, 3));
}

#[tokio::test]
async fn where_no_address_knows_all_each_says_what_is_missing_and_none_is_dead() {
    let (first, second) = (incomplete("a store is down").await, incomplete("a shard is slow").await);
    let two = PrometheusSource::new(over(both(&first, &second)).rest(LONG)).unwrap();
    let alone = PrometheusSource::new(config(&first).rest(LONG)).unwrap();
    for _ in 0..3 {
        let (error, of_one) = (one_of(&two).await.unwrap_err(), one_of(&alone).await.unwrap_err());
        let said = |error: &BackendError| {
            ["incomplete: a store is down", "incomplete: a shard is slow"]
                .map(|said| error.message.contains(said))
        };
        assert_eq!((error.kind, said(&error)), (ErrorKind::Transient, [true, true]), "{error}");
        assert_eq!((of_one.kind, said(&of_one)), (ErrorKind::Transient, [true, false]), "{of_one}");
    }
    assert_eq!((first.questions().len(), second.questions().len()), (6, 3));
}

#[tokio::test]
async fn an_address_is_asked_in_its_place_again_after_its_rest() {
    let (first, second) = (good().await, good().await);
    let addr = first.stop().await;
    let connection = Connection::new(&format!("http://{addr}")).unwrap().or(&second.url()).unwrap();
    let rest = Duration::from_millis(200);
    let source = PrometheusSource::new(over(connection).rest(rest)).unwrap();
    assert_eq!(one_of(&source).await.unwrap(), Reading::NoData);
    let first = Server::prometheus_at(addr, |_| Reply::new(200, &success(""))).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while first.questions().is_empty() {
        assert!(Instant::now() < deadline, "it was never asked again");
        assert_eq!(one_of(&source).await.unwrap(), Reading::NoData);
    }
}

#[tokio::test]
async fn every_address_says_why_there_is_no_answer() {
    let (silent, broken) = (
        Server::start(|_| Reply::Hang(Vec::new())).await,
        Server::start(|_| Reply::new(401, "who are you?")).await,
    );
    let source = PrometheusSource::new(over(both(&silent, &broken)).deadline(SHORT * 2)).unwrap();
    let begun = Instant::now();
    let error = one_of(&source).await.unwrap_err();
    assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
    let expected = format!(
        "{}/: no answer within 299 ms; {}/: HTTP status 401: \"who are you?\"",
        silent.url(),
        broken.url()
    );
    let shown = error.message.replace("within 300", "within 299");
    assert_eq!((error.kind, shown), (ErrorKind::Transient, expected));
}

/// What 40 rollouts are told by a server that takes connections and never answers.
#[tokio::test]
async fn nobody_waits_for_a_server_that_is_known_to_be_dead() {
    let dead = Server::start(|_| Reply::Hang(Vec::new())).await;
    let config = config(&dead).deadline(SHORT).concurrency(2).rest(LONG);
    let source = PrometheusSource::new(config).unwrap();
    let look = async |n: u32| -> BackendResult<Reading> {
        let health = source.for_target(Target::new("default", format!("edge-{n}")));
        health.measure(&[query(Signal::Requests, "aaa", WINDOW)]).await.remove(0)
    };
    // two have to wait for it
    for n in 0..2 {
        let error: BackendError = look(n).await.unwrap_err();
        assert!(error.message.contains("no answer within"), "{error}");
    }
    let begun = Instant::now();
    for error in futures::future::join_all((0..40).map(look)).await {
        let error = error.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        let said = "not asked: it has failed 2 times in a row, and is tried again in";
        assert!(error.message.contains(said) && error.message.contains("no answer within"), "{error}");
        let state = error.source().and_then(|source| source.downcast_ref::<CallError>());
        let Some(CallError::Dead { times: 2, last, .. }) = state else { panic!("{state:?}") };
        assert_eq!(**last, CallError::Late(SHORT));
    }
    assert!(begun.elapsed() < SHORT, "{:?}", begun.elapsed());
    assert_eq!(dead.requests().len(), 2);
}

#[tokio::test]
async fn those_who_wait_for_their_turn_hear_that_it_is_dead() {
    // it knows the time and nothing else
    let dead = Server::prometheus(|_| Reply::Hang(Vec::new())).await;
    let config = config(&dead).deadline(Duration::from_secs(60)).concurrency(1).rest(LONG);
    let source = PrometheusSource::new(config).unwrap();
    let queries = ["a", "b", "c", "d"].map(|name| query(Signal::Named(name.into()), "aaa", WINDOW));
    let names = ["a", "b", "c", "d"].map(|name| (name.into(), format!("sum({name})").into()));
    let health = source.for_target(Target::new("default", "edge").with_queries(&names).unwrap());
    let asking = tokio::spawn(async move { health.measure(&queries).await });
    let deadline = Instant::now() + Duration::from_secs(30);
    while dead.questions().is_empty() {
        assert!(Instant::now() < deadline, "nothing was asked");
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    // every connection breaks, and no other is taken
    let begun = Instant::now();
    dead.stop().await;
    let answers = asking.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let messages: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_err().message).collect();
    let not_asked =
        messages.iter().filter(|message| message.contains("not asked: it has failed 2 times in a row"));
    assert_eq!(not_asked.count(), 2, "{messages:?}");
}

#[tokio::test]
async fn a_dead_server_that_is_alive_again_is_found_out_by_one_question() {
    let addr = good().await.stop().await;
    let connection = Connection::new(&format!("http://{addr}")).unwrap();
    let rest = Duration::from_millis(300);
    let source = PrometheusSource::new(over(connection).rest(rest)).unwrap();
    for _ in 0..3 {
        assert!(one_of(&source).await.is_err());
    }
    let alive = Server::prometheus_at(addr, |_| Reply::new(200, &success(""))).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while one_of(&source).await.is_err() {
        assert!(Instant::now() < deadline, "it was never asked again");
        tokio::task::yield_now().await;
    }
    assert_eq!(alive.questions().len(), 1);
}
