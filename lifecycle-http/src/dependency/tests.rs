use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;

use super::*;
use crate::answer::CheckFailure;

/// What a check does.
#[derive(Clone, Copy, Debug)]
enum Does {
    Holds,
    Fails,
    Takes(u64),
    Hangs,
    Panics,
}

/// Counts how often it is called.
#[derive(Debug)]
struct Counted(Does, AtomicUsize);

impl Counted {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self(does, AtomicUsize::new(0)))
    }

    fn calls(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DependencyCheck for Counted {
    async fn check(&self) -> Result<(), CheckFailure> {
        self.1.fetch_add(1, Ordering::SeqCst);
        match self.0 {
            Does::Holds => Ok(()),
            Does::Fails => Err(CheckFailure::new("replica lags").because("by 90 s")),
            Does::Takes(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Does::Hangs => std::future::pending().await,
            Does::Panics => panic!("on purpose"),
        }
    }
}

fn one(does: Does) -> (Arc<Counted>, Dependencies) {
    let check = Counted::new(does);
    let dependencies = Dependencies::builder().required("database", Millis(1000), check.clone());
    (check, dependencies.build().unwrap())
}

fn body(report: &ReadyReport) -> String {
    serde_json::to_string(report).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn checks_run_side_by_side_each_with_its_own_timeout() {
    let start = Instant::now();
    let dependencies = Dependencies::builder()
        .required("database", Millis(2000), Counted::new(Does::Takes(900)))
        .required("kernel", Millis(2000), Counted::new(Does::Takes(900)))
        .optional("redis", Millis(500), Counted::new(Does::Hangs))
        .optional("cache", Millis(500), Counted::new(Does::Fails))
        .build()
        .unwrap();
    let report = dependencies.ready().await;
    assert!((ms(900)..ms(905)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(report.status_code(), 200);
    assert_eq!(
        body(&report),
        r#"{"status":"ready","checks":{"cache":"optional: replica lags","database":"ok","kernel":"ok","redis":"optional: no answer within 500ms"}}"#
    );
    let cause = report.checks()["cache"].failure.as_ref().unwrap();
    assert_eq!(cause.cause.as_str(), "by 90 s");
}

#[tokio::test(start_paused = true)]
async fn one_required_check_that_fails_is_enough() {
    for (does, said) in [
        (Does::Fails, "replica lags"),
        (Does::Hangs, "no answer within 1s"),
        (Does::Panics, "the check broke off"),
    ] {
        let dependencies = Dependencies::builder()
            .required("a", Millis(1000), Counted::new(Does::Holds))
            .required("b", Millis(1000), Counted::new(does))
            .required("c", Millis(1000), Counted::new(Does::Holds));
        let report = dependencies.build().unwrap().ready().await;
        let expected = format!(r#"{{"status":"not_ready","checks":{{"a":"ok","b":"{said}","c":"ok"}}}}"#);
        assert_eq!((report.status_code(), body(&report)), (503, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_blocks_its_thread_is_late_and_holds_nobody_up() {
    #[derive(Debug)]
    struct Blocks(Mutex<std::sync::mpsc::Receiver<()>>);
    #[async_trait]
    impl DependencyCheck for Blocks {
        async fn check(&self) -> Result<(), CheckFailure> {
            let _ = self.0.lock().unwrap().recv_timeout(ms(20_000));
            Ok(())
        }
    }
    let (end, ends) = std::sync::mpsc::channel();
    let dependencies = Dependencies::builder()
        .deadline(ms(1000))
        .required("blocks", ms(1000), Arc::new(Blocks(Mutex::new(ends))))
        .required("holds", ms(1000), Counted::new(Does::Holds))
        .build()
        .unwrap();
    let report = dependencies.ready().await;
    drop(end);
    assert_eq!(
        body(&report),
        r#"{"status":"not_ready","checks":{"blocks":"no answer within 1s","holds":"ok"}}"#
    );
}

#[tokio::test(start_paused = true)]
async fn however_often_it_is_asked_for_a_dependency_is_checked_once_in_the_kept_time() {
    for does in [Does::Holds, Does::Fails] {
        let (check, dependencies) = one(does);
        for _ in 0..1000 {
            let _ = dependencies.clone().ready().await;
        }
        tokio::time::advance(ms(999)).await;
        let _ = dependencies.ready().await;
        assert_eq!(check.calls(), 1);
        tokio::time::advance(ms(1)).await;
        let _ = dependencies.ready().await;
        assert_eq!(check.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_kept_time_begins_when_the_checks_have_ended() {
    let (check, dependencies) = one(Does::Takes(900));
    let asked = futures::future::join_all((0..100).map(|_| dependencies.ready())).await;
    assert!(asked.iter().all(ReadyReport::is_ready));
    tokio::time::advance(ms(990)).await;
    let _ = dependencies.ready().await;
    assert_eq!(check.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_news_after_the_kept_time() {
    #[derive(Debug)]
    struct Breaks(AtomicUsize);
    #[async_trait]
    impl DependencyCheck for Breaks {
        async fn check(&self) -> Result<(), CheckFailure> {
            let calls = self.0.fetch_add(1, Ordering::SeqCst);
            if calls == 1 { Err(CheckFailure::new("away")) } else { Ok(()) }
        }
    }
    let check = Arc::new(Breaks(AtomicUsize::new(0)));
    let dependencies = Dependencies::builder().required("database", ms(100), check).keep(ms(5000));
    let dependencies = dependencies.build().unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(dependencies.ready().await.status_code());
        tokio::time::advance(ms(2500)).await;
    }
    assert_eq!(seen, [200, 200, 503, 503]);
    assert_eq!(dependencies.ready().await.status_code(), 200);
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_does_not_make_the_checks_begin_again() {
    let (check, dependencies) = one(Does::Takes(800));
    for _ in 0..7 {
        assert!(tokio::time::timeout(ms(100), dependencies.ready()).await.is_err());
    }
    assert!(dependencies.ready().await.is_ready());
    assert_eq!(check.calls(), 1);
}

#[test]
fn checks_that_broke_off_with_their_runtime_begin_again_on_another() {
    let (check, dependencies) = one(Does::Holds);
    let report = dependencies.ready().now_or_never().unwrap();
    assert_eq!(
        body(&report),
        r#"{"status":"not_ready","checks":{"database":"not checked: there is no tokio runtime"}}"#
    );
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The round is begun and never gets to run.
    let first = runtime();
    let round = first.block_on(async { dependencies.round() }).unwrap();
    drop(first);
    assert!(round.borrow().is_none() && check.calls() == 0);
    assert!(runtime().block_on(dependencies.ready()).is_ready());
    assert_eq!(check.calls(), 1);
}

#[tokio::test]
async fn a_service_without_dependencies_is_ready() {
    let report = Dependencies::builder().build().unwrap().ready().await;
    assert_eq!((report.status_code(), body(&report).as_str()), (200, r#"{"status":"ready","checks":{}}"#));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_name_of_the_field() {
    let holds = || Counted::new(Does::Holds);
    let with = |name: &str, timeout: u64| Dependencies::builder().required(name, Millis(timeout), holds());
    let names = "is not a name: write 1 to 64 letters, digits, -, _ and .";
    let many = (0..65).fold(Dependencies::builder(), |all, n| all.optional(&format!("d{n}"), ms(1), holds()));
    let long = "x".repeat(65);
    for (builder, said) in [
        (with("", 1), format!("checks: \"\" {names}")),
        (with("data base", 1), format!("checks: \"data base\" {names}")),
        (with(&long, 1), format!("checks: \"{}\"... {names}", "x".repeat(60))),
        (with("db", 1).optional("db", ms(1), holds()), "checks: \"db\" is there twice".to_owned()),
        (many, "checks: 65 are too many: at most 64".to_owned()),
        (
            with("db", 0),
            "checks.db.timeout: 0s is too short: write a time from 1ms to 2s, the deadline of all checks"
                .to_owned(),
        ),
        (
            with("db", 2001),
            "checks.db.timeout: 2s1ms is too long: write a time from 1ms to 2s, the deadline of all checks"
                .to_owned(),
        ),
        (with("db", 1).deadline(ms(0)), "deadline: 0s is too short: write a time from 1ms to 1m".to_owned()),
        (
            with("db", 1).deadline(ms(60_001)),
            "deadline: 1m1ms is too long: write a time from 1ms to 1m".to_owned(),
        ),
        (with("db", 1).keep(ms(99)), "keep: 99ms is too short: write a time from 100ms to 1m".to_owned()),
        (with("db", 1).keep(ms(60_001)), "keep: 1m1ms is too long: write a time from 100ms to 1m".to_owned()),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), said);
    }
    assert!(with(&"x".repeat(64), 2000).keep(ms(60_000)).build().is_ok());
}
