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

#[tokio::test]
async fn a_question_that_is_too_much_fails_once_and_then_fewer_share_one() {
    let server = Server::prometheus(|request| match agents(request).len() {
        0..=10 => Reply::new(200, &success(&counts(request))),
        _ => Reply::new(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
    })
    .await;
    let source = PrometheusSource::new(patient(config(&server))).unwrap();
    let requests = query(Signal::Requests, "aaa", WINDOW);
    let mut asked = Vec::new();
    loop {
        let before = server.questions().len();
        let answers = look(&source, 40, &requests).await;
        let sizes: Vec<usize> = server.questions()[before..].iter().map(|one| agents(one).len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 40, "nobody is asked for twice: {sizes:?}");
        asked.push(sizes.into_iter().max().unwrap());
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        match asked[asked.len() - 1] <= 10 {
            true => {
                assert_eq!(failed, 0);
                break;
            }
            false => assert!(failed > 0),
        }
    }
    assert_eq!(asked, [40, 20, 10]);
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
