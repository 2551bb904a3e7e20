//! The conformance suites of the testkit on a real API server, with pods that are processes: `just e2e`.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod bench;
mod effective;
mod late;
#[allow(dead_code, reason = "the differential test needs more of it")]
mod world;

use std::time::Instant;

use lifecycle_core::backend::BackendResult;
use lifecycle_testkit::conformance::{self, Report};

use bench::{Bench, Place};
use world::World;

/// Every case passed but for these, which are not applicable.
#[track_caller]
fn conforms(report: Report, since: Instant, not_applicable: &[&str]) {
    let report = report.verify().unwrap();
    println!("{report}  {} cases in {:.1} s", report.cases.len(), since.elapsed().as_secs_f64());
    let names: Vec<&str> = report.not_applicable().map(|case| case.name).collect();
    assert_eq!(names, not_applicable, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_are_a_workload() {
    let (world, since) = (World::start("workload").await, Instant::now());
    let report = conformance::workload(async || BackendResult::Ok(Bench::empty(&world).await)).await;
    conforms(report, since, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_selector_of_a_service_is_a_traffic_router() {
    let (world, since) = (World::start("router").await, Instant::now());
    let report = conformance::router(async || BackendResult::Ok(Bench::serving(&world).await)).await;
    // a Service has no weights; what it has is refused by a case of its own
    conforms(report, since, &["requests_follow_the_weight"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_an_object_is_a_rollout_store() {
    let (world, since) = (World::start("store").await, Instant::now());
    let report = conformance::rollout_store(async || BackendResult::Ok(Place::new(&world).await)).await;
    conforms(report, since, &[]);
}
