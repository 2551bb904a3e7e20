//! One of several operators works: which one is agreed by a Lease.
//!
//! The rules are those of Kubernetes' own controllers (client-go's `leaderelection`). The leader writes the Lease every
//! `retry`; when it could not for `renew_deadline` it stops. The others take over when they have not seen the Lease
//! change for its `duration`, by their own monotonic clock: nobody's wall clock is compared. Every write names the
//! resourceVersion that it was decided on, so that of two that take over at once one is refused.
//!
//! A Lease elects and does not fence: a leader that was stopped by its machine and goes on later finds out only with
//! its next look. That its late writes do no harm is for whoever writes.

mod timing;

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
pub(crate) use timing::Timing;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Is this process the one that works?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leadership {
    /// It is.
    Leader,
    /// Another one is, or nobody.
    Follower,
}

/// The name of this process among the candidates: that of its pod (`POD_NAME`), or of its machine with its number there.
pub(crate) fn identity() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.trim().is_empty());
    pod.unwrap_or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = if name.trim().is_empty() { "lifecycle" } else { name.trim() };
        format!("{name}_{}", std::process::id())
    })
}

/// A candidate for a Lease. Leads only while [`Lease::run`] runs.
pub(crate) struct Lease {
    api: Api<Object>,
    name: String,
    identity: String,
    timing: Timing,
    leadership: watch::Sender<Leadership>,
    trouble: watch::Sender<Option<String>>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// What a candidate knows of the Lease.
#[derive(Debug, Default)]
struct Known {
    /// As it was seen or written last; `None` before that, and when it is known to be older than the newest.
    object: Option<Object>,
    /// What it said, and since when it has said so.
    said: Option<(LeaseSpec, Instant)>,
    /// Since when this process leads, as of its last renewal.
    renewed: Option<Instant>,
}

impl Lease {
    /// A candidate of this name for this Lease, which is created when it is not there.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        name: impl Into<String>,
        identity: impl Into<String>,
        timing: Timing,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            identity: identity.into(),
            timing,
            leadership: watch::Sender::new(Leadership::Follower),
            trouble: watch::Sender::new(Some("no look at the Lease yet".to_owned())),
        }
    }

    /// Whether this process leads, from now on. It may lead, follow and lead again.
    pub(crate) fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Why the API server did not answer the last look at the Lease, `None` when it did.
    pub(crate) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Stands as a candidate until `shutdown` resolves, which is when the work of a leader has to be done; then gives
    /// the Lease back, so that another one need not wait. No error ends it. When it is dropped nothing is given back.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut known = Known::default();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = self.turn(&mut known) => {}
            }
        }
        self.set(Leadership::Follower);
        if known.renewed.is_some() {
            self.give_back(&mut known).await;
        }
    }

    /// One look and, where it is this process' turn, one write; then the pause until the next.
    async fn turn(&self, known: &mut Known) {
        let Timing { renew_deadline, retry, .. } = self.timing;
        let begun = Instant::now();
        self.expire(known);
        // One call that hangs leaves time for another.
        let patience = renew_deadline / 2;
        let deadline = self.lost_at(known).map_or(begun + patience, |lost_at| lost_at.min(begun + patience));
        match timeout_at(deadline, self.attempt(known)).await {
            Ok(Ok(None)) => {
                // Counted from before the write: the others count from after it.
                known.renewed = Some(begun);
                self.set_trouble(None);
                if !self.expire(known) {
                    self.set(Leadership::Leader);
                }
            }
            Ok(Ok(Some(holder))) => {
                self.lose(known, &format!("{holder} holds it"));
                self.set_trouble(None);
            }
            Ok(Err(error)) => self.set_trouble(Some(error.to_string())),
            Err(_) => self.set_trouble(Some(format!("no answer in {:?}", deadline - begun))),
        }
        let next = begun + retry;
        sleep_until(self.lost_at(known).map_or(next, |lost_at| next.min(lost_at))).await;
    }

    /// When this process stops to lead unless it renews.
    fn lost_at(&self, known: &Known) -> Option<Instant> {
        known.renewed.map(|at| at + self.timing.renew_deadline)
    }

    /// Gives up what could not be renewed in time: also by a process that was stopped for a while and comes back to
    /// itself.
    fn expire(&self, known: &mut Known) -> bool {
        let expired = self.lost_at(known).is_some_and(|lost_at| Instant::now() >= lost_at);
        if expired {
            self.lose(known, "it could not be renewed in time");
        }
        expired
    }

    /// Tries to hold the Lease. Who holds it instead, if somebody does.
    async fn attempt(&self, known: &mut Known) -> Result<Option<String>, Error> {
        // A leader knows what it wrote last, and looks only when somebody else has written since.
        let mut looked = false;
        loop {
            if known.renewed.is_none() || known.object.is_none() {
                let object = self.api.get_opt(&self.name).await?;
                known.saw(object);
                looked = true;
            }
            if let Some(holder) = known.held_by_another(&self.identity, self.timing.duration) {
                return Ok(Some(holder));
            }
            let exists = known.object.is_some();
            match self.write(known.object.clone(), Some(&self.identity)).await {
                Ok(object) => {
                    known.saw(Some(object));
                    return Ok(None);
                }
                // (a new one that is answered with 404 has no namespace)
                Err(Error::Api(status)) if status.code == 409 || status.code == 404 && exists => {
                    known.object = None;
                    if looked {
                        return Ok(Some("whoever was faster".to_owned()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes that this process, or nobody, holds the Lease: into this object or a new one.
    async fn write(&self, object: Option<Object>, holder: Option<&str>) -> Result<Object, Error> {
        let now = MicroTime(Timestamp::now());
        let exists = object.is_some();
        let mut object = object.unwrap_or_else(|| Object {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: None,
        });
        let mut spec = object.spec.take().unwrap_or_default();
        if let Some(holder) = holder
            && spec.holder_identity.as_deref() != Some(holder)
        {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |n| n.saturating_add(1)));
        }
        // What nobody holds need not be waited for.
        let duration = if holder.is_some() { self.timing.duration } else { Duration::from_secs(1) };
        spec.lease_duration_seconds =
            Some(i32::try_from(duration.as_secs_f64().ceil() as u64).unwrap_or(i32::MAX));
        spec.holder_identity = holder.map(ToOwned::to_owned);
        spec.renew_time = Some(now);
        object.spec = Some(spec);
        match exists {
            true => self.api.replace(&self.name, &PostParams::default(), &object).await,
            false => self.api.create(&PostParams::default(), &object).await,
        }
    }

    async fn give_back(&self, known: &mut Known) {
        let given = async {
            let mut object = known.object.take();
            loop {
                let looked = object.is_none();
                if looked {
                    object = self.api.get_opt(&self.name).await?;
                }
                let ours = |lease: &Object| {
                    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref())
                        == Some(&*self.identity)
                };
                let Some(held) = object.take().filter(ours) else { return Ok(()) };
                match self.write(Some(held), None).await {
                    // A renewal was still on its way.
                    Err(Error::Api(status)) if status.code == 409 && !looked => {}
                    written => return written.map(|_| ()),
                }
            }
        };
        match timeout(self.timing.retry, given).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "the Lease was given back"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, %error, "the Lease could not be given back: it expires")
            }
            Err(_) => {
                tracing::warn!(lease = self.name, "no answer when the Lease was given back: it expires")
            }
        }
    }

    fn lose(&self, known: &mut Known, why: &str) {
        known.renewed = None;
        if *self.leadership.borrow() == Leadership::Leader {
            tracing::warn!(lease = self.name, identity = self.identity, "the Lease was lost: {why}");
        }
        self.set(Leadership::Follower);
    }

    fn set(&self, leadership: Leadership) {
        let changed =
            self.leadership.send_if_modified(|now| std::mem::replace(now, leadership) != leadership);
        if changed {
            tracing::info!(lease = self.name, identity = self.identity, ?leadership, "leadership changed");
        }
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|now| {
            let changed = *now != trouble;
            if let (true, Some(problem)) = (changed, &trouble) {
                tracing::warn!(lease = self.name, problem, "no look at the Lease");
            }
            *now = trouble;
            changed
        });
    }
}

impl Known {
    /// The Lease is now this, or not there.
    fn saw(&mut self, object: Option<Object>) {
        let spec = object.as_ref().and_then(|object| object.spec.clone()).unwrap_or_default();
        if self.said.as_ref().is_none_or(|(said, _)| *said != spec) {
            self.said = Some((spec, Instant::now()));
        }
        self.object = object;
    }

    /// Who else holds the Lease and has renewed it within its duration, as far as this process has seen.
    fn held_by_another(&self, identity: &str, duration: Duration) -> Option<String> {
        let (spec, since) = self.said.as_ref().filter(|_| self.object.is_some())?;
        let holder =
            spec.holder_identity.as_deref().filter(|holder| !holder.is_empty() && *holder != identity)?;
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = seconds.filter(|seconds| *seconds > 0).map_or(duration, Duration::from_secs);
        (since.elapsed() < lasts).then(|| holder.to_owned())
    }
}

#[cfg(test)]
mod tests;
