//! Candidates before an API server that is a value. Time stands still but for what is waited for.

#[cfg(feature = "e2e")]
mod real;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;

/// One Lease, guarded by its resourceVersion as the API server does it.
#[derive(Clone, Debug, Default)]
struct FakeApi(Arc<Mutex<Stored>>);

#[derive(Debug, Default)]
struct Stored {
    lease: Option<Object>,
    version: u64,
    calls: Vec<Method>,
    /// What comes to pass before each write is decided.
    meddle: Option<fn(&mut Object)>,
}

/// How a candidate reaches the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Up,
    Refuses(u16),
    Hangs,
    /// The write takes effect, and no answer comes.
    HangsAfterwards,
}

fn status(code: u16, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

impl FakeApi {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap()
    }

    fn spec(&self) -> LeaseSpec {
        self.stored().lease.clone().unwrap().spec.unwrap()
    }

    fn holder(&self) -> Option<String> {
        self.spec().holder_identity
    }

    /// Somebody writes this.
    fn edit(&self, edit: impl FnOnce(&mut Object)) {
        let mut stored = self.stored();
        stored.version += 1;
        let version = stored.version.to_string();
        let lease = stored.lease.get_or_insert_default();
        edit(lease);
        lease.metadata.resource_version = Some(version);
    }

    fn answer(&self, method: &Method, body: &[u8]) -> Response {
        self.stored().calls.push(method.clone());
        let written = serde_json::from_slice::<Object>(body);
        let meddle = self.stored().meddle.filter(|_| written.is_ok());
        if let Some(meddle) = meddle {
            self.edit(meddle);
        }
        let current = self.stored().lease.clone();
        let version = |object: &Object| object.metadata.resource_version.clone();
        match (current, written) {
            (None, Err(_)) => status(404, "NotFound"),
            (Some(lease), Err(_)) => axum::Json(lease).into_response(),
            (Some(_), Ok(_)) if method == Method::POST => status(409, "AlreadyExists"),
            (None, Ok(_)) if method == Method::PUT => status(404, "NotFound"),
            // a write that names no version is not guarded
            (Some(lease), Ok(new)) if version(&new).is_some() && version(&lease) != version(&new) => {
                status(409, "Conflict")
            }
            (_, Ok(new)) => {
                self.edit(|lease| *lease = new);
                axum::Json(self.stored().lease.clone().unwrap()).into_response()
            }
        }
    }

    fn client(&self, line: watch::Receiver<Line>) -> Client {
        let api = self.clone();
        let handle = async move |request: Request| {
            let line = *line.borrow();
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let answer = match line {
                Line::Up => api.answer(&head.method, &body),
                Line::Refuses(code) => status(code, "refused"),
                Line::HangsAfterwards => {
                    api.answer(&head.method, &body);
                    std::future::pending().await
                }
                Line::Hangs => std::future::pending().await,
            };
            Ok::<Response<Body>, Infallible>(answer)
        };
        let router = axum::Router::new().fallback(move |request| {
            let handle = handle.clone();
            async move { handle(request).await.unwrap_or_else(|never| match never {}) }
        });
        Client::new(router, "default")
    }
}

/// A candidate that runs.
struct Candidate {
    leadership: watch::Receiver<Leadership>,
    trouble: watch::Receiver<Option<String>>,
    line: watch::Sender<Line>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Candidate {
    fn start(api: &FakeApi, identity: &str) -> Self {
        let line = watch::Sender::new(Line::Up);
        let client = api.client(line.subscribe());
        let lease = Lease::new(client, "default", "operator", identity, Timing::default());
        let (leadership, trouble) = (lease.leadership(), lease.trouble());
        let (shutdown, asked) = oneshot::channel();
        let task = tokio::spawn(lease.run(async { drop(asked.await) }));
        Self { leadership, trouble, line, shutdown: Some(shutdown), task }
    }

    fn leads(&self) -> bool {
        *self.leadership.borrow() == Leadership::Leader
    }

    /// Does it lead, and has it ever since it was waited for?
    fn has_not_wavered(&self) -> bool {
        self.leads() && !self.leadership.has_changed().unwrap()
    }

    /// How long until it leads, or follows.
    async fn until(&mut self, leadership: Leadership) -> Duration {
        let begun = Instant::now();
        let reached = self.leadership.wait_for(|now| *now == leadership);
        timeout(Duration::from_secs(120), reached).await.unwrap().unwrap();
        begun.elapsed()
    }

    async fn stop(mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A leader, and one who waits.
async fn two(api: &FakeApi) -> (Candidate, Candidate) {
    let mut first = Candidate::start(api, "first");
    assert!(first.until(Leadership::Leader).await < s(1));
    let second = Candidate::start(api, "second");
    // between two looks
    sleep(s(61)).await;
    assert!(first.leads() && !second.leads());
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn a_lone_candidate_leads_at_once_and_writes_nothing_but_its_renewals() {
    let api = FakeApi::default();
    let mut only = Candidate::start(&api, "only");
    assert!(only.until(Leadership::Leader).await < s(1));
    let first = api.spec();
    assert_eq!(
        (first.holder_identity.as_deref(), first.lease_duration_seconds, first.lease_transitions),
        (Some("only"), Some(15), Some(0))
    );
    assert!(first.acquire_time.is_some() && first.acquire_time == first.renew_time);
    sleep(s(59)).await;
    assert!(only.leads());
    let calls = api.stored().calls.clone();
    assert_eq!(calls[..2], [Method::GET, Method::POST]);
    assert_eq!(calls[2..], vec![Method::PUT; 29]);
    let last = api.spec();
    assert_eq!((last.acquire_time, last.lease_transitions), (first.acquire_time, Some(0)));
    assert_eq!(*only.trouble.borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn when_the_leader_is_killed_the_other_leads_after_the_lease_has_expired() {
    let api = FakeApi::default();
    let (first, mut second) = two(&api).await;
    first.task.abort();
    let took = second.until(Leadership::Leader).await;
    // the last renewal was up to one retry period ago, and it was seen up to one later
    assert!((s(13)..=s(17)).contains(&took), "{took:?}");
    let spec = api.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("second"), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_taken_over_at_the_next_look() {
    let api = FakeApi::default();
    let (first, mut second) = two(&api).await;
    let mut seen = first.leadership.clone();
    first.stop().await;
    assert_eq!(*seen.borrow_and_update(), Leadership::Follower);
    let spec = api.spec();
    assert_eq!((spec.holder_identity, spec.lease_transitions), (None, Some(0)));
    let took = second.until(Leadership::Leader).await;
    assert!(took <= s(2), "{took:?}");
    assert_eq!(api.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_still_on_its_way_is_given_back_too() {
    let api = FakeApi::default();
    let (first, mut second) = two(&api).await;
    first.line.send(Line::HangsAfterwards).unwrap();
    // its renewal takes effect, and it has no answer yet
    sleep(s(2)).await;
    first.line.send(Line::Up).unwrap();
    first.stop().await;
    let took = second.until(Leadership::Leader).await;
    assert!(took <= s(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_shut_down_gives_nothing_back() {
    let api = FakeApi::default();
    let (first, second) = two(&api).await;
    second.stop().await;
    assert!(first.leads());
    assert_eq!(api.holder().as_deref(), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_stops_at_the_renew_deadline_whatever_the_api_server_does() {
    for line in [Line::Refuses(500), Line::Refuses(403), Line::Hangs] {
        let api = FakeApi::default();
        let (mut first, mut second) = two(&api).await;
        first.line.send(line).unwrap();
        let lost = first.until(Leadership::Follower).await;
        assert!((s(8)..=s(10)).contains(&lost), "{line:?}: {lost:?}");
        assert!(!second.leads(), "two lead");
        let trouble = first.trouble.borrow().clone().unwrap();
        assert!(trouble.contains(if line == Line::Hangs { "no answer in" } else { "refused" }), "{trouble}");
        let taken = second.until(Leadership::Leader).await;
        assert!(lost + taken <= s(17), "{line:?}: {lost:?} {taken:?}");
        first.line.send(Line::Up).unwrap();
        sleep(s(60)).await;
        assert!(second.leads() && !first.leads() && first.trouble.borrow().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_cut_off_leads_again_when_nobody_else_has() {
    let api = FakeApi::default();
    let mut only = Candidate::start(&api, "only");
    only.until(Leadership::Leader).await;
    only.line.send(Line::Refuses(503)).unwrap();
    only.until(Leadership::Follower).await;
    sleep(s(60)).await;
    only.line.send(Line::Up).unwrap();
    assert!(only.until(Leadership::Leader).await <= s(2));
    assert_eq!(api.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let api = FakeApi::default();
    let (first, second) = two(&api).await;
    for line in [Line::Refuses(500), Line::Hangs, Line::HangsAfterwards] {
        first.line.send(line).unwrap();
        sleep(s(3)).await;
        first.line.send(Line::Up).unwrap();
        sleep(s(20)).await;
        assert!(first.has_not_wavered() && !second.leads(), "{line:?}");
    }
    assert_eq!(api.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_renews_over_what_others_write_into_the_lease() {
    let api = FakeApi::default();
    let (first, second) = two(&api).await;
    api.edit(|lease| lease.metadata.annotations = Some([("edited".to_owned(), "by hand".to_owned())].into()));
    sleep(s(30)).await;
    assert!(first.has_not_wavered() && !second.leads());
    assert!(api.stored().lease.as_ref().unwrap().metadata.annotations.is_some());
    api.stored().lease = None;
    sleep(s(30)).await;
    assert!(first.leads() != second.leads(), "one of them makes it anew");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_taken_by_hand_is_followed_at_once() {
    let api = FakeApi::default();
    let (mut first, second) = two(&api).await;
    api.edit(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("third".to_owned()));
    assert!(first.until(Leadership::Follower).await <= s(2));
    sleep(s(10)).await;
    assert!(!first.leads() && !second.leads());
    // the third never renews
    sleep(s(10)).await;
    assert!(first.leads() != second.leads());
    assert_eq!(api.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn no_wall_clock_is_compared() {
    let api = FakeApi::default();
    let at = |second: i64| Some(MicroTime(Timestamp::from_second(second).unwrap()));
    for (holder, time) in [("past", 0), ("future", 100_000_000_000)] {
        let renew = |n: i64| {
            api.edit(|lease| {
                lease.spec = Some(LeaseSpec {
                    holder_identity: Some(holder.to_owned()),
                    lease_duration_seconds: Some(15),
                    renew_time: at(time + n),
                    ..LeaseSpec::default()
                });
            });
        };
        renew(0);
        let mut candidate = Candidate::start(&api, "me");
        for n in 1..20 {
            renew(n);
            sleep(s(5)).await;
            assert!(!candidate.leads(), "{holder}");
        }
        let took = candidate.until(Leadership::Leader).await;
        assert!((s(8)..=s(17)).contains(&took), "{took:?}");
        candidate.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_candidates_one_leads_whatever_becomes_of_them() {
    let api = FakeApi::default();
    let mut candidates: Vec<Candidate> = (0..5).map(|n| Candidate::start(&api, &format!("c{n}"))).collect();
    // every write of one of them finds that somebody was faster
    api.stored().meddle = Some(|lease| lease.metadata.labels = None);
    let leaders = |candidates: &[Candidate]| candidates.iter().filter(|candidate| candidate.leads()).count();
    for _ in 0..200 {
        sleep(Duration::from_millis(100)).await;
        assert!(leaders(&candidates) <= 1);
    }
    api.stored().meddle = None;
    let mut led = 0;
    for round in 0..1500 {
        sleep(Duration::from_millis(100)).await;
        assert!(leaders(&candidates) <= 1, "round {round}");
        led += leaders(&candidates);
        let faults = [Line::Up, Line::Refuses(500), Line::Up, Line::Hangs, Line::HangsAfterwards];
        if round % 7 == 0 {
            let n = candidates.len();
            candidates[round / 7 % n].line.send(faults[round / 35 % 5]).unwrap();
        }
        if round % 400 == 399 {
            // the leader is killed without a word, and comes back under another name
            let leader = candidates.iter().position(Candidate::leads).unwrap_or(0);
            candidates.remove(leader).task.abort();
            candidates.push(Candidate::start(&api, &format!("c{round}")));
        }
    }
    assert!(led > 500, "somebody led in {led} of 1500 looks");
}

#[test]
fn two_processes_have_two_names() {
    let name = identity();
    assert!(name.ends_with(&format!("_{}", std::process::id())) && name.len() > 2, "{name}");
}
