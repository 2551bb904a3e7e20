//! What is counted since an earlier answer, of replicas that are scraped.

use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{Counted, HealthQuery, HealthSource, Increase, Mark, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_prom::{PrometheusConfig, PrometheusSource, Target as Agent};
use tokio::time::{Instant, sleep};

use super::support::prometheus::{Prometheus, Target};
use super::support::{query, revision};
use super::{PATIENCE, health, one};

/// What an arm has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    requests: u64,
    failed: u64,
    durations: u64,
    /// Looks without a count.
    lost: u64,
}

/// Looks one after the other.
struct Looks {
    health: Arc<dyn HealthSource>,
    marks: [Option<Mark>; 2],
    arms: [Sum; 2],
}

impl Looks {
    async fn begin(health: Arc<dyn HealthSource>) -> Self {
        let mut looks = Self { health, marks: [None; 2], arms: [Sum::default(); 2] };
        looks.look().await;
        looks.arms = [Sum::default(); 2];
        looks
    }

    async fn look(&mut self) {
        let over = |at: usize, hash: &str| {
            let signal = [Signal::Requests, Signal::Latency][at].clone();
            HealthQuery::over(signal, revision(hash), Span::Since(self.marks[at]))
        };
        let queries = [over(0, "aaa"), over(0, "bbb"), over(1, "aaa"), over(1, "bbb")];
        let mut ends = [None; 4];
        for (at, answer) in self.health.measure(&queries).await.into_iter().enumerate() {
            match answer.unwrap() {
                Reading::NoData => {}
                Reading::Increase(Increase { until, counted, .. }) => {
                    ends[at] = Some(until);
                    let arm = &mut self.arms[at % 2];
                    match counted {
                        Some(Counted::Requests(counts)) => {
                            arm.requests += counts.requests;
                            arm.failed += counts.failed;
                        }
                        Some(Counted::Durations(histogram)) => arm.durations += histogram.total(),
                        _ => arm.lost += 1,
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        for at in 0..2 {
            let both = [ends[2 * at], ends[2 * at + 1]];
            assert!(both.iter().flatten().all(|end| Some(*end) >= self.marks[at]), "{both:?}");
            assert!(both[0].is_none() || both[1].is_none() || both[0] == both[1], "{both:?}");
            self.marks[at] = both[0].or(both[1]).or(self.marks[at]);
        }
    }

    /// Looks until the arms have counted so much.
    async fn until(&mut self, what: &str, wanted: impl Fn(&[Sum; 2]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.arms) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.arms);
            self.look().await;
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Shows so many requests, each of which took less than 100 ms.
fn shows(replica: &Target, requests: u64, failed: u64) {
    let mut text = format!("http_requests_total{{code=\"200\"}} {}\n", requests - failed);
    if failed > 0 {
        text.push_str(&format!("http_requests_total{{code=\"500\"}} {failed}\n"));
    }
    for le in ["0.1", "+Inf"] {
        text.push_str(&format!("http_request_duration_seconds_bucket{{le=\"{le}\"}} {requests}\n"));
    }
    replica.shows(text);
}

const fn sum(requests: u64, failed: u64) -> Sum {
    Sum { requests, failed, durations: requests, lost: 0 }
}

#[tokio::test]
async fn looks_count_everything_once_and_what_cannot_be_told_is_lost_for_both_arms() {
    let (a, b) = (Target::start("edge", "aaa").await, Target::start("edge", "bbb").await);
    shows(&a, 1000, 0);
    shows(&b, 5000, 100);
    let prometheus = Prometheus::start(&[&a, &b]).await;
    let health = health(&prometheus, Agent::new("default", "edge"));
    a.scraped(2).await;
    b.scraped(4).await;
    let mut looks = Looks::begin(Arc::clone(&health)).await;
    looks.look().await;
    shows(&a, 1010, 0);
    shows(&b, 5200, 105);
    looks.until("growth", |arms| *arms == [sum(10, 0), sum(200, 5)]).await;
    // the first failures, all at once
    shows(&a, 1050, 30);
    looks.until("first failures", |arms| *arms == [sum(50, 30), sum(200, 5)]).await;

    // a process that begins anew: what is lost for one arm is lost for both
    shows(&a, 7, 0);
    shows(&b, 5300, 105);
    looks.until("reset", |[a, b]| a.lost > 0 && b.lost > 0).await;
    let [before, _] = looks.arms;
    shows(&a, 27, 0);
    looks.until("after the reset", |[a, _]| a.requests == before.requests + 20).await;

    // scrapes that fail, and come back
    let lost = looks.arms[1].lost;
    b.breaks(true);
    looks.until("failed scrape", |[_, b]| b.lost > lost).await;
    b.breaks(false);
    b.scraped(3).await;
    looks.look().await;
    let [_, before] = looks.arms;
    shows(&b, 5301, 105);
    looks.until("after it", |[_, b]| b.requests > before.requests).await;
    assert!(looks.arms[1].requests <= 301, "{:?}", looks.arms);
}

/// Whoever was started anew does not know what the answer before has ended with.
#[tokio::test]
async fn another_source_does_not_count_from_a_mark_that_it_has_not_given() {
    let replica = Target::start("edge", "aaa").await;
    shows(&replica, 1000, 0);
    let prometheus = Prometheus::start(&[&replica]).await;
    let first = health(&prometheus, Agent::new("default", "edge"));
    replica.scraped(4).await;
    let mut looks = Looks::begin(first).await;
    shows(&replica, 1100, 0);
    looks.until("growth", |[a, _]| *a == sum(100, 0)).await;
    looks.health = health(&prometheus, Agent::new("default", "edge"));
    shows(&replica, 1200, 0);
    looks.until("the look is lost", |[a, _]| a.lost == 2).await;
    shows(&replica, 1234, 0);
    looks.until("growth again", |[a, _]| a.requests >= 134).await;
    assert!(looks.arms[0].requests <= 234 && looks.arms[0].lost == 2, "{:?}", looks.arms);
}

/// A scrape that takes long is stored under the time at which it began, after somebody has looked there.
#[tokio::test]
async fn a_scrape_that_arrives_late_costs_a_look_and_never_a_request() {
    // each is scraped at another time of the second: one at least is on its way when somebody looks
    let replicas = futures::future::join_all([(); 4].map(|()| Target::start("edge", "aaa"))).await;
    replicas.iter().for_each(|replica| shows(replica, 1000, 0));
    let prometheus = Prometheus::start(&replicas.iter().collect::<Vec<_>>()).await;
    let config = PrometheusConfig::new(&prometheus.url()).unwrap().settle(Millis::ZERO);
    let health = PrometheusSource::new(config).unwrap().for_target(Agent::new("default", "edge"));
    for replica in &replicas {
        replica.scraped(2).await;
    }
    let mut counted: Vec<(Mark, Mark, Option<u64>)> = Vec::new();
    let deadline = Instant::now() + PATIENCE * 2;
    let mut mark = None;
    let told = |counted: &[(Mark, Mark, Option<u64>)]| {
        counted.windows(2).filter(|pair| pair[0].2 > Some(0) && pair[1].2.is_some()).count()
    };
    for round in 0.. {
        if told(&counted) >= 3 && counted.iter().any(|(_, _, count)| count.is_none()) {
            break;
        }
        assert!(Instant::now() < deadline, "{} of {counted:?}", told(&counted));
        for replica in &replicas {
            // some seconds of each
            replica.slows_down(Duration::from_millis(if round / 8 % 2 == 0 { 950 } else { 0 }));
            shows(replica, 1000 + 10 * round, 0);
        }
        let since = HealthQuery::over(Signal::Requests, revision("aaa"), Span::Since(mark));
        match one(&health, &since).await.unwrap() {
            Reading::Increase(Increase { until, counted: brought, .. }) => {
                let requests = brought.map(|brought| match brought {
                    Counted::Requests(counts) => counts.requests,
                    other => panic!("{other:?}"),
                });
                counted.extend(mark.map(|mark| (mark, until, requests)));
                mark = Some(until);
            }
            other => assert_eq!(other, Reading::NoData),
        }
        // marks are whole seconds: each look has one of its own
        sleep(Duration::from_millis(1100)).await;
    }
    // what the counter says by now that it was at each of the marks
    let marks: Vec<_> = counted.iter().flat_map(|(from, until, _)| [from.0, until.0]).collect();
    let queries: Vec<(Arc<str>, Arc<str>)> = marks
        .iter()
        .map(|ms| (ms.to_string().into(), format!("sum(http_requests_total @ {}.000)", ms / 1000).into()))
        .collect();
    let target = Agent::new("default", "edge").with_queries(&queries).unwrap();
    let config = PrometheusConfig::new(&prometheus.url()).unwrap();
    let values = PrometheusSource::new(config).unwrap().for_target(target);
    let value = async |mark: Mark| {
        let named = query(Signal::Named(mark.0.to_string().into()), "aaa", Millis(1));
        match one(&values, &named).await.unwrap() {
            Reading::Scalar(value) => value as u64,
            other => panic!("{other:?}"),
        }
    };
    for pair in counted.windows(2) {
        // an end that the next look agrees with was not too early
        if let ((from, until, Some(requests)), (_, _, Some(_))) = (pair[0], pair[1]) {
            assert_eq!(requests, value(until).await - value(from).await, "{from:?} {until:?}");
        }
    }
}
