//! Real components on this machine, for tests against a real API server: the control plane, a node
//! that runs pods as local processes, load that follows a Service, and Prometheus.

pub mod control_plane;
pub mod load;
pub mod node;
pub mod prometheus;

mod supervise;

pub use supervise::Supervised;
