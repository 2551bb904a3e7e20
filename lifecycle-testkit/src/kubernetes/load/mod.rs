//! Load that follows a Service, as the users behind a kube-proxy would: a stated number of requests a second, whatever
//! becomes of them, each to one of the endpoints that are ready at that moment, none ever repeated.
//!
//! Endpoints come from a watch on the Service's EndpointSlices. A request goes to the next ready endpoint in turn; where
//! none is ready, to one that terminates but still serves, as kube-proxy does; where there is none of these, it is refused.
//! Pods of the testkit's [node](super::node) report 10.a.b.c and listen on 127.a.b.c, which is what is dialled.
//!
//! ```no_run
//! use std::time::Duration;
//! use lifecycle_testkit::kubernetes::load::{Load, LoadOptions, Who};
//!
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let load = Load::start(client, "default", "web", LoadOptions::new(200.0).post_share(0.2)).await?;
//! load.until(Duration::from_secs(60), |seen| seen.tally(Who::Version("1.5.0")).answers() > 0).await?;
//! let report = load.stop().await;
//! assert_eq!(report.lost() + report.refused, 0, "{report}");
//! println!("first answer of 1.5.0 at {:?}", report.first_answer(Who::Version("1.5.0")));
//! # Ok(())
//! # }
//! ```

mod endpoints;
mod report;
mod send;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use endpoints::dialled;
pub use report::{LoadReport, Loss, PodSeen, Tally, Who, Window};

/// How long the first look at the EndpointSlices may take.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// How long between two looks of [`Load::until`].
const LOOK: Duration = Duration::from_millis(10);

/// Which requests are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    pub(crate) rate: f64,
    pub(crate) post_share: f64,
    pub(crate) path: String,
    pub(crate) timeout: Duration,
    pub(crate) kept_connections: usize,
    pub(crate) port: Option<String>,
    pub(crate) revision_label: String,
}

impl LoadOptions {
    /// So many requests a second: GET /, 5 s to answer, up to 8 kept connections to each endpoint, to the first port of the
    /// Service.
    pub fn new(rate: f64) -> Self {
        Self {
            rate: rate.clamp(0.1, 100_000.0),
            post_share: 0.0,
            path: "/".to_owned(),
            timeout: Duration::from_secs(5),
            kept_connections: 8,
            port: None,
            revision_label: "enis.andaon.com/revision".to_owned(),
        }
    }

    /// The share of the requests that are POST, with a body; from 0 to 1, no POST by default.
    #[must_use]
    pub fn post_share(mut self, share: f64) -> Self {
        self.post_share = share.clamp(0.0, 1.0);
        self
    }

    /// What is asked for; `/`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// How long a request may take, connecting included, before it counts as lost; 5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many connections to an endpoint are kept open for later requests; 8. With 0 every request opens its own.
    #[must_use]
    pub fn kept_connections(mut self, connections: usize) -> Self {
        self.kept_connections = connections;
        self
    }

    /// The name of the Service's port; the first one where none is given.
    #[must_use]
    pub fn port(mut self, name: impl Into<String>) -> Self {
        self.port = Some(name.into());
        self
    }

    /// The label of a pod that says its revision; `enis.andaon.com/revision`.
    #[must_use]
    pub fn revision_label(mut self, label: impl Into<String>) -> Self {
        self.revision_label = label.into();
        self
    }
}

/// Why there is no load, or not what was waited for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The EndpointSlices could not be read.
    #[error("the EndpointSlices of {service} could not be read in {} s: {last}", FIRST_LOOK.as_secs())]
    Unreadable {
        /// The Service.
        service: String,
        /// What the API server said last.
        last: String,
    },
    /// What was waited for did not happen.
    #[error("it did not happen in {within:?}; until then: {seen}")]
    Never {
        /// How long it was waited for.
        within: Duration,
        /// What was seen.
        seen: Box<LoadReport>,
    },
}

/// What the requests and the watch share.
#[derive(Debug)]
pub(crate) struct Seen {
    started: Instant,
    report: Mutex<LoadReport>,
}

impl Seen {
    pub(crate) fn report(&self) -> MutexGuard<'_, LoadReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Requests that go on until [`Load::stop`] or the end of this value.
#[derive(Debug)]
pub struct Load {
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    requests: JoinHandle<()>,
    watch: JoinHandle<()>,
}

impl Load {
    /// Starts when the endpoints of the Service are known, be they none.
    ///
    /// # Errors
    /// When the EndpointSlices cannot be read.
    pub async fn start(
        client: Client,
        namespace: &str,
        service: &str,
        options: LoadOptions,
    ) -> Result<Self, LoadError> {
        let seen = Arc::new(Seen { started: Instant::now(), report: Mutex::default() });
        let (targets, watch) =
            endpoints::follow(client, namespace, service, &options, Arc::clone(&seen)).await?;
        let (stop, stopped) = oneshot::channel();
        let requests = tokio::spawn(send::requests(options, targets, Arc::clone(&seen), stopped));
        Ok(Self { seen, stop: Some(stop), requests, watch })
    }

    /// How long it has been going on: the clock of the report.
    pub fn elapsed(&self) -> Duration {
        self.seen.elapsed()
    }

    /// What has been seen up to now.
    pub fn seen(&self) -> LoadReport {
        let mut report = self.seen.report().clone();
        report.lasted = self.elapsed();
        report
    }

    /// Waits until the report satisfies the condition.
    ///
    /// # Errors
    /// When it does not within this time; the error shows what was seen.
    pub async fn until(
        &self,
        within: Duration,
        mut condition: impl FnMut(&LoadReport) -> bool,
    ) -> Result<(), LoadError> {
        let deadline = Instant::now() + within;
        loop {
            {
                let mut report = self.seen.report();
                report.lasted = self.elapsed();
                if condition(&report) {
                    return Ok(());
                }
            }
            if Instant::now() >= deadline {
                return Err(LoadError::Never { within, seen: Box::new(self.seen()) });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sends no more, waits for the answers that are due, and tells what happened.
    pub async fn stop(mut self) -> LoadReport {
        // Nobody listens any more when the task has panicked, which the counts will show.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = (&mut self.requests).await;
        self.seen()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.requests.abort();
        self.watch.abort();
    }
}
