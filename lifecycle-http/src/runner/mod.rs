//! Drives many monitors.

mod clock;
mod watched;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use lifecycle_core::time::{Millis, Timestamp};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::monitor::{Attempt, Change, HealthStatus, Monitor};
use crate::probe::{Failure, Outcome, Probe};
use crate::prober::Prober;
use clock::Clock;
pub use watched::Watched;

/// How many probes may be on their way at once, unless it is set: 110 are when liveness and readiness of 100
/// replicas, as they are by default, all hang until their timeouts (100 * (5/10 + 3/5)).
const CONCURRENCY: usize = 128;

/// How much longer than its timeout a probe is waited for: a prober that keeps to it says more of what was
/// missing than that nothing came.
const GRACE: Millis = Millis(50);

/// Who is told of every change, with the name of what has changed.
type OnChange = Arc<dyn Fn(&str, &Change) + Send + Sync>;

/// How a [`Runner`] runs.
#[derive(Clone)]
#[must_use]
pub struct RunnerConfig {
    concurrency: usize,
    origin: Option<Timestamp>,
    on_change: Option<OnChange>,
}

/// Drives any number of [monitors](Monitor), each with a task of its own, until it is dropped.
///
/// - What is slow holds nobody up: it waits for its own answer only. At most
///   [`concurrency`](RunnerConfig::with_concurrency) probes are on their way at once; the others wait for a
///   place, first come, first served, and their timeout begins when they have one.
/// - A verdict is read from [`Watched`] at any time, awaited there, and told to
///   [`on_change`](RunnerConfig::on_change).
/// - **When nobody probes any more, nothing is known any more**: the verdict becomes
///   [`Unknown`](crate::Verdict::Unknown) when the runner is dropped, or its runtime.
/// - A prober that panics is a failed probe.
///
/// Time is the runtime's own clock, which never jumps; it is shown as milliseconds since the Unix epoch.
///
/// # Example
/// ```no_run
/// # use std::sync::Arc;
/// # use lifecycle_http::{ClientConfig, Probe, ProbeClient, Runner, RunnerConfig, Verdict};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = RunnerConfig::default().on_change(|name, change| println!("{name}: {change}"));
/// let runner = Runner::new(config)?;
/// let client = ProbeClient::new(ClientConfig::default())?;
/// let prober = Arc::new(client.prober("http://127.0.0.1:8080")?);
/// let mut agent = runner.watch("agent", Probe::readiness(), prober);
/// while let Some(status) = agent.changed().await {
///     if status.verdict == Verdict::Healthy {
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Runner {
    shared: Arc<Shared>,
    runtime: Handle,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    clock: Clock,
    places: Semaphore,
    on_change: Option<OnChange>,
}

/// There is no tokio runtime to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("probes need a tokio runtime: make the runner inside of one")]
#[non_exhaustive]
pub struct NoRuntime;

impl Default for RunnerConfig {
    fn default() -> Self {
        Self { concurrency: CONCURRENCY, origin: None, on_change: None }
    }
}

impl RunnerConfig {
    /// How many probes may be on their way at once, at least 1. Default 128. So that none has to wait even
    /// when everything hangs, it is the sum of timeout / interval over all monitors.
    pub fn with_concurrency(mut self, probes: usize) -> Self {
        self.concurrency = probes.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// The time that is shown for the moment at which the runner is made. Default: the time of the system.
    pub const fn with_origin(mut self, now: Timestamp) -> Self {
        self.origin = Some(now);
        self
    }

    /// Tells this of every change of a verdict, in order, with the name of what has changed. It must not
    /// block, and when it panics nothing is known any more of what it was told of.
    pub fn on_change(mut self, tell: impl Fn(&str, &Change) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(tell));
        self
    }
}

impl Runner {
    /// A runner without monitors, on the runtime that this is called in.
    ///
    /// # Errors
    /// When it is called outside of a tokio runtime.
    pub fn new(config: RunnerConfig) -> Result<Self, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        let RunnerConfig { concurrency, origin, on_change } = config;
        let clock = Clock::starting(origin);
        let shared = Arc::new(Shared { clock, places: Semaphore::new(concurrency), on_change });
        Ok(Self { shared, runtime, tasks: Mutex::new(JoinSet::new()) })
    }

    /// Probes from now on, until what is returned is dropped or the runner is.
    pub fn watch(&self, name: impl Into<Arc<str>>, probe: Probe, prober: Arc<dyn Prober>) -> Watched {
        let name = name.into();
        let monitor = Monitor::new(probe, self.shared.clock.now());
        let (sender, receiver) = watch::channel(monitor.status().clone());
        let shown = Shown { name: Arc::clone(&name), shared: Arc::clone(&self.shared), sender };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are forgotten here, so that no list of them grows.
        while tasks.try_join_next().is_some() {}
        let task = tasks.spawn_on(drive(monitor, prober, shown), &self.runtime);
        Watched::new(name, receiver, task)
    }
}

/// Probes until it is aborted.
async fn drive(mut monitor: Monitor, prober: Arc<dyn Prober>, shown: Shown) {
    let shared = Arc::clone(&shown.shared);
    loop {
        sleep_until(shared.clock.instant(monitor.wake_at())).await;
        // Never closed: there is always a place to come.
        let Ok(place) = shared.places.acquire().await else { return };
        let polled = monitor.poll(shared.clock.now());
        shown.tell(monitor.status(), polled.change.as_ref());
        if let Some(attempt) = polled.attempt {
            let outcome = ask(&*prober, monitor.probe(), attempt).await;
            let change = monitor.record(attempt.number, outcome, shared.clock.now());
            shown.tell(monitor.status(), change.as_ref());
        }
        drop(place);
    }
}

/// One probe, whatever its prober does.
async fn ask(prober: &dyn Prober, probe: &Probe, attempt: Attempt) -> Outcome {
    let asked = AssertUnwindSafe(async { prober.probe(probe, attempt.timeout).await }).catch_unwind();
    match timeout((attempt.timeout + GRACE).into(), asked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::failed(Failure::Other).detail("the prober panicked"),
        Err(_) => Outcome::failed(Failure::Timeout).detail(&format!("waited {}", attempt.timeout)),
    }
}

/// What others see of a monitor. Dropped with its task, however that ends.
struct Shown {
    name: Arc<str>,
    shared: Arc<Shared>,
    sender: watch::Sender<HealthStatus>,
}

impl Shown {
    fn tell(&self, status: &HealthStatus, change: Option<&Change>) {
        self.sender.send_if_modified(|shown| {
            shown.clone_from(status);
            change.is_some()
        });
        if let (Some(tell), Some(change)) = (&self.shared.on_change, change) {
            tell(&self.name, change);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.sender.send_if_modified(|shown| {
            let was = std::mem::replace(shown, HealthStatus::unknown(self.shared.clock.now()));
            was.verdict != shown.verdict
        });
    }
}

impl fmt::Debug for RunnerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concurrency, origin, on_change } = self;
        f.debug_struct("RunnerConfig")
            .field("concurrency", concurrency)
            .field("origin", origin)
            .field("on_change", &on_change.is_some())
            .finish()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Runner").field("tasks", &tasks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
