//! "Acknowledged means effective": what the suites can only hope to catch, because endpoints follow a selector within
//! milliseconds, is made to last.

use std::time::{Duration, Instant};

use lifecycle_core::backend::{BackendResult, Route, RouteStatus, RouteWish, Token, TrafficRouter as _};
use lifecycle_core::plan::Weight;

use crate::bench::Bench;
use crate::world::{World, control_plane, revision, until};

/// Much longer than a route takes that is reported too early.
const STANDSTILL: Duration = Duration::from_millis(500);

fn all_to(number: u32, token: u64) -> RouteWish {
    let route = Route::Split { stable: Some(revision(number)), canary: None, weight: Weight::ZERO };
    RouteWish::new(route, Token(token))
}

async fn reported(bench: &Bench<'_>) -> BackendResult<Option<RouteStatus>> {
    bench.target().router.observe().await
}

async fn until_reported(bench: &Bench<'_>, wish: &RouteWish) {
    until("the route in effect", async || match reported(bench).await {
        Ok(Some(status)) if status.token == wish.token => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_reported_only_once_the_endpoints_follow_it() {
    let control_plane = control_plane().await;
    let world = World::on(&control_plane, "effective").await;
    let bench = Bench::serving(&world).await;
    let (one, two) = (all_to(1, 1), all_to(2, 2));
    bench.target().router.set(&one).await.unwrap();
    until_reported(&bench, &one).await;

    // nobody writes EndpointSlices from here on
    control_plane.stop_controller_manager().await.unwrap();
    bench.target().router.set(&two).await.unwrap();
    let since = Instant::now();
    while since.elapsed() < STANDSTILL {
        let status = reported(&bench).await.unwrap().unwrap();
        assert_eq!((status.route, status.token), (one.route.clone(), one.token));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    control_plane.start_controller_manager().await.unwrap();
    until_reported(&bench, &two).await;
}
