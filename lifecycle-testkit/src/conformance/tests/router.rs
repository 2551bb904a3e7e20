use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, Route, RouteStatus, RouteWish, RouterCapabilities, Splitting, Token, TrafficRouter,
};
use lifecycle_core::plan::Weight;

use super::super::router;
use super::sim::{Sim, revision};
use super::{assert_conforms, assert_found, run};
use crate::cluster::ClusterConfig;

fn config(splitting: Splitting) -> ClusterConfig {
    ClusterConfig { splitting, ..ClusterConfig::default() }
}

#[test]
fn the_simulated_router_conforms() {
    for (splitting, not_applicable) in [
        (Splitting::Weighted, "a_weight_that_it_cannot_split_is_refused_and_changes_nothing"),
        (Splitting::Switch, "requests_follow_the_weight"),
    ] {
        let report = run(router(|| Sim::serving(config(splitting), &[1, 2, 9])));
        assert_conforms(report, &[not_applicable]);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    HasARoute,
    TakesLateWishes,
    ReportsTooEarly,
    ForgetsTokens,
    RoundsWeights,
    SwapsSides,
    ClaimsToSwitch,
    LosesEverySecondWish,
    GoesThroughNowhere,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn TrafficRouter>,
    defect: Defect,
    wishes: Mutex<Vec<RouteWish>>,
}

#[async_trait]
impl TrafficRouter for Broken {
    fn capabilities(&self) -> RouterCapabilities {
        match self.defect {
            Defect::ClaimsToSwitch => RouterCapabilities::new(Splitting::Switch),
            _ => self.inner.capabilities(),
        }
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        let status = self.inner.observe().await?;
        let wish = self.wishes.lock().unwrap().last().cloned();
        let told = wish.map(|wish| RouteStatus::new(wish.route, wish.token));
        Ok(match (self.defect, status) {
            (Defect::HasARoute, None) => Some(RouteStatus::new(Route::Balanced, Token(0))),
            (Defect::ReportsTooEarly | Defect::SwapsSides | Defect::GoesThroughNowhere, _) => told,
            (Defect::ForgetsTokens, Some(status)) => Some(RouteStatus::new(status.route, Token(1))),
            (_, status) => status,
        })
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        let (seen, newest) = {
            let mut wishes = self.wishes.lock().unwrap();
            let newest = wishes.iter().map(|wish| wish.token).max().unwrap_or_default();
            wishes.push(wish.clone());
            (wishes.len(), newest)
        };
        let mut wish = wish.clone();
        match (self.defect, &mut wish.route) {
            (Defect::TakesLateWishes, _) if wish.token < newest => wish.token = Token(newest.0 + 1),
            (Defect::LosesEverySecondWish, _) if seen % 2 == 0 => return Ok(()),
            (Defect::RoundsWeights, Route::Split { weight, .. }) => {
                *weight = Weight::new(weight.get() / 10 * 10).unwrap();
            }
            (Defect::SwapsSides, Route::Split { weight, .. }) => *weight = weight.rest(),
            (Defect::GoesThroughNowhere, Route::Split { .. }) => {
                let gap = Route::Split { stable: None, canary: Some(revision(77)), weight: Weight::FULL };
                self.inner.set(&RouteWish::new(gap, wish.token)).await?;
                return Ok(());
            }
            _ => {}
        }
        self.inner.set(&wish).await
    }
}

#[test]
fn every_defect_of_a_router_is_found() {
    for (defect, case) in [
        (Defect::HasARoute, "no_route_is_reported_at_first"),
        (Defect::ForgetsTokens, "a_route_is_reported_with_its_token"),
        (Defect::RoundsWeights, "every_weight_it_can_split_is_read_back"),
        (Defect::ClaimsToSwitch, "a_weight_that_it_cannot_split_is_refused_and_changes_nothing"),
        (Defect::LosesEverySecondWish, "a_first_deployment_has_no_stable_side"),
        (Defect::LosesEverySecondWish, "balanced_is_a_route_too"),
        (Defect::ForgetsTokens, "a_repeated_wish_changes_nothing"),
        (Defect::TakesLateWishes, "a_wish_with_a_lower_token_is_ignored"),
        (Defect::ForgetsTokens, "the_same_route_with_a_higher_token_is_acknowledged"),
        (Defect::ReportsTooEarly, "a_reported_route_is_the_one_that_requests_take"),
        (Defect::SwapsSides, "requests_follow_the_weight"),
        (Defect::GoesThroughNowhere, "no_request_is_refused_while_the_route_changes"),
        (Defect::ForgetsTokens, "a_call_that_is_dropped_is_done_or_not_done"),
    ] {
        let report = run(router(|| async {
            let mut sim = Sim::serving(config(Splitting::Weighted), &[1, 2, 9]).await?;
            sim.router = Arc::new(Broken { inner: sim.cluster.router(), defect, wishes: Mutex::default() });
            Ok(sim)
        }));
        assert_found(defect, &report, case);
    }
}

#[test]
fn requests_to_a_revision_without_ready_replicas_are_found() {
    let report = run(router(|| async {
        let mut sim = Sim::serving(config(Splitting::Weighted), &[1, 2]).await?;
        // it is ready, so it gets requests
        sim.unready = 2;
        Ok(sim)
    }));
    assert_found("a lie", &report, "a_revision_without_a_ready_replica_gets_no_request");
}
