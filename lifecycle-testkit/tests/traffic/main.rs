//! Load that follows a Service, and a real Prometheus, beside a real control plane.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod load;
mod pods;
mod prometheus;

use std::time::Duration;

use kube::Client;
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};

/// How long anything may take that should happen at once.
const SOON: Duration = Duration::from_secs(30);

/// A control plane with a Service and a node that nothing happens on.
async fn cluster() -> (ControlPlane, Client) {
    // Nobody keeps the node alive, and nobody should miss it.
    let options = ControlPlaneOptions::new().node_monitor_grace_period(Duration::from_secs(600));
    let control_plane = ControlPlane::start(options).await.unwrap();
    let client = control_plane.client().await.unwrap();
    pods::prepare(&client).await;
    (control_plane, client)
}
