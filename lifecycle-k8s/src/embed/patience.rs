//! What the API server refuses is asked for ever more rarely.
//!
//! The machine repeats a wish that was not carried out every other second. What may not be done, or makes no valid
//! object, is mended by a person: until the next try is due, a repetition is answered with the refusal of before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, GroupStatus, RouteStatus, RouteWish, RouterCapabilities,
    ScaleWish, Token, TrafficRouter, Workload, WorkloadCapabilities,
};

/// Pauses after failures in a row double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// How long to wait after so many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LAST_PAUSE)
}

/// The wishes that were refused, by what they are about.
#[derive(Debug, Default)]
struct Refusals(Mutex<HashMap<Arc<str>, Refusal>>);

#[derive(Clone, Debug)]
struct Refusal {
    token: Token,
    times: u32,
    again_at: Instant,
    error: BackendError,
}

impl Refusals {
    /// # Errors
    /// The refusal of before, while it is too early to ask again.
    fn check(&self, what: &str, token: Token, now: Instant) -> BackendResult<()> {
        match self.all().get(what) {
            Some(refusal) if refusal.token == token && now < refusal.again_at => Err(refusal.error.clone()),
            _ => Ok(()),
        }
    }

    fn remember(&self, what: &Arc<str>, token: Token, now: Instant, outcome: &BackendResult<()>) {
        let mut all = self.all();
        match outcome {
            Err(error) if matches!(error.kind, ErrorKind::Unauthorized | ErrorKind::Invalid) => {
                let before = all.get(what).filter(|refusal| refusal.token == token);
                let times = before.map_or(1, |refusal| refusal.times.saturating_add(1));
                let refusal = Refusal { token, times, again_at: now + pause(times), error: error.clone() };
                all.insert(Arc::clone(what), refusal);
            }
            _ => drop(all.remove(what)),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A workload that does not repeat at once what was refused.
#[derive(Debug)]
pub(super) struct PatientWorkload {
    inner: Arc<dyn Workload>,
    refusals: Refusals,
}

impl PatientWorkload {
    pub(super) fn new(inner: Arc<dyn Workload>) -> Self {
        Self { inner, refusals: Refusals::default() }
    }
}

#[async_trait]
impl Workload for PatientWorkload {
    fn capabilities(&self) -> WorkloadCapabilities {
        self.inner.capabilities()
    }

    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        self.inner.observe().await
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        let hash = &wish.revision.hash;
        self.refusals.check(hash, wish.token, Instant::now())?;
        let outcome = self.inner.scale(wish).await;
        self.refusals.remember(hash, wish.token, Instant::now(), &outcome);
        outcome
    }
}

/// A router that does not repeat at once what was refused.
#[derive(Debug)]
pub(super) struct PatientRouter {
    inner: Arc<dyn TrafficRouter>,
    refusals: Refusals,
    route: Arc<str>,
}

impl PatientRouter {
    pub(super) fn new(inner: Arc<dyn TrafficRouter>) -> Self {
        Self { inner, refusals: Refusals::default(), route: "route".into() }
    }
}

#[async_trait]
impl TrafficRouter for PatientRouter {
    fn capabilities(&self) -> RouterCapabilities {
        self.inner.capabilities()
    }

    async fn observe(&self) -> BackendResult<Option<RouteStatus>> {
        self.inner.observe().await
    }

    async fn set(&self, wish: &RouteWish) -> BackendResult<()> {
        self.refusals.check(&self.route, wish.token, Instant::now())?;
        let outcome = self.inner.set(wish).await;
        self.refusals.remember(&self.route, wish.token, Instant::now(), &outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: ErrorKind) -> BackendResult<()> {
        Err(BackendError::new("kubernetes", "scale", kind, "no"))
    }

    #[test]
    fn what_is_refused_is_asked_for_ever_more_rarely() {
        let (refusals, what): (Refusals, Arc<str>) = (Refusals::default(), "hash".into());
        let mut now = Instant::now();
        for wait in [200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000] {
            assert!(refusals.check(&what, Token(7), now).is_ok());
            refusals.remember(&what, Token(7), now, &outcome(ErrorKind::Unauthorized));
            let wait = Duration::from_millis(wait);
            let early = now + wait - Duration::from_millis(1);
            assert_eq!(refusals.check(&what, Token(7), early).unwrap_err().kind, ErrorKind::Unauthorized);
            now += wait;
        }
    }

    #[test]
    fn another_wish_is_asked_for_at_once() {
        let (refusals, what): (Refusals, Arc<str>) = (Refusals::default(), "hash".into());
        let now = Instant::now();
        refusals.remember(&what, Token(7), now, &outcome(ErrorKind::Invalid));
        assert!(refusals.check(&what, Token(7), now).is_err());
        assert!(refusals.check(&what, Token(8), now).is_ok());
        assert!(refusals.check("another", Token(7), now).is_ok());
    }

    #[test]
    fn what_another_try_may_mend_and_what_was_done_is_not_held_back() {
        let (refusals, what): (Refusals, Arc<str>) = (Refusals::default(), "hash".into());
        let now = Instant::now();
        for after in [Ok(()), outcome(ErrorKind::Conflict), outcome(ErrorKind::NotFound)] {
            refusals.remember(&what, Token(7), now, &outcome(ErrorKind::Invalid));
            refusals.remember(&what, Token(7), now, &after);
            assert!(refusals.check(&what, Token(7), now).is_ok(), "{after:?}");
        }
    }
}
