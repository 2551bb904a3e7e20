//! The split of traffic between revisions.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{BackendResult, Token};
use crate::plan::Weight;
use crate::version::Revision;

/// Sets and reads back the split of traffic.
///
/// # Contract
/// - [`set`](Self::set) is atomic: no request is routed by a mixture of two routes.
/// - A wish with a token lower than the recorded one is ignored; a repetition changes nothing.
/// - [`observe`](Self::observe) reports a route, with its token, only once the data plane routes by
///   it: "acknowledged" means "effective".
/// - A revision gets requests only on its ready replicas, whatever its weight.
#[async_trait]
pub trait TrafficRouter: Send + Sync + Debug {
    /// What this router can do.
    fn capabilities(&self) -> RouterCapabilities;

    /// The route that is in effect, `None` when none was ever set.
    async fn observe(&self) -> BackendResult<Option<RouteStatus>>;

    /// Wishes for this route.
    async fn set(&self, wish: &RouteWish) -> BackendResult<()>;
}

/// How finely a router splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Splitting {
    /// Any weight from 0 to 100 (a mesh, a weighted proxy).
    Weighted,
    /// All or nothing (the selector of a Service).
    Switch,
}

/// What a [`TrafficRouter`] can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RouterCapabilities {
    /// How finely it splits.
    pub splitting: Splitting,
}

impl RouterCapabilities {
    /// A router that splits this finely.
    #[must_use]
    pub const fn new(splitting: Splitting) -> Self {
        Self { splitting }
    }
}

/// Where requests go. One value is one atomic vector that sums to 100.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Every ready replica of every revision gets an equal share.
    Balanced,
    /// `weight` percent to the canary, the rest to stable. Every other revision gets nothing.
    Split {
        /// Gets `100 - weight`; `None` before the first promotion.
        stable: Option<Revision>,
        /// Gets `weight`.
        canary: Option<Revision>,
        /// The canary's share.
        weight: Weight,
    },
}

/// "Requests shall go this way."
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RouteWish {
    /// Where requests go.
    pub route: Route,
    /// Order of this wish among all writes of the target.
    pub token: Token,
}

impl RouteWish {
    /// A wish for this route.
    #[must_use]
    pub const fn new(route: Route, token: Token) -> Self {
        Self { route, token }
    }
}

/// The route that is in effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RouteStatus {
    /// Where requests go.
    pub route: Route,
    /// Token of the wish it came from.
    pub token: Token,
}

impl RouteStatus {
    /// This route, from the wish with this token.
    #[must_use]
    pub const fn new(route: Route, token: Token) -> Self {
        Self { route, token }
    }
}
