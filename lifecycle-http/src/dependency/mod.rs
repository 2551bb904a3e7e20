//! Whether a service can do its work: the checks of what it needs.

mod check;
mod round;

use std::sync::{Arc, Mutex, PoisonError};

use lifecycle_core::time::Millis;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::ReadyReport;
use crate::error::{ConfigError, quoted};
pub use check::{DependencyCheck, TcpCheck};
use round::Entry;

/// How long all checks together may take, unless it is set: less than the 3 s that a readiness probe waits by
/// default, so that the probe sees which of them it was.
const DEADLINE: Millis = Millis::from_secs(2);

/// The longest deadline that may be set.
const LONGEST: Millis = Millis::from_secs(60);

/// How long results are kept, unless it is set: less than the 5 s between two readiness probes, so that each
/// of them sees new ones, and no more than one round of checks a second, whoever asks.
const KEEP: Millis = Millis::from_secs(1);

/// For how long results may be kept: long enough to protect what is checked, not so long that they are old.
const KEEPS: (Millis, Millis) = (Millis(100), Millis::from_secs(60));

/// How many dependencies a service may have.
const MAX_CHECKS: usize = 64;

/// How long the name of a dependency may be.
const MAX_NAME_BYTES: usize = 64;

/// What a service needs, and whether it is there: the answer to `GET /ready`. Cheap to clone; clones share
/// their results.
///
/// - The checks run side by side, each with its own timeout, all of them under one deadline.
/// - **Results are kept for a short time** (1 s by default), and whoever asks while checks are running waits
///   for these: however often `/ready` is asked for, a dependency is checked once in that time.
/// - A round of checks that has begun goes on when whoever asked for it goes away, so that going away does
///   not make it begin again.
/// - What is not known is not ready: a check that panics, blocks or is late has failed.
///
/// The first call and each after the kept time need a tokio runtime; it is not started in the background, and
/// nothing is checked when nobody asks.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use lifecycle_http::{ClientConfig, Dependencies, ProbeClient, TcpCheck};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ProbeClient::new(ClientConfig::default())?;
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let database = listener.local_addr()?.to_string();
/// let dependencies = Dependencies::builder()
///     .required("database", Duration::from_secs(1), Arc::new(TcpCheck::new(&database)?))
///     .optional("inference", Duration::from_secs(1), Arc::new(client.check("http://127.0.0.1:1/health")?))
///     .build()?;
///
/// // In the handler of GET /ready, in any web framework:
/// let report = dependencies.ready().await;
/// let (status, body) = (report.status_code(), serde_json::to_string(&report)?);
/// assert_eq!(status, 200);
/// assert_eq!(
///     body,
///     r#"{"status":"ready","checks":{"database":"ok","inference":"optional: connection refused"}}"#,
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Dependencies {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    entries: Vec<Entry>,
    deadline: Millis,
    keep: Millis,
    /// The newest round of checks.
    newest: Mutex<Option<watch::Receiver<Option<Done>>>>,
}

/// A round of checks that has ended.
#[derive(Clone, Debug)]
struct Done {
    at: Instant,
    report: ReadyReport,
}

/// Puts [`Dependencies`] together.
#[derive(Clone, Debug)]
#[must_use]
pub struct DependenciesBuilder {
    entries: Vec<Entry>,
    deadline: Millis,
    keep: Millis,
}

impl Dependencies {
    /// None yet.
    pub const fn builder() -> DependenciesBuilder {
        DependenciesBuilder { entries: Vec::new(), deadline: DEADLINE, keep: KEEP }
    }

    /// How every dependency is: as it was found a moment ago, or else now, within the deadline.
    ///
    /// Cancel safe: a call that is dropped loses nothing.
    pub async fn ready(&self) -> ReadyReport {
        let Some(mut round) = self.round() else {
            return round::without(&self.shared.entries, "not checked: there is no tokio runtime");
        };
        match round.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(done)) => done.report.clone(),
            Ok(None) | Err(_) => round::without(&self.shared.entries, "the check broke off"),
        }
    }

    /// The round of checks whose results are to be used; it may still run.
    fn round(&self) -> Option<watch::Receiver<Option<Done>>> {
        let mut newest = self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = newest.as_ref().filter(|round| self.is_good(round)) {
            return Some(round.clone());
        }
        let runtime = Handle::try_current().ok()?;
        let (sender, receiver) = watch::channel(None);
        let shared = Arc::clone(&self.shared);
        runtime.spawn(async move {
            let report = round::run(&shared.entries, shared.deadline).await;
            sender.send_replace(Some(Done { at: Instant::now(), report }));
        });
        *newest = Some(receiver.clone());
        Some(receiver)
    }

    fn is_good(&self, round: &watch::Receiver<Option<Done>>) -> bool {
        // Read first: what ends between the two has left its result.
        let running = round.has_changed().is_ok();
        round.borrow().as_ref().map_or(running, |done| Millis::from(done.at.elapsed()) < self.shared.keep)
    }
}

impl DependenciesBuilder {
    /// With this dependency, without which the service is not ready. Its name is shown; its timeout may not
    /// be longer than the [`deadline`](Self::deadline).
    pub fn required(self, name: &str, timeout: impl Into<Millis>, check: Arc<dyn DependencyCheck>) -> Self {
        self.with(name, true, timeout.into(), check)
    }

    /// With this dependency, which is shown and without which the service is ready nevertheless.
    pub fn optional(self, name: &str, timeout: impl Into<Millis>, check: Arc<dyn DependencyCheck>) -> Self {
        self.with(name, false, timeout.into(), check)
    }

    fn with(mut self, name: &str, required: bool, timeout: Millis, check: Arc<dyn DependencyCheck>) -> Self {
        self.entries.push(Entry { name: name.into(), required, timeout, check });
        self
    }

    /// How long all checks together may take. Default 2 s, which is less than a readiness probe waits.
    pub fn deadline(mut self, deadline: impl Into<Millis>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// How long results are kept, from the end of the checks on. Default 1 s.
    pub fn keep(mut self, keep: impl Into<Millis>) -> Self {
        self.keep = keep.into();
        self
    }

    /// Puts them together. Nothing is checked yet.
    ///
    /// # Errors
    /// When a name is empty, longer than 64 bytes, has other characters than letters, digits, `-`, `_` and
    /// `.`, or is there twice; when there are more than 64 of them; when a timeout is less than 1 ms or
    /// longer than the deadline, the deadline is not from 1 ms to 60 s, or results are not kept from 100 ms
    /// to 60 s.
    pub fn build(self) -> Result<Dependencies, ConfigError> {
        let Self { entries, deadline, keep } = self;
        within("deadline", deadline, (Millis(1), LONGEST), "1m")?;
        within("keep", keep, KEEPS, "1m")?;
        if entries.len() > MAX_CHECKS {
            let problem = format!("{} are too many: at most {MAX_CHECKS}", entries.len());
            return Err(ConfigError::new("checks", problem));
        }
        for (i, Entry { name, timeout, .. }) in entries.iter().enumerate() {
            named(name)?;
            if entries[..i].iter().any(|other| other.name == *name) {
                return Err(ConfigError::new("checks", format!("{} is there twice", quoted(name))));
            }
            let most = (Millis(1), deadline);
            within(
                &format!("checks.{name}.timeout"),
                *timeout,
                most,
                &format!("{deadline}, the deadline of all checks"),
            )?;
        }
        Ok(Dependencies { shared: Arc::new(Shared { entries, deadline, keep, newest: Mutex::new(None) }) })
    }
}

fn within(
    field: &str,
    given: Millis,
    (least, most): (Millis, Millis),
    most_said: &str,
) -> Result<(), ConfigError> {
    let wrong = |how: &str| {
        Err(ConfigError::new(
            field,
            format!("{given} is too {how}: write a time from {least} to {most_said}"),
        ))
    };
    match given {
        _ if given < least => wrong("short"),
        _ if given > most => wrong("long"),
        _ => Ok(()),
    }
}

fn named(name: &str) -> Result<(), ConfigError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let accepted = "write 1 to 64 letters, digits, -, _ and .";
    Err(ConfigError::new("checks", format!("{} is not a name: {accepted}", quoted(name))))
}

#[cfg(test)]
mod tests;
