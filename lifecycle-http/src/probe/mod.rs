//! What is asked, how often, and what counts.

mod outcome;

use std::ops::RangeInclusive;
use std::sync::Arc;

use lifecycle_core::spec;
use lifecycle_core::time::Millis;
use serde::Serialize;

use crate::error::{ConfigError, quoted};
pub use outcome::{Detail, Failure, Outcome};

/// The longest time that may be set, as in manifests: a leap year.
const LONGEST: Millis = Millis::from_secs(366 * 24 * 3600);

/// The longest path, as in manifests.
const MAX_PATH_BYTES: usize = 1024;

/// The thresholds that may be set, as in manifests.
const THRESHOLDS: RangeInclusive<u32> = 1..=1000;

/// The statuses that pass, as the kubelet has it: 200 and above, below 400
/// (`pkg/probe/http/http.go` of Kubernetes). Redirects are a matter of their own: [`Redirects`].
const PASSING: RangeInclusive<u16> = 200..=399;

/// The statuses that clients follow to another address (RFC 9110, section 15.4).
const REDIRECTING: [u16; 5] = [301, 302, 303, 307, 308];

/// How one thing is probed: which path is asked, how often, how long an answer may take, and how many
/// results in a row are a verdict.
///
/// # What passes
/// Any status from 200 to 399, as the kubelet has it, but for redirects (301, 302, 303, 307 and 308), which
/// are not followed and by default fail: see [`Redirects`]. Everything else fails, with the [`Failure`] as
/// the reason.
///
/// # A timeout longer than the interval
/// It is allowed, as Kubernetes allows it. Probes of one target never overlap: the next one begins when the
/// one before has ended.
///
/// # Example
/// ```
/// # use std::time::Duration;
/// # use lifecycle_http::Probe;
/// let probe = Probe::readiness().with_path("/healthz/ready")?.with_failure_threshold(3)?;
/// assert_eq!(Duration::from(probe.interval()), Duration::from_secs(5));
/// # Ok::<(), lifecycle_http::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct Probe {
    path: Arc<str>,
    #[serde(rename = "intervalMs")]
    interval: Millis,
    #[serde(rename = "timeoutMs")]
    timeout: Millis,
    failure_threshold: u32,
    success_threshold: u32,
    #[serde(rename = "initialDelayMs")]
    initial_delay: Millis,
    #[serde(rename = "eagerMs")]
    eager: Option<Millis>,
    redirects: Redirects,
}

/// What a redirect counts as. It is never followed: what another address says is not what this one says,
/// and the headers of the probe may be secrets that are for this one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::exhaustive_enums, reason = "it passes or it fails")]
pub enum Redirects {
    /// A failure, which names where it leads. A service that sends every request without a login to its
    /// login page has not said that it is ready; probe the address that answers itself.
    #[default]
    Fail,
    /// A pass. The kubelet does so when a redirect leads to another host (and follows it on the same host,
    /// which is not done here).
    Pass,
}

impl Probe {
    /// Liveness as the service's own defaults have it: `GET /health` every 10 s, timeout 5 s, 3 failures
    /// in a row are unhealthy, one pass is healthy.
    pub fn liveness() -> Self {
        Self::of_service("/health", Millis::from_secs(10), Millis::from_secs(5), 3)
    }

    /// Readiness as the service's own defaults have it: `GET /ready` every 5 s, timeout 3 s, 2 failures in
    /// a row are unhealthy, one pass is healthy.
    pub fn readiness() -> Self {
        Self::of_service("/ready", Millis::from_secs(5), Millis::from_secs(3), 2)
    }

    fn of_service(path: &str, interval: Millis, timeout: Millis, failure_threshold: u32) -> Self {
        Self {
            path: path.into(),
            interval,
            timeout,
            failure_threshold,
            success_threshold: 1,
            initial_delay: Millis::ZERO,
            eager: None,
            redirects: Redirects::Fail,
        }
    }

    /// With this path, which may have a query: `/ready?full=1`.
    ///
    /// # Errors
    /// When it does not begin with `/`, is longer than 1024 bytes, or has anything but visible ASCII
    /// characters in it.
    pub fn with_path(mut self, path: &str) -> Result<Self, ConfigError> {
        let fits = path.starts_with('/') && path.len() <= MAX_PATH_BYTES;
        if !fits || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "is not a path of at most 1024 visible ASCII characters: write one like /ready";
            return Err(ConfigError::new("path", format!("{} {problem}", quoted(path))));
        }
        self.path = path.into();
        Ok(self)
    }

    /// With this time from the beginning of one probe to that of the next.
    ///
    /// # Errors
    /// When it is less than 1 ms or more than 366 days.
    pub fn with_interval(mut self, interval: impl Into<Millis>) -> Result<Self, ConfigError> {
        self.interval = span("interval", interval.into(), Millis(1))?;
        Ok(self)
    }

    /// With this time within which the whole answer has to be there.
    ///
    /// # Errors
    /// When it is less than 1 ms or more than 366 days. It may be longer than the interval.
    pub fn with_timeout(mut self, timeout: impl Into<Millis>) -> Result<Self, ConfigError> {
        self.timeout = span("timeout", timeout.into(), Millis(1))?;
        Ok(self)
    }

    /// Unhealthy after so many failures in a row.
    ///
    /// # Errors
    /// When it is not from 1 to 1000.
    pub fn with_failure_threshold(mut self, failures: u32) -> Result<Self, ConfigError> {
        self.failure_threshold = threshold("failure_threshold", failures)?;
        Ok(self)
    }

    /// Healthy after so many passes in a row. Default 1.
    ///
    /// # Errors
    /// When it is not from 1 to 1000.
    pub fn with_success_threshold(mut self, passes: u32) -> Result<Self, ConfigError> {
        self.success_threshold = threshold("success_threshold", passes)?;
        Ok(self)
    }

    /// The first probe begins after this time. Default none.
    ///
    /// # Errors
    /// When it is more than 366 days.
    pub fn with_initial_delay(mut self, delay: impl Into<Millis>) -> Result<Self, ConfigError> {
        self.initial_delay = span("initial_delay", delay.into(), Millis::ZERO)?;
        Ok(self)
    }

    /// Until it was healthy for the first time, also ask in between the regular probes, this long after the
    /// one before has ended. Such a probe counts only when it passes: what has just started is found ready
    /// soon, and not found unhealthy sooner. Default: no such probes. As long as the interval or longer it
    /// has no effect.
    ///
    /// # Errors
    /// When it is less than 1 ms or more than 366 days.
    pub fn with_eager(mut self, every: impl Into<Millis>) -> Result<Self, ConfigError> {
        self.eager = Some(span("eager", every.into(), Millis(1))?);
        Ok(self)
    }

    /// What a redirect counts as. Default: a failure.
    pub const fn with_redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// What this status counts as, when the whole answer was there after `took`.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_core::time::Millis;
    /// # use lifecycle_http::{Failure, Outcome, Probe};
    /// let judge = |status| Probe::readiness().judge(status, Millis(12));
    /// assert_eq!(judge(204), Outcome::passed(204, Millis(12)));
    /// assert_eq!(judge(503), Outcome::failed(Failure::Status(503)));
    /// assert_eq!(judge(302), Outcome::failed(Failure::Redirect(302)));
    /// ```
    #[must_use]
    pub fn judge(&self, status: u16, took: Millis) -> Outcome {
        if self.redirects == Redirects::Fail && REDIRECTING.contains(&status) {
            Outcome::failed(Failure::Redirect(status))
        } else if PASSING.contains(&status) {
            Outcome::passed(status, took)
        } else {
            Outcome::failed(Failure::Status(status))
        }
    }

    /// The path that is asked, with its query.
    #[must_use]
    pub const fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// From the beginning of one probe to that of the next.
    #[must_use]
    pub const fn interval(&self) -> Millis {
        self.interval
    }

    /// How long an answer may take.
    #[must_use]
    pub const fn timeout(&self) -> Millis {
        self.timeout
    }

    /// So many failures in a row are unhealthy.
    #[must_use]
    pub const fn failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// So many passes in a row are healthy.
    #[must_use]
    pub const fn success_threshold(&self) -> u32 {
        self.success_threshold
    }

    /// Before the first probe.
    #[must_use]
    pub const fn initial_delay(&self) -> Millis {
        self.initial_delay
    }

    /// Between probes out of turn, if there are any.
    #[must_use]
    pub const fn eager(&self) -> Option<Millis> {
        self.eager
    }
}

/// The section `healthCheck` or `liveness` of a manifest.
impl TryFrom<&spec::Probe> for Probe {
    type Error = ConfigError;

    fn try_from(probe: &spec::Probe) -> Result<Self, ConfigError> {
        Self::readiness()
            .with_path(&probe.endpoint)?
            .with_interval(probe.interval)?
            .with_timeout(probe.timeout)?
            .with_failure_threshold(probe.failure_threshold)
    }
}

fn span(field: &str, given: Millis, shortest: Millis) -> Result<Millis, ConfigError> {
    let accepted = format!("write a time from {shortest} to 366 days");
    if given < shortest {
        Err(ConfigError::new(field, format!("{given} is too short: {accepted}")))
    } else if given > LONGEST {
        Err(ConfigError::new(field, format!("{given} is too long: {accepted}")))
    } else {
        Ok(given)
    }
}

fn threshold(field: &str, given: u32) -> Result<u32, ConfigError> {
    if THRESHOLDS.contains(&given) {
        Ok(given)
    } else {
        Err(ConfigError::new(field, format!("{given} is not a whole number from 1 to 1000")))
    }
}

#[cfg(test)]
mod tests;
