//! What a program says when it opens the local backend.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::LocalError;
use crate::proxy::Limits;

/// How the rollout target of one state directory is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalConfig {
    /// Everything that must survive is in here; one directory a rollout target.
    pub state_dir: PathBuf,
    /// Name of the rollout target, for logs.
    pub name: String,
    /// Where the proxy takes requests. Port 0 takes a free port once and keeps it.
    pub listen: SocketAddr,
    /// Where the proxy also serves its counts over TCP, read only: `/metrics` and `/stats`.
    pub metrics: Option<SocketAddr>,
    /// The program that runs [`proxy::serve_file`](crate::proxy::serve_file), and the arguments before
    /// the path of its configuration.
    pub proxy: ProxyCommand,
    /// Limits of the proxy.
    pub limits: Limits,
    /// How the health of a replica is probed.
    pub probes: Probes,
    /// How long a process may take to end after SIGTERM before it gets SIGKILL. Default 10 s.
    pub grace: Duration,
    /// How long a crashed replica waits before it is started again.
    pub backoff: Backoff,
    /// Ports that replicas listen on. Default 20000 to 29999, below the range from which the system
    /// takes the ports of outgoing connections: those would collide under load.
    pub ports: RangeInclusive<u16>,
    /// A log file is turned over when it is larger than this many bytes; one old file is kept.
    /// Default 16 MiB.
    pub log_limit: u64,
}

impl LocalConfig {
    /// The defaults for this state directory, with a proxy on this address run by this program.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>, listen: SocketAddr, proxy: ProxyCommand) -> Self {
        Self {
            state_dir: state_dir.into(),
            name: "local".to_owned(),
            listen,
            metrics: None,
            proxy,
            limits: Limits::default(),
            probes: Probes::default(),
            grace: Duration::from_secs(10),
            backoff: Backoff::default(),
            ports: 20_000..=29_999,
            log_limit: 16 * 1024 * 1024,
        }
    }

    /// With the name of the rollout target.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With these probes.
    #[must_use]
    pub fn probes(mut self, probes: Probes) -> Self {
        self.probes = probes;
        self
    }

    /// With this time between SIGTERM and SIGKILL.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// With this backoff.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// With a read-only TCP address for the proxy's counts.
    #[must_use]
    pub const fn metrics(mut self, metrics: SocketAddr) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// With these ports for replicas.
    #[must_use]
    pub const fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// With these limits of the proxy.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With log files of at most about this many bytes.
    #[must_use]
    pub const fn log_limit(mut self, bytes: u64) -> Self {
        self.log_limit = bytes;
        self
    }

    pub(crate) fn check(&self) -> Result<(), LocalError> {
        self.probes.readiness.check("healthCheck")?;
        self.probes.liveness.check("liveness")?;
        if self.ports.is_empty() || *self.ports.start() < 1024 {
            return Err(LocalError::invalid(
                "ports",
                "give a range of ports from 1024 to 65535, like 20000..=29999",
            ));
        }
        if self.backoff.first.is_zero() || self.backoff.first > self.backoff.most {
            return Err(LocalError::invalid(
                "backoff",
                "the first wait must be above 0 and at most the longest one",
            ));
        }
        Ok(())
    }
}

/// The program that runs the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; the path of the proxy's configuration is appended.
    pub args: Vec<String>,
}

impl ProxyCommand {
    /// This program with these arguments before the path of the configuration.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }
}

/// How replicas are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probes {
    /// Does it take requests? Default `GET /ready` every 5 s, timeout 3 s, 2 failures.
    pub readiness: Probe,
    /// Does it have to be restarted? Default `GET /health` every 10 s, timeout 5 s, 3 failures.
    pub liveness: Probe,
    /// A replica that has not been ready yet is left alone by the liveness probe for this long after
    /// its start. Default 60 s.
    pub startup: Duration,
}

impl Probes {
    /// These probes, with the default time to start up.
    #[must_use]
    pub const fn new(readiness: Probe, liveness: Probe) -> Self {
        Self { readiness, liveness, startup: Duration::from_secs(60) }
    }

    /// With this time to start up.
    #[must_use]
    pub const fn startup(mut self, startup: Duration) -> Self {
        self.startup = startup;
        self
    }
}

impl Default for Probes {
    fn default() -> Self {
        Self::new(
            Probe::new("/ready", Duration::from_secs(5), Duration::from_secs(3), 2),
            Probe::new("/health", Duration::from_secs(10), Duration::from_secs(5), 3),
        )
    }
}

/// One HTTP probe: `GET path`, passed by a status from 200 to 399.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The path, beginning with `/`.
    pub path: String,
    /// Time from one probe to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many failures in a row are a verdict.
    pub failures: u32,
}

impl Probe {
    /// A probe of this path.
    #[must_use]
    pub fn new(path: impl Into<String>, interval: Duration, timeout: Duration, failures: u32) -> Self {
        Self { path: path.into(), interval, timeout, failures }
    }

    fn check(&self, field: &str) -> Result<(), LocalError> {
        if self.path.parse::<hyper::http::uri::PathAndQuery>().is_err() || !self.path.starts_with('/') {
            return Err(LocalError::invalid(
                format!("spec.{field}.endpoint"),
                format!("{:?} is not a path; write one like /ready", self.path),
            ));
        }
        for (name, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if value < Duration::from_millis(10) {
                return Err(LocalError::invalid(format!("spec.{field}.{name}"), "must be 10ms or more"));
            }
        }
        if self.failures == 0 {
            return Err(LocalError::invalid(format!("spec.{field}.failureThreshold"), "must be 1 or more"));
        }
        Ok(())
    }
}

/// Waits before a crashed replica is started again: the first, then twice as long each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first wait. Default 100 ms.
    pub first: Duration,
    /// The longest wait. Default 10 s. A replica that ran this long starts over with the first.
    pub most: Duration,
}

impl Backoff {
    /// From `first`, doubled up to `most`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// The wait after this many crashes in a row, counted from 1.
    #[must_use]
    pub fn after(&self, crashes: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(crashes.saturating_sub(1).min(30))).min(self.most)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

/// The address on which replicas listen.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let waits: Vec<u128> = [1, 2, 3, 7, 8, 40, u32::MAX].map(|n| backoff.after(n).as_millis()).into();
        assert_eq!(waits, [100, 200, 400, 6400, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn a_probe_that_makes_no_sense_is_refused_with_its_field() {
        let second = Duration::from_secs(1);
        for (probe, field) in [
            (Probe::new("ready", second, second, 1), "spec.x.endpoint"),
            (Probe::new("/a b", second, second, 1), "spec.x.endpoint"),
            (Probe::new("/ready", Duration::ZERO, second, 1), "spec.x.interval"),
            (Probe::new("/ready", second, Duration::ZERO, 1), "spec.x.timeout"),
            (Probe::new("/ready", second, second, 0), "spec.x.failureThreshold"),
        ] {
            let error = probe.check("x").unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
