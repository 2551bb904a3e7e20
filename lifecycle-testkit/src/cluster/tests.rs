//! The cluster, driven by hand.

use lifecycle_core::backend::{
    ErrorKind, GroupStatus, HealthQuery, HealthSource, Reading, RolloutStore, RouteStatus, RouteWish,
    ScaleWish, Signal, Token, TrafficRouter, Workload,
};
use lifecycle_core::plan::Weight;
use lifecycle_core::version::RevisionNumber;

use super::*;

const DRAIN: Millis = Millis::from_secs(5);

fn secs(s: u64) -> Millis {
    Millis::from_secs(s)
}

fn revision(n: u32) -> Revision {
    Revision::new(RevisionNumber(n), format!("hash{n}"), Version::new(1, n.into(), 0))
}

fn empty() -> Cluster {
    Cluster::new(ClusterConfig::default(), 0)
}

/// Revision 1 serves on 10 replicas.
fn serving() -> Cluster {
    let cluster = empty();
    cluster.deploy(&revision(1), 10);
    cluster
}

fn scale(cluster: &Cluster, n: u32, replicas: u32, token: u64) -> Result<(), ErrorKind> {
    let wish = ScaleWish::new(revision(n), replicas, Token(token), DRAIN);
    at_once(cluster.workload().scale(&wish)).unwrap().map_err(|error| error.kind)
}

fn route(cluster: &Cluster, weight: u32, token: u64) -> Result<(), ErrorKind> {
    let (stable, canary) = (Some(revision(1)), Some(revision(2)));
    let route = Route::Split { stable, canary, weight: Weight::new(weight).unwrap() };
    let wish = RouteWish::new(route, Token(token));
    at_once(cluster.router().set(&wish)).unwrap().map_err(|error| error.kind)
}

fn observe(cluster: &Cluster) -> Vec<GroupStatus> {
    at_once(cluster.workload().observe()).unwrap().unwrap()
}

fn group(cluster: &Cluster, n: u32) -> GroupStatus {
    observe(cluster).into_iter().find(|group| group.revision == revision(n)).unwrap()
}

/// Created, ready, terminating.
fn counts(cluster: &Cluster, n: u32) -> [u32; 3] {
    let group = group(cluster, n);
    assert_eq!(group.available, group.ready);
    [group.created, group.ready, group.terminating]
}

fn seen_route(cluster: &Cluster) -> Option<RouteStatus> {
    at_once(cluster.router().observe()).unwrap().unwrap()
}

fn measure(cluster: &Cluster, signal: Signal, n: u32, window: Millis) -> Reading {
    let query = HealthQuery::new(signal, revision(n), window);
    at_once(cluster.health().measure(&[query])).unwrap().remove(0).unwrap()
}

fn requests(cluster: &Cluster, n: u32, window: Millis) -> (u64, u64) {
    match measure(cluster, Signal::Requests, n, window) {
        Reading::Counts { requests, failed } => (requests, failed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_takes_effect_after_the_latency_of_the_api() {
    let cluster = empty();
    scale(&cluster, 1, 2, 1).unwrap();
    cluster.advance(Millis(19));
    assert_eq!(observe(&cluster), []);
    cluster.advance(Millis(1));
    let group = group(&cluster, 1);
    assert_eq!((group.desired, group.created, group.ready, group.token), (2, 2, 0, Token(1)));
}

#[test]
fn a_replica_is_ready_when_its_process_runs() {
    let cluster = empty();
    scale(&cluster, 1, 2, 1).unwrap();
    cluster.advance(Millis(20_019));
    assert_eq!(counts(&cluster, 1), [2, 0, 0]);
    cluster.advance(Millis(1));
    assert_eq!(counts(&cluster, 1), [2, 2, 0]);
}

#[test]
fn failed_verdicts_are_counted_per_replica_and_the_most_is_reported() {
    let cluster = empty();
    cluster.set_profile(&revision(1).version, Profile::default().ready(Readiness::Never));
    scale(&cluster, 1, 1, 1).unwrap();
    cluster.advance(secs(10));
    scale(&cluster, 1, 2, 2).unwrap();
    // the first replica runs from 20 s on, and fails two probes every 10 s
    for (at, attempts) in [(29, 0), (31, 1), (41, 2), (51, 3), (3021, 300)] {
        cluster.advance(Timestamp::from_millis(at * 1000).since(cluster.now()));
        assert_eq!(group(&cluster, 1).failed_attempts, attempts, "at {at} s");
    }
}

#[test]
fn verdicts_of_replicas_that_were_stopped_are_forgotten() {
    let cluster = empty();
    cluster.set_profile(&revision(1).version, Profile::default().ready(Readiness::Never));
    scale(&cluster, 1, 1, 1).unwrap();
    cluster.advance(secs(60));
    assert_eq!(group(&cluster, 1).failed_attempts, 3);
    scale(&cluster, 1, 0, 2).unwrap();
    cluster.advance(secs(1));
    assert_eq!(group(&cluster, 1).failed_attempts, 0);
}

#[test]
fn a_stopping_replica_leaves_the_load_balancing_at_once_and_is_gone_after_its_drain() {
    let cluster = serving();
    scale(&cluster, 1, 7, 1).unwrap();
    cluster.advance(Millis(20));
    assert_eq!(counts(&cluster, 1), [7, 7, 3]);
    cluster.advance(Millis(4999));
    assert_eq!(counts(&cluster, 1), [7, 7, 3]);
    cluster.advance(Millis(1));
    assert_eq!(counts(&cluster, 1), [7, 7, 0]);
}

#[test]
fn shrinking_stops_the_newest_replicas_first() {
    let cluster = empty();
    cluster.set_profile(&revision(1).version, Profile::default().ready(Readiness::After(secs(60))));
    scale(&cluster, 1, 1, 1).unwrap();
    cluster.advance(secs(40));
    scale(&cluster, 1, 2, 2).unwrap();
    cluster.advance(secs(40));
    scale(&cluster, 1, 1, 3).unwrap();
    cluster.advance(secs(1));
    // only the older one has run for a minute
    assert_eq!(counts(&cluster, 1), [1, 1, 1]);
}

#[test]
fn shrinking_stops_replicas_that_are_not_ready_before_newer_ones_that_are() {
    let cluster = empty();
    cluster.set_profile(&revision(1).version, Profile::default().ready(Readiness::Flapping(secs(30))));
    scale(&cluster, 1, 1, 1).unwrap();
    cluster.advance(secs(30));
    scale(&cluster, 1, 2, 2).unwrap();
    cluster.advance(secs(35));
    // the older one has run for 45 s and is not ready, the newer one for 15 s and is
    assert_eq!(counts(&cluster, 1), [2, 1, 0]);
    scale(&cluster, 1, 1, 3).unwrap();
    cluster.advance(secs(1));
    assert_eq!(counts(&cluster, 1), [1, 1, 1]);
}

#[test]
fn a_wish_with_a_lower_token_is_ignored_and_a_repetition_changes_nothing() {
    let cluster = serving();
    scale(&cluster, 1, 12, 7).unwrap();
    scale(&cluster, 1, 3, 6).unwrap();
    scale(&cluster, 1, 12, 7).unwrap();
    cluster.advance(secs(30));
    assert_eq!((counts(&cluster, 1), group(&cluster, 1).token), ([12, 12, 0], Token(7)));

    route(&cluster, 10, 9).unwrap();
    route(&cluster, 50, 8).unwrap();
    cluster.advance(secs(1));
    assert_eq!(seen_route(&cluster).map(|status| status.token), Some(Token(9)));
}

#[test]
fn a_group_that_was_wished_for_is_reported_even_when_it_is_empty() {
    let cluster = serving();
    scale(&cluster, 1, 0, 4).unwrap();
    cluster.advance(secs(60));
    let group = group(&cluster, 1);
    assert_eq!((group.created, group.terminating, group.token), (0, 0, Token(4)));
}

#[test]
fn a_route_is_reported_once_it_is_in_effect() {
    let cluster = serving();
    assert_eq!(seen_route(&cluster), None);
    route(&cluster, 10, 1).unwrap();
    cluster.advance(Millis(19));
    assert_eq!(seen_route(&cluster), None);
    cluster.advance(Millis(1));
    assert_eq!(seen_route(&cluster).map(|status| status.token), Some(Token(1)));
}

#[test]
fn a_switch_refuses_to_split() {
    let config = ClusterConfig { splitting: Splitting::Switch, ..ClusterConfig::default() };
    let cluster = Cluster::new(config, 0);
    assert_eq!(route(&cluster, 10, 1), Err(ErrorKind::Unsupported));
    assert_eq!(route(&cluster, 100, 2), Ok(()));
}

#[test]
fn a_killed_replica_is_replaced() {
    let cluster = serving();
    scale(&cluster, 2, 1, 1).unwrap();
    cluster.advance(secs(30));
    cluster.begin(Fault::PodKill, Millis::ZERO);
    // the newest ready one is the only one of revision 2
    assert_eq!((counts(&cluster, 1), counts(&cluster, 2)), ([10, 10, 0], [0, 0, 0]));
    cluster.advance(Millis(20));
    assert_eq!(counts(&cluster, 2), [1, 0, 0]);
    cluster.advance(secs(20));
    assert_eq!(counts(&cluster, 2), [1, 1, 0]);
    assert_eq!(cluster.extremes(), (10, 11));
}

#[test]
fn a_size_that_somebody_else_changed_keeps_its_token_until_the_wish_is_repeated() {
    let cluster = empty();
    scale(&cluster, 1, 3, 4).unwrap();
    cluster.advance(secs(30));
    assert!(cluster.change_size(&revision(1), 1) && !cluster.change_size(&revision(2), 1));
    cluster.advance(Millis(20));
    assert_eq!((counts(&cluster, 1), group(&cluster, 1).token), ([1, 1, 2], Token(4)));
    scale(&cluster, 1, 3, 4).unwrap();
    cluster.advance(secs(30));
    assert_eq!(counts(&cluster, 1), [3, 3, 0]);
}

#[test]
fn a_replica_that_somebody_deleted_drains_and_is_replaced() {
    let cluster = serving();
    scale(&cluster, 2, 2, 1).unwrap();
    cluster.advance(secs(30));
    assert!(cluster.delete_replica(&revision(2)) && !cluster.delete_replica(&revision(3)));
    assert_eq!(counts(&cluster, 2), [1, 1, 1]);
    cluster.advance(secs(6));
    assert_eq!(counts(&cluster, 2), [2, 1, 0]);
    cluster.advance(secs(20));
    assert_eq!((counts(&cluster, 2), counts(&cluster, 1)), ([2, 2, 0], [10, 10, 0]));
}

#[test]
fn a_broken_replica_is_unready_two_probes_later_and_the_first_to_be_stopped() {
    let cluster = empty();
    scale(&cluster, 1, 3, 1).unwrap();
    cluster.advance(secs(30));
    assert!(cluster.break_replica(&revision(1)));
    cluster.advance(secs(11));
    assert_eq!((counts(&cluster, 1), group(&cluster, 1).failed_attempts), ([3, 2, 0], 1));
    scale(&cluster, 1, 2, 2).unwrap();
    cluster.advance(secs(1));
    assert_eq!((counts(&cluster, 1), group(&cluster, 1).failed_attempts), ([2, 2, 1], 0));
}

#[test]
fn a_replica_of_one_group_is_killed_though_another_has_newer_ones() {
    let cluster = serving();
    scale(&cluster, 2, 2, 1).unwrap();
    cluster.advance(secs(30));
    assert!(cluster.kill_replica(&revision(1)));
    assert_eq!((counts(&cluster, 1), counts(&cluster, 2)), ([9, 9, 0], [2, 2, 0]));
    cluster.advance(secs(30));
    assert_eq!(counts(&cluster, 1), [10, 10, 0]);
}

#[test]
fn extremes_count_from_the_start_over_all_revisions() {
    assert_eq!(empty().extremes(), (0, 0));
    let cluster = serving();
    assert_eq!(cluster.extremes(), (10, 10));
    scale(&cluster, 2, 3, 1).unwrap();
    cluster.advance(secs(30));
    scale(&cluster, 1, 4, 2).unwrap();
    cluster.advance(secs(30));
    assert_eq!(cluster.extremes(), (7, 13));
}

#[test]
fn nobody_can_be_reached_while_the_api_is_unavailable() {
    let cluster = serving();
    cluster.begin(Fault::ApiUnavailable, secs(10));
    assert_eq!(scale(&cluster, 1, 5, 1), Err(ErrorKind::Transient));
    assert_eq!(route(&cluster, 10, 2), Err(ErrorKind::Transient));
    assert!(at_once(cluster.workload().observe()).unwrap().is_err());
    assert!(at_once(cluster.router().observe()).unwrap().is_err());
    assert!(at_once(cluster.store().load()).unwrap().is_err());
    assert_eq!(requests(&cluster, 1, secs(10)).0, 5000, "health is measured all the same");
    cluster.advance(secs(10));
    assert_eq!(scale(&cluster, 1, 5, 1), Ok(()));
}

#[test]
fn every_other_write_conflicts_and_changes_nothing() {
    let cluster = serving();
    cluster.begin(Fault::ApiConflict, secs(60));
    assert_eq!(scale(&cluster, 1, 5, 1), Err(ErrorKind::Conflict));
    cluster.advance(secs(1));
    assert_eq!(counts(&cluster, 1), [10, 10, 0]);
    assert_eq!(scale(&cluster, 1, 5, 1), Ok(()));
    assert_eq!(route(&cluster, 10, 2), Err(ErrorKind::Conflict));
    assert_eq!(route(&cluster, 10, 2), Ok(()));
}

#[test]
fn a_stale_watch_shows_the_state_of_30_s_ago() {
    let cluster = serving();
    cluster.advance(secs(100));
    scale(&cluster, 1, 12, 1).unwrap();
    route(&cluster, 10, 2).unwrap();
    cluster.advance(secs(10));
    cluster.begin(Fault::StaleWatch, secs(60));
    assert_eq!((counts(&cluster, 1), seen_route(&cluster)), ([10, 10, 0], None));
    cluster.advance(secs(21));
    assert_eq!((counts(&cluster, 1), group(&cluster, 1).token), ([12, 10, 0], Token(1)));
    assert_eq!(seen_route(&cluster).map(|status| status.token), Some(Token(2)));
    cluster.advance(secs(39));
    assert_eq!(counts(&cluster, 1), [12, 12, 0]);
}

#[test]
fn a_lost_write_is_acknowledged_and_dropped() {
    let cluster = serving();
    cluster.begin(Fault::LostWrite, secs(60));
    scale(&cluster, 1, 5, 1).unwrap();
    cluster.advance(secs(1));
    assert_eq!(counts(&cluster, 1), [10, 10, 0]);
    scale(&cluster, 1, 5, 1).unwrap();
    cluster.advance(secs(1));
    assert_eq!(counts(&cluster, 1), [5, 5, 5]);
}

#[test]
fn late_and_repeated_writes_arrive_later_but_not_out_of_order_of_their_tokens() {
    for fault in [Fault::LateWrite, Fault::RepeatedWrite] {
        let cluster = serving();
        cluster.begin(fault.clone(), secs(1));
        for token in 1..=20 {
            scale(&cluster, 1, 10 + token as u32, token).unwrap();
        }
        cluster.advance(Millis(20));
        let early = group(&cluster, 1).token;
        assert_eq!(fault == Fault::RepeatedWrite, early == Token(20), "{fault}: {early}");
        assert!(cluster.is_moving());
        cluster.advance(secs(61));
        assert_eq!((group(&cluster, 1).token, group(&cluster, 1).created), (Token(20), 30), "{fault}");
    }
}

#[test]
fn a_repeated_write_arrives_twice() {
    let cluster = serving();
    cluster.begin(Fault::RepeatedWrite, secs(1));
    route(&cluster, 10, 1).unwrap();
    cluster.advance(Millis(20));
    assert!(seen_route(&cluster).is_some() && cluster.is_moving());
    cluster.advance(LATE_BY);
    assert!(!cluster.is_moving());
}

#[test]
fn there_is_no_data_while_metrics_are_down() {
    let cluster = serving();
    cluster.begin(Fault::MetricsDown, secs(60));
    assert_eq!(measure(&cluster, Signal::Requests, 1, secs(10)), Reading::NoData);
    cluster.advance(secs(60));
    assert_eq!(requests(&cluster, 1, secs(10)).0, 5000, "what was not measured is known afterwards");
}

#[test]
fn an_alert_fires_for_its_version_and_its_time() {
    let cluster = serving();
    let alerts = || measure(&cluster, Signal::CriticalAlerts, 1, secs(10));
    assert_eq!(alerts(), Reading::Scalar(0.0));
    cluster.begin(Fault::CriticalAlert(revision(1).version), secs(60));
    assert_eq!(alerts(), Reading::Scalar(1.0));
    cluster.advance(secs(60));
    assert_eq!(alerts(), Reading::Scalar(0.0));
}

#[test]
fn a_writer_dies_at_the_write_after_so_many() {
    let cluster = serving();
    cluster.crash_after(Some(1));
    scale(&cluster, 1, 5, 1).unwrap();
    let wish = ScaleWish::new(revision(1), 3, Token(2), DRAIN);
    assert!(at_once(cluster.workload().scale(&wish)).is_none());
    cluster.crash_after(None);
    cluster.advance(secs(1));
    assert_eq!(group(&cluster, 1).token, Token(1), "what it died at was not done");
    scale(&cluster, 1, 3, 2).unwrap();
    assert_eq!(cluster.writes(), 2);
}

#[test]
fn the_history_is_known_and_does_not_count() {
    let cluster = serving();
    assert_eq!(requests(&cluster, 1, secs(300)).0, 150_000);
    assert_eq!(requests(&cluster, 1, secs(10)).0, 5000);
    assert_eq!(cluster.requests(), Requests::default());
    cluster.advance(secs(100));
    assert_eq!(requests(&cluster, 1, secs(300)).0, 150_000);
    let counted = cluster.requests();
    assert_eq!((counted.total, counted.refused), (50_000, 0));
    assert_eq!(counted.failed, requests(&cluster, 1, secs(100)).1);
}

#[test]
fn a_window_is_known_to_one_grain_however_long_nobody_asked() {
    let cluster = serving();
    cluster.advance(secs(7203));
    let (in_window, _) = requests(&cluster, 1, secs(60));
    assert!((25_000..=30_000).contains(&in_window), "{in_window} requests in 60 s");
    assert_eq!(cluster.requests().total, 7203 * 500);
}

#[test]
fn requests_follow_the_route_from_the_time_it_is_in_effect() {
    let cluster = serving();
    scale(&cluster, 2, 1, 1).unwrap();
    route(&cluster, 0, 2).unwrap();
    cluster.advance(secs(100));
    assert_eq!(requests(&cluster, 2, secs(300)).0, 0);
    route(&cluster, 10, 3).unwrap();
    cluster.advance(Millis(100_020));
    assert_eq!(requests(&cluster, 2, secs(300)).0, 5000);
    assert_eq!(cluster.requests().refused, 0);
}

#[test]
fn requests_are_refused_while_a_revision_with_weight_has_no_ready_replica() {
    let cluster = serving();
    scale(&cluster, 2, 1, 1).unwrap();
    route(&cluster, 10, 2).unwrap();
    cluster.advance(secs(60));
    // from 20 ms to 20.02 s the canary has its weight and no ready replica
    assert_eq!(cluster.requests().refused, 1000);
    assert_eq!(measure(&cluster, Signal::Requests, 3, secs(60)), Reading::NoData);
}

#[test]
fn without_a_route_every_ready_replica_gets_an_equal_share() {
    let cluster = serving();
    scale(&cluster, 2, 10, 1).unwrap();
    cluster.advance(Millis(20_020));
    let before = requests(&cluster, 2, secs(300)).0;
    cluster.advance(secs(10));
    assert_eq!((before, requests(&cluster, 2, secs(300)).0), (0, 2500));
}

#[test]
fn failures_follow_the_error_rate_of_the_version_and_its_changes() {
    let cluster = serving();
    let version = revision(1).version;
    for rate in [0.03, 0.001, 0.2, 0.0] {
        cluster.set_profile(&version, Profile::default().error_rate(rate));
        cluster.advance(secs(200));
        let (n, failed) = requests(&cluster, 1, secs(200));
        assert_eq!(n, 100_000);
        let spread = (n as f64 * rate * (1.0 - rate)).sqrt();
        assert!((failed as f64 - n as f64 * rate).abs() <= 4.0 * spread, "{rate}: {failed} failed");
    }
}

#[test]
fn latencies_follow_the_quantiles_of_the_version() {
    let cluster = serving();
    cluster.set_profile(&revision(1).version, Profile::default().latency(Millis(40), Millis(100)));
    cluster.advance(secs(300));
    let Reading::Histogram(histogram) = measure(&cluster, Signal::Latency, 1, secs(300)) else { panic!() };
    assert_eq!(histogram.total(), 150_000);
    for (per_mille, ms) in [(500, 40.0), (950, 100.0)] {
        let measured = histogram.quantile_us(per_mille).unwrap() as f64 / 1000.0;
        assert!((measured / ms - 1.0).abs() < 0.1, "{per_mille}: {measured} ms, not {ms}");
    }
}

#[test]
fn a_version_that_breaks_later_takes_its_ready_replicas_down() {
    let cluster = serving();
    cluster.advance(secs(33));
    cluster.set_profile(&revision(1).version, Profile::default().ready(Readiness::Never));
    cluster.advance(secs(6));
    assert_eq!(counts(&cluster, 1), [10, 10, 0]);
    cluster.advance(secs(1));
    assert_eq!(counts(&cluster, 1), [10, 0, 0]);
    cluster.set_profile(&revision(1).version, Profile::default());
    cluster.advance(secs(5));
    assert_eq!(counts(&cluster, 1), [10, 10, 0]);
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
    let run = |seed| {
        let cluster = Cluster::new(ClusterConfig::default(), seed);
        cluster.deploy(&revision(1), 10);
        scale(&cluster, 2, 2, 1).unwrap();
        cluster.begin(Fault::LateWrite, secs(100));
        route(&cluster, 20, 2).unwrap();
        cluster.advance(secs(500));
        let latency = measure(&cluster, Signal::Latency, 2, secs(300));
        format!("{:?} {latency:?} {:?}", cluster.requests(), cluster.world())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_store_accepts_a_save_on_the_newest_version_only() {
    let cluster = empty();
    let store = cluster.store();
    let record = Record::default();
    let first = at_once(store.save(&record, None)).unwrap().unwrap();
    assert_eq!(at_once(store.save(&record, None)).unwrap().unwrap_err().kind, ErrorKind::Conflict);
    let second = at_once(store.save(&record, Some(first.clone()))).unwrap().unwrap();
    assert_eq!(at_once(store.save(&record, Some(first))).unwrap().unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(at_once(store.load()).unwrap().unwrap().map(|stored| stored.version), Some(second));
}
