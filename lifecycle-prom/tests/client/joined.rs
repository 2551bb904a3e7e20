//! Questions of several rollouts that are asked as one.

use std::time::{Duration, Instant};

use lifecycle_core::backend::{BackendResult, HealthQuery, Reading, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::{PrometheusConfig, PrometheusSource, Target};

use super::support::query;
use super::support::server::{Reply, Server};
use super::{WINDOW, config, success};

/// The agents that a request asks for.
fn agents(request: &str) -> Vec<String> {
    let Some((_, agents)) = request.split_once("agent%3D") else { return Vec::new() };
    let (_, agents) = agents.split_once("%22").unwrap();
    let (agents, _) = agents.split_once("%22").unwrap();
    agents.split("%7C").map(str::to_owned).collect()
}

/// A Prometheus that has counted so many requests of the agent with this number.
async fn counting() -> Server {
    Server::prometheus(|request| Reply::new(200, &success(&counts(request)))).await
}

fn counts(request: &str) -> String {
    let count = |agent: &String| {
        let labels = format!(r#""namespace":"default","agent":"{agent}","revision":"aaa""#);
        let counted = agent.trim_start_matches('e');
        let scraped = format!(r#"{{"metric":{{{labels},"lifecycle_count":"scraped"}},"value":[999,"999"]}}"#);
        format!(r#"{{"metric":{{{labels}}},"value":[999,"{counted}"]}},{scraped}"#)
    };
    agents(request).iter().map(count).collect::<Vec<_>>().join(",")
}

/// The answers to one question of each of so many rollouts at once.
async fn look(source: &PrometheusSource, rollouts: u64, query: &HealthQuery) -> Vec<BackendResult<Reading>> {
    let looks = (0..rollouts).map(|n| {
        let health = source.for_target(Target::new("default", format!("e{n}")));
        async move { health.measure(std::slice::from_ref(query)).await.remove(0) }
    });
    futures::future::join_all(looks).await
}

fn patient(config: PrometheusConfig) -> PrometheusConfig {
    // on a busy machine it may take more than 20 ms until all have asked
    config.join_within(Duration::from_millis(300)).deadline(Duration::from_secs(60))
}

#[tokio::test]
async fn rollouts_that_look_at_the_same_time_share_a_question() {
    let server = counting().await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    for (n, answer) in look(&source, 250, &requests).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), Reading::Counts { requests: n as u64, failed: 0 });
    }
    let mut sizes: Vec<usize> = server.questions().iter().map(|question| agents(question).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    // one alone asks for itself
    assert_eq!(look(&source, 1, &requests).await.len(), 1);
    assert_eq!(agents(&server.questions()[3]), ["e0"]);
}

#[tokio::test]
async fn what_is_asked_about_another_time_is_another_question() {
    let server = counting().await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    let [short, long] = [60, 300].map(|seconds| query(Signal::Requests, "aaa", Millis::from_secs(seconds)));
    let (of_short, of_long) = tokio::join!(look(&source, 3, &short), look(&source, 3, &long));
    assert_eq!(of_short.len() + of_long.len(), 6);
    assert_eq!(server.questions().len(), 2);
}

fn refused(kind: &str, text: &str) -> Reply {
    Reply::new(422, &format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#))
}

/// How many agents each question has asked for, from this one on.
fn sizes(server: &Server, from: usize) -> Vec<usize> {
    server.questions()[from..].iter().map(|one| agents(one).len()).collect()
}

#[tokio::test]
async fn a_question_that_is_too_much_is_asked_in_parts_and_then_fewer_share_one() {
    let server = Server::prometheus(|request| match agents(request).len() {
        0..=10 => Reply::new(200, &success(&counts(request))),
        _ => refused("execution", "too many samples"),
    })
    .await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    let mut from = 0;
    for expected in [&[40, 20, 20, 10, 10, 10, 10][..], &[10, 10, 10, 10]] {
        for (n, answer) in look(&source, 40, &requests).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), Reading::Counts { requests: n as u64, failed: 0 });
        }
        assert_eq!(sizes(&server, from), expected);
        from = server.questions().len();
    }
}

#[tokio::test]
async fn one_that_is_refused_does_not_spoil_the_answers_of_the_others() {
    let warned = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[]}},"warnings":["{}"]}}"#,
        "a series is wrong"
    );
    let large = " ".repeat(20_000);
    for (reply, said) in [
        (refused("execution", "many-to-many"), "execution: many-to-many"),
        (refused("bad_data", "no such name"), "bad_data: no such name"),
        (Reply::new(200, &warned), "incomplete: a series is wrong"),
        (Reply::new(200, &large), "more than 15000 bytes"),
        (Reply::new(413, "too large"), "HTTP status 413"),
    ] {
        let server = Server::prometheus(move |request| match agents(request).iter().any(|one| one == "e7") {
            true => reply.clone(),
            false => Reply::new(200, &success(&counts(request))),
        })
        .await;
        let source = PrometheusSource::new(patient(config(&server)).max_answer_bytes(15_000)).unwrap();
        let requests = query(Signal::Requests, "aaa", WINDOW);
        for _ in 0..2 {
            let from = server.questions().len();
            for (n, answer) in look(&source, 40, &requests).await.into_iter().enumerate() {
                match n {
                    7 => {
                        let error = answer.unwrap_err();
                        assert!(error.message.contains(said), "{error}");
                    }
                    _ => assert_eq!(answer.unwrap(), Reading::Counts { requests: n as u64, failed: 0 }),
                }
            }
            // in each depth of 6 that and its other half; and they are as many as before the next time
            let sizes = sizes(&server, from);
            assert!(sizes[0] == 40 && sizes.len() <= 13, "{said}: {sizes:?}");
        }
    }
}

#[tokio::test]
async fn where_all_are_refused_each_is_asked_alone_once() {
    let server = Server::prometheus(|_| refused("execution", "because")).await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    for answer in look(&source, 8, &query(Signal::Requests, "aaa", WINDOW)).await {
        let error = answer.unwrap_err();
        assert!(error.message.contains("execution: because"), "{error}");
    }
    assert_eq!(sizes(&server, 0), [8, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn what_is_about_the_server_is_asked_once() {
    for reply in [
        Reply::new(500, "oops"),
        Reply::new(401, "who are you?"),
        Reply::new(429, "not so fast"),
        Reply::new(200, "{}"),
        Reply::Bytes(Vec::new()),
        refused("timeout", "because"),
        refused("unavailable", "because"),
    ] {
        let sent = reply.clone();
        let server = Server::prometheus(move |_| sent.clone()).await;
        let source = PrometheusSource::new(patient(config(&server))).unwrap();
        let answers = look(&source, 8, &query(Signal::Requests, "aaa", WINDOW)).await;
        assert!(answers.iter().all(Result::is_err), "{reply:?}: {answers:?}");
        assert_eq!(sizes(&server, 0), [8], "{reply:?}");
    }
}

#[tokio::test]
async fn parts_are_asked_for_within_the_deadline() {
    let (late, deadline) = (Duration::from_millis(300), Duration::from_millis(1500));
    let warned = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["because"]}"#;
    let server = Server::prometheus(move |_| Reply::Late(late, 200, warned.to_owned())).await;
    let source = PrometheusSource::new(config(&server).deadline(deadline)).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    let answers = look(&source, 40, &requests).await;
    for answer in answers {
        let error = answer.unwrap_err();
        // and no late answer that is the fault of the parts
        assert!(error.message.contains("incomplete: because"), "{error}");
    }
    // one after the other, each of which takes 300 ms
    let asked = sizes(&server, 0).len();
    assert!((2..=3).contains(&asked), "{asked}");
    // the next look goes on from there
    look(&source, 40, &requests).await;
    assert!(sizes(&server, asked)[0] <= 20, "{:?}", sizes(&server, asked));
}

/// Who joins late waits as long as alone.
#[tokio::test]
async fn everybody_has_a_deadline_of_their_own() {
    let late = Duration::from_millis(1500);
    let server = Server::prometheus(move |request| Reply::Late(late, 200, success(&counts(request)))).await;
    let config = config(&server).deadline(Duration::from_secs(3)).join_within(Duration::from_secs(2));
    let source = PrometheusSource::new(config).unwrap();
    let look = |n: u32| {
        let health = source.for_target(Target::new("default", format!("e{n}")));
        async move { health.measure(&[query(Signal::Requests, "aaa", WINDOW)]).await.remove(0) }
    };
    let second = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        look(2).await
    };
    // both are asked for after 2 s, and answered after 3.5 s
    let (first, second) = tokio::join!(look(1), second);
    let first = first.unwrap_err();
    assert!(first.message.contains("no answer within 3000 ms"), "{first}");
    assert_eq!(second.unwrap(), Reading::Counts { requests: 2, failed: 0 });
    assert_eq!(server.questions().len(), 1);
}

/// Whoever asked first may go away, as a tick that is dropped does.
#[tokio::test]
async fn nobody_depends_on_whoever_asked_first() {
    let server = counting().await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    // the clock is known from here on
    assert_eq!(look(&source, 1, &requests).await.len(), 1);
    let first = {
        let health = source.for_target(Target::new("default", "e1"));
        let requests = requests.clone();
        tokio::spawn(async move { health.measure(&[requests]).await })
    };
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let health = source.for_target(Target::new("default", "e2"));
        async move { health.measure(&[requests]).await.remove(0) }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap(), Reading::Counts { requests: 2, failed: 0 });
}

#[tokio::test]
async fn questions_wait_together_while_there_is_no_place() {
    let late = Duration::from_millis(400);
    let server = Server::prometheus(move |request| Reply::Late(late, 200, success(&counts(request)))).await;
    let config = config(&server).concurrency(1).join_within(Duration::from_millis(1));
    let source = PrometheusSource::new(config.deadline(Duration::from_secs(60))).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    let first = look(&source, 1, &requests);
    let others = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.questions().is_empty() {
            assert!(Instant::now() < deadline, "nothing was asked");
            tokio::task::yield_now().await;
        }
        // they come one after the other, long after the time to join
        let mut looks = tokio::task::JoinSet::new();
        for n in 2..6 {
            let health = source.for_target(Target::new("default", format!("e{n}")));
            let requests = requests.clone();
            looks.spawn(async move { health.measure(&[requests]).await.remove(0) });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        looks.join_all().await
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.iter().chain(&others).all(Result::is_ok), "{first:?} {others:?}");
    assert_eq!(server.questions().len(), 2);
}
