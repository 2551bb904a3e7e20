//! What the proxy is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the proxy is told when it starts; everything else comes over its control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ProxyConfig {
    /// Where its files are: the control socket, the table, the lock.
    pub dir: PathBuf,
    /// Where it takes requests.
    pub listen: SocketAddr,
    /// Where it also serves its counts over TCP, read only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Its limits.
    #[serde(default)]
    pub limits: Limits,
}

impl ProxyConfig {
    /// A proxy on this address with its files in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self { dir: dir.into(), listen, metrics: None, limits: Limits::default() }
    }

    /// With a TCP address for its counts.
    #[must_use]
    pub const fn metrics(mut self, metrics: Option<SocketAddr>) -> Self {
        self.metrics = metrics;
        self
    }

    /// With these limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The table it routes by, for the next start.
    pub(crate) fn table(&self) -> PathBuf {
        self.dir.join("table.json")
    }

    /// Held while it runs.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("proxy.lock")
    }
}

/// A limit on everything. Each costs requests when it is too low and memory or patience when it is
/// too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a request's or response's head. Default 64 KiB; more is answered with 431.
    pub header_bytes: usize,
    /// Header fields of a request or response. Default 128; more is answered with 431.
    pub headers: usize,
    /// How long a client may take to send a head, and how long its connection may be idle. Default
    /// 75 s.
    pub header_timeout_ms: u64,
    /// How long a connection to a replica may take. Default 1 s; then the next replica is tried.
    pub connect_timeout_ms: u64,
    /// How long a replica may take until the head of its response. Default 60 s; then 504.
    pub response_timeout_ms: u64,
    /// Idle connections kept for each replica. Default 128.
    pub idle_connections: usize,
    /// How long an idle connection to a replica is kept. Default 30 s.
    pub idle_timeout_ms: u64,
    /// Connections of clients at a time; more wait in the system's queue. Default 8192.
    pub connections: usize,
    /// How long requests may go on after the proxy was told to stop. Default 10 s.
    pub shutdown_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            headers: 128,
            header_timeout_ms: 75_000,
            connect_timeout_ms: 1_000,
            response_timeout_ms: 60_000,
            idle_connections: 128,
            idle_timeout_ms: 30_000,
            connections: 8192,
            shutdown_timeout_ms: 10_000,
        }
    }
}

impl Limits {
    pub(crate) const fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(crate) const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) const fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}
