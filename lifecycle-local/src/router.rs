//! The proxy as a [`TrafficRouter`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, RouteStatus, RouteWish, RouterCapabilities, Splitting,
    TrafficRouter,
};

use crate::control::{Client, TableWriter};

/// How long a wish is waited for. It takes effect later all the same.
const ACKNOWLEDGE: Duration = Duration::from_secs(2);

/// The proxy as a [`TrafficRouter`] that splits by any weight.
///
/// [`set`](TrafficRouter::set) answers when the proxy routes by the wish, usually within a
/// millisecond. [`observe`](TrafficRouter::observe) asks the proxy.
#[derive(Debug)]
pub struct LocalRouter {
    client: Client,
    writer: Arc<TableWriter>,
}

impl LocalRouter {
    pub(crate) const fn new(client: Client, writer: Arc<TableWriter>) -> Self {
        Self { client, writer }
    }
}

#[async_trait]
impl TrafficRouter for LocalRouter {
    fn capabilities(&self) -> RouterCapabilities {
        RouterCapabilities::new(Splitting::Weighted)
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        let effective = self.client.table().await.map_err(|error| {
            BackendError::new("local", "observe route", ErrorKind::Transient, error.to_string())
                .because(error)
        })?;
        Ok(effective.table.route.map(|route| route.status()))
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        let generation = self.writer.set_route(wish);
        if self.writer.in_effect(generation, ACKNOWLEDGE).await {
            return Ok(());
        }
        Err(BackendError::new(
            "local",
            "set route",
            ErrorKind::Transient,
            "the proxy has not acknowledged the route yet",
        ))
    }
}
