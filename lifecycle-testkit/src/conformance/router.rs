//! The suite for [`TrafficRouter`].

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendResult, ErrorKind, Route, RouteStatus, RouteWish, Splitting, Token, TrafficRouter,
};
use lifecycle_core::plan::Weight;
use lifecycle_core::version::{Revision, RevisionNumber};

use super::suite::{CUTS, Suite, Verdict, answered, cut_off, ensure, fail, run, settle, stays};
use super::{Able, Environment, Report, Unable};

/// A router under test, to which no route was ever set.
#[async_trait]
pub trait RouterBench: Environment {
    /// The router.
    fn router(&self) -> Arc<dyn TrafficRouter>;

    /// One of two revisions (1 and 2) that have ready replicas.
    fn revision(&self, which: u32) -> Revision;

    /// A revision that has replicas, none of them ready.
    ///
    /// # Errors
    /// Says why there is none. Default: the bench has none.
    fn unready_revision(&self) -> Able<Revision> {
        Err(Unable::new("the bench has no revision without a ready replica"))
    }

    /// Sends about so many requests through the router, and says who served them.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn send(&self, requests: u32) -> Able<Sent> {
        let _ = requests;
        Err(Unable::new("the bench cannot send requests"))
    }
}

/// What became of requests that were sent through a router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Requests that reached a replica, by revision.
    pub served: BTreeMap<RevisionNumber, u64>,
    /// Requests that reached none.
    pub refused: u64,
}

impl Sent {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this many more requests that this revision served.
    #[must_use]
    pub fn served(mut self, by: RevisionNumber, requests: u64) -> Self {
        *self.served.entry(by).or_default() += requests;
        self
    }

    /// With this many more requests that were refused.
    #[must_use]
    pub fn refused(mut self, requests: u64) -> Self {
        self.refused += requests;
        self
    }

    fn by(&self, revision: &Revision) -> u64 {
        self.served.get(&revision.number).copied().unwrap_or(0)
    }

    fn total(&self) -> u64 {
        self.refused + self.served.values().sum::<u64>()
    }
}

/// Runs every case of the contract of [`TrafficRouter`]; `make` makes a router without a route for
/// each.
pub async fn router<F, B>(make: impl Fn() -> F) -> Report
where
    F: Future<Output = BackendResult<B>>,
    B: RouterBench,
{
    let mut suite = Suite::new("TrafficRouter", make);
    run!(suite;
        no_route_is_reported_at_first,
        a_route_is_reported_with_its_token,
        every_weight_it_can_split_is_read_back,
        a_weight_that_it_cannot_split_is_refused_and_changes_nothing,
        a_first_deployment_has_no_stable_side,
        balanced_is_a_route_too,
        a_repeated_wish_changes_nothing,
        a_wish_with_a_lower_token_is_ignored,
        the_same_route_with_a_higher_token_is_acknowledged,
        a_reported_route_is_the_one_that_requests_take,
        requests_follow_the_weight,
        no_request_is_refused_while_the_route_changes,
        a_revision_without_a_ready_replica_gets_no_request,
        a_call_that_is_dropped_is_done_or_not_done,
    );
    suite.report
}

fn weight(percent: u32) -> Weight {
    Weight::new(percent).unwrap_or(Weight::FULL)
}

/// Revision 1 is stable, revision 2 the canary with this weight.
fn split(bench: &impl RouterBench, percent: u32) -> Route {
    let (stable, canary) = (Some(bench.revision(1)), Some(bench.revision(2)));
    Route::Split { stable, canary, weight: weight(percent) }
}

async fn observed(bench: &impl RouterBench) -> Verdict<Result<Option<RouteStatus>, String>> {
    answered(bench.router().observe().await)
}

/// Sets a route and waits until it is in effect.
async fn reach(bench: &impl RouterBench, route: Route, token: u64) -> Verdict {
    let wish = RouteWish::new(route, Token(token));
    settle(bench, "answer to a wish", async || answered(bench.router().set(&wish).await)).await?;
    let expected = Some(RouteStatus::new(wish.route, wish.token));
    settle(bench, &format!("route in effect that is {expected:?}"), async || {
        Ok(observed(bench)
            .await?
            .and_then(|status| if status == expected { Ok(()) } else { Err(format!("{status:?}")) }))
    })
    .await
}

/// For a while, every look shows this route.
async fn route_stays(bench: &impl RouterBench, route: Route, token: u64) -> Verdict {
    let expected = Some(RouteStatus::new(route, Token(token)));
    stays(bench, bench.quiet(), async || match observed(bench).await? {
        Ok(status) => ensure(status == expected, || format!("expected {expected:?}, got {status:?}")),
        Err(_unreachable) => Ok(()),
    })
    .await
}

fn splits(bench: &impl RouterBench) -> Splitting {
    bench.router().capabilities().splitting
}

async fn no_route_is_reported_at_first(bench: &impl RouterBench) -> Verdict {
    let status = bench.router().observe().await?;
    ensure(status.is_none(), || format!("there is {status:?}"))
}

async fn a_route_is_reported_with_its_token(bench: &impl RouterBench) -> Verdict {
    reach(bench, split(bench, 0), 1).await?;
    reach(bench, split(bench, 100), 2).await
}

async fn every_weight_it_can_split_is_read_back(bench: &impl RouterBench) -> Verdict {
    let weights: &[u32] = match splits(bench) {
        Splitting::Switch => &[0, 100, 0],
        _ => &[0, 1, 33, 50, 99, 100, 0],
    };
    for (token, &percent) in (1..).zip(weights) {
        reach(bench, split(bench, percent), token).await?;
    }
    Ok(())
}

async fn a_weight_that_it_cannot_split_is_refused_and_changes_nothing(bench: &impl RouterBench) -> Verdict {
    if splits(bench) != Splitting::Switch {
        return Err(Unable::new("the router splits any weight").into());
    }
    reach(bench, split(bench, 0), 1).await?;
    match bench.router().set(&RouteWish::new(split(bench, 50), Token(2))).await {
        Ok(()) => fail("a switch accepted a weight of 50%"),
        Err(error) if matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Invalid) => {
            route_stays(bench, split(bench, 0), 1).await
        }
        Err(error) => fail(format!("this is neither unsupported nor invalid: {error}")),
    }
}

async fn a_first_deployment_has_no_stable_side(bench: &impl RouterBench) -> Verdict {
    let first = Route::Split { stable: None, canary: Some(bench.revision(1)), weight: Weight::FULL };
    reach(bench, first, 1).await?;
    let promoted = Route::Split { stable: Some(bench.revision(1)), canary: None, weight: Weight::ZERO };
    reach(bench, promoted, 2).await
}

async fn balanced_is_a_route_too(bench: &impl RouterBench) -> Verdict {
    match bench.router().set(&RouteWish::new(Route::Balanced, Token(1))).await {
        Err(error) if error.kind == ErrorKind::Unsupported => {
            return Err(Unable::new(error.to_string()).into());
        }
        _ => reach(bench, Route::Balanced, 1).await?,
    }
    reach(bench, split(bench, 0), 2).await?;
    reach(bench, Route::Balanced, 3).await
}

async fn a_repeated_wish_changes_nothing(bench: &impl RouterBench) -> Verdict {
    reach(bench, split(bench, 100), 3).await?;
    for _ in 0..3 {
        reach(bench, split(bench, 100), 3).await?;
    }
    route_stays(bench, split(bench, 100), 3).await
}

async fn a_wish_with_a_lower_token_is_ignored(bench: &impl RouterBench) -> Verdict {
    reach(bench, split(bench, 100), 5).await?;
    let late = RouteWish::new(split(bench, 0), Token(4));
    // it may be refused or ignored
    let _ = answered(bench.router().set(&late).await)?;
    route_stays(bench, split(bench, 100), 5).await
}

async fn the_same_route_with_a_higher_token_is_acknowledged(bench: &impl RouterBench) -> Verdict {
    reach(bench, split(bench, 0), 1).await?;
    reach(bench, split(bench, 0), 9).await
}

async fn a_reported_route_is_the_one_that_requests_take(bench: &impl RouterBench) -> Verdict {
    for (token, percent) in (1..).zip([0, 100, 0]) {
        reach(bench, split(bench, percent), token).await?;
        // from the first look that shows the route
        let sent = bench.send(200).await?;
        let all = bench.revision(if percent == 0 { 1 } else { 2 });
        ensure(sent.total() > 0 && sent.by(&all) == sent.total(), || {
            format!("a weight of {percent}% is reported, and requests went {sent:?}")
        })?;
    }
    Ok(())
}

async fn requests_follow_the_weight(bench: &impl RouterBench) -> Verdict {
    if splits(bench) == Splitting::Switch {
        return Err(Unable::new("the router only switches").into());
    }
    for (token, percent) in (1..).zip([10_u32, 50]) {
        reach(bench, split(bench, percent), token).await?;
        let sent = bench.send(4000).await?;
        let (canary, total) = (sent.by(&bench.revision(2)) as f64, sent.total() as f64);
        let share = f64::from(percent) / 100.0;
        // five standard deviations of a split by chance: wrong once in a million runs
        let off = 5.0 * (total * share * (1.0 - share)).sqrt();
        ensure(sent.refused == 0 && (canary - total * share).abs() <= off, || {
            format!("of a weight of {percent}% ({off:.0} requests more or less) it made {sent:?}")
        })?;
    }
    Ok(())
}

async fn no_request_is_refused_while_the_route_changes(bench: &impl RouterBench) -> Verdict {
    reach(bench, split(bench, 0), 1).await?;
    let mut sent = Sent::new();
    for token in 2..12 {
        let route = split(bench, if token % 2 == 0 { 100 } else { 0 });
        let wish = RouteWish::new(route, Token(token));
        settle(bench, "answer to a wish", async || answered(bench.router().set(&wish).await)).await?;
        // at once, before it is in effect
        let more = bench.send(100).await?;
        sent.refused += more.refused;
        for (by, requests) in more.served {
            sent = sent.served(by, requests);
        }
        reach(bench, wish.route, token).await?;
    }
    let served = sent.by(&bench.revision(1)) + sent.by(&bench.revision(2));
    ensure(served > 0 && served == sent.total(), || format!("requests went {sent:?}"))
}

async fn a_revision_without_a_ready_replica_gets_no_request(bench: &impl RouterBench) -> Verdict {
    let unready = bench.unready_revision()?;
    let route =
        Route::Split { stable: Some(bench.revision(1)), canary: Some(unready.clone()), weight: Weight::FULL };
    reach(bench, route, 1).await?;
    let sent = bench.send(100).await?;
    ensure(sent.total() > 0 && sent.by(&unready) == 0, || format!("requests went {sent:?}"))
}

async fn a_call_that_is_dropped_is_done_or_not_done(bench: &impl RouterBench) -> Verdict {
    let router = bench.router();
    let mut before = RouteStatus::new(split(bench, 0), Token(1));
    reach(bench, before.route.clone(), 1).await?;
    for (token, polls) in (2..).zip(CUTS) {
        let after = RouteStatus::new(split(bench, if token % 2 == 0 { 100 } else { 0 }), Token(token));
        cut_off(router.set(&RouteWish::new(after.route.clone(), after.token)), polls).await;
        cut_off(router.observe(), polls).await;
        stays(bench, bench.quiet(), async || match observed(bench).await? {
            Ok(Some(status)) if status == before || status == after => Ok(()),
            Ok(status) => fail(format!("neither {before:?} nor {after:?}: {status:?}")),
            Err(_unreachable) => Ok(()),
        })
        .await?;
        reach(bench, after.route.clone(), token).await?;
        before = after;
    }
    Ok(())
}
