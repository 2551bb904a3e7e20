use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::time::Millis;
use tokio::time::Instant;

use super::*;
use crate::monitor::Verdict;

/// What a scripted target does when it is asked.
#[derive(Clone, Copy, Debug)]
enum Does {
    Passes,
    Fails,
    Hangs,
    Panics,
    Takes(u64),
    /// Says a little late that it was late.
    TimesOut,
}

/// Answers by a script, the last line again and again, and counts.
#[derive(Debug)]
struct Scripted {
    script: Vec<Does>,
    start: Instant,
    asked: Mutex<Vec<u64>>,
    load: Arc<Load>,
}

/// How many probes are on their way.
#[derive(Debug, Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct OnItsWay<'a>(&'a Load);

impl<'a> OnItsWay<'a> {
    fn new(load: &'a Load) -> Self {
        load.most.fetch_max(load.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(load)
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    fn new(script: &[Does]) -> Arc<Self> {
        Self::sharing(script, Arc::default())
    }

    fn sharing(script: &[Does], load: Arc<Load>) -> Arc<Self> {
        Arc::new(Self { script: script.to_vec(), start: Instant::now(), asked: Mutex::default(), load })
    }

    /// When it was asked, in milliseconds.
    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, probe: &Probe, timeout: Millis) -> Outcome {
        let _on_its_way = OnItsWay::new(&self.load);
        let so_far = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Millis::from(self.start.elapsed()).get());
            asked.len()
        };
        match self.script[(so_far - 1).min(self.script.len() - 1)] {
            Does::Passes => probe.judge(200, Millis::ZERO),
            Does::Fails => probe.judge(503, Millis::ZERO),
            Does::Hangs => std::future::pending().await,
            Does::Panics => panic!("on purpose"),
            Does::TimesOut => {
                tokio::time::sleep(Duration::from(timeout) + Duration::from_millis(5)).await;
                Outcome::failed(Failure::Timeout).detail("half an answer")
            }
            Does::Takes(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                probe.judge(200, Millis(ms))
            }
        }
    }
}

fn runner(config: RunnerConfig) -> Runner {
    Runner::new(config.with_origin(Timestamp::ZERO)).unwrap()
}

/// The next verdict, soon (in virtual time) or never.
async fn next(watched: &mut Watched) -> Option<HealthStatus> {
    timeout(Duration::from_secs(3600), watched.changed()).await.expect("the verdict changes or never will")
}

async fn wait(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn probes_go_out_when_they_are_due_and_every_change_is_told_once() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let config = RunnerConfig::default().on_change(move |name, change| {
        telling.lock().unwrap().push(format!("{} {name} {change}", change.at))
    });
    let runner = runner(config);
    use Does::{Fails, Hangs, Passes, Takes};
    let target = Scripted::new(&[Takes(1000), Fails, Hangs, Passes]);
    let mut agent = runner.watch("agent", Probe::readiness(), target.clone());
    assert_eq!((agent.status().verdict, agent.name()), (Verdict::Unknown, "agent"));
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let status = next(&mut agent).await.unwrap();
        verdicts.push((status.since.as_millis(), status.verdict));
    }
    // The timeout was up at 13 s, and the prober did not say so. A timer may be a millisecond late.
    let expected = [(1000, Verdict::Healthy), (13_050, Verdict::Unhealthy), (15_000, Verdict::Healthy)];
    for (verdict, expected) in verdicts.iter().zip(expected) {
        assert!(verdict.1 == expected.1 && verdict.0 - expected.0 < 3, "{verdicts:?}");
    }
    for (asked, due) in target.asked().iter().zip([0, 5000, 10_000, 15_000]) {
        assert!(asked - due < 3, "{:?}", target.asked());
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3);
    assert!(
        told[0].ends_with("agent GET /ready is healthy: passed once (bound 1), status 200 in 1s"),
        "{}",
        told[0]
    );
    assert!(told[1].contains("failed 2 times in a row for 8s (bound 2), no answer in time"), "{}", told[1]);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_holds_nobody_up() {
    let runner = runner(RunnerConfig::default());
    let hangs = Scripted::new(&[Does::Hangs]);
    let fast = Scripted::new(&[Does::Passes]);
    let hanging: Vec<Watched> =
        (0..20).map(|_| runner.watch("hangs", Probe::readiness(), hangs.clone())).collect();
    let good = runner.watch("good", Probe::readiness(), fast.clone());
    wait(21_000).await;
    for (n, asked) in fast.asked().iter().enumerate() {
        assert!(asked - 5000 * (n as u64) < 3, "{:?}", fast.asked());
    }
    assert_eq!((fast.asked().len(), hangs.asked().len()), (5, 100));
    assert!(good.status().is_healthy());
    assert!(hanging.iter().all(|it| it.status().verdict == Verdict::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_agreed_are_on_their_way_and_everybody_has_a_turn() {
    let runner = runner(RunnerConfig::default().with_concurrency(3));
    let load = Arc::new(Load::default());
    let targets: Vec<_> =
        (0..12).map(|_| Scripted::sharing(&[Does::Takes(1000)], Arc::clone(&load))).collect();
    let watched: Vec<Watched> =
        targets.iter().map(|it| runner.watch("it", Probe::readiness(), it.clone())).collect();
    wait(4900).await;
    assert_eq!(load.most.load(Ordering::SeqCst), 3);
    // the last had to wait for 3 s, which is not its fault
    assert!(watched.iter().all(|it| it.status().is_healthy()));
    assert!(targets.iter().all(|it| it.asked().len() == 1));
    assert!((3000..3020).contains(&targets[11].asked()[0]), "{:?}", targets[11].asked());
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_is_dropped_stops_and_takes_its_verdicts_with_it() {
    let runner = runner(RunnerConfig::default());
    let load = Arc::new(Load::default());
    let target = Scripted::sharing(&[Does::Passes, Does::Hangs], Arc::clone(&load));
    let mut agent = runner.watch("agent", Probe::readiness(), target.clone());
    let mut unknown = runner.watch("other", Probe::readiness(), Scripted::new(&[Does::Hangs]));
    assert!(next(&mut agent).await.unwrap().is_healthy());
    wait(6000).await;
    assert_eq!(load.now.load(Ordering::SeqCst), 1);
    drop(runner);
    let status = next(&mut agent).await.unwrap();
    assert_eq!((status.verdict, status.last), (Verdict::Unknown, None));
    assert_eq!((next(&mut agent).await, next(&mut unknown).await), (None, None));
    assert_eq!(agent.status().verdict, Verdict::Unknown);
    assert_eq!(load.now.load(Ordering::SeqCst), 0, "the probe that was on its way is dropped");
    wait(60_000).await;
    assert_eq!(target.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_watches_is_not_probed_and_forgotten() {
    let runner = runner(RunnerConfig::default());
    let (kept, dropped) = (Scripted::new(&[Does::Passes]), Scripted::new(&[Does::Passes]));
    let agent = runner.watch("kept", Probe::readiness(), kept.clone());
    for _ in 0..50 {
        drop(runner.watch("dropped", Probe::readiness(), dropped.clone()));
        wait(1).await;
    }
    wait(11_000).await;
    assert_eq!((kept.asked().len(), dropped.asked().len()), (3, 0));
    assert!(agent.status().is_healthy());
    assert!(runner.tasks.lock().unwrap().len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_panics_or_never_answers_has_failed() {
    let runner = runner(RunnerConfig::default());
    let target = Scripted::new(&[Does::Panics, Does::Hangs, Does::Panics, Does::Passes]);
    let mut agent = runner.watch("agent", Probe::readiness(), target.clone());
    assert_eq!(next(&mut agent).await.unwrap().verdict, Verdict::Unhealthy);
    wait(2500).await;
    let last = |agent: &Watched| agent.status().last.unwrap().outcome.to_string();
    assert_eq!(last(&agent), "failed: the prober panicked");
    assert!(next(&mut agent).await.unwrap().is_healthy());
    assert_eq!(target.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_was_late_says_itself_what_was_missing() {
    let runner = runner(RunnerConfig::default());
    let mut agent = runner.watch("agent", Probe::readiness(), Scripted::new(&[Does::TimesOut]));
    let status = next(&mut agent).await.unwrap();
    assert_eq!(status.last.unwrap().outcome.to_string(), "no answer in time: half an answer");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_leaves_nothing_known() {
    let runner = runner(RunnerConfig::default().on_change(|_, _| panic!("on purpose")));
    let mut agent = runner.watch("agent", Probe::readiness(), Scripted::new(&[Does::Passes]));
    while next(&mut agent).await.is_some() {}
    assert_eq!(agent.status().verdict, Verdict::Unknown);
}

#[test]
fn without_a_runtime_there_is_no_runner() {
    assert_eq!(Runner::new(RunnerConfig::default()).unwrap_err(), NoRuntime);
}
