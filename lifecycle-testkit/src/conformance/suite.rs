//! Running cases, and what they are written with.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, Version};

use super::report::{Case, Outcome, Report};
use super::{Environment, Unable};

/// Why a case ended before its end.
pub(super) enum Stop {
    Failed(String),
    NotApplicable(String),
}

pub(super) type Verdict<T = ()> = Result<T, Stop>;

impl From<BackendError> for Stop {
    fn from(error: BackendError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Unable> for Stop {
    fn from(unable: Unable) -> Self {
        Self::NotApplicable(unable.why)
    }
}

/// A suite and its factory of benches.
pub(super) struct Suite<M> {
    make: M,
    pub(super) report: Report,
}

impl<M, F, B> Suite<M>
where
    M: Fn() -> F,
    F: Future<Output = BackendResult<B>>,
{
    pub(super) const fn new(suite: &'static str, make: M) -> Self {
        Self { make, report: Report::new(suite) }
    }

    /// Runs a case on a bench of its own.
    pub(super) async fn case(&mut self, name: &'static str, case: impl AsyncFnOnce(&B) -> Verdict) {
        let verdict = match (self.make)().await {
            Ok(bench) => case(&bench).await,
            Err(error) => Err(Stop::Failed(format!("the bench could not be made: {error}"))),
        };
        let outcome = match verdict {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed(message)) => Outcome::Failed(message),
            Err(Stop::NotApplicable(why)) => Outcome::NotApplicable(why),
        };
        self.report.cases.push(Case { name, outcome });
    }
}

/// Runs functions as cases under their own names.
macro_rules! run {
    ($suite:expr; $($case:ident),* $(,)?) => {
        $($suite.case(stringify!($case), $case).await;)*
    };
}
pub(super) use run;

pub(super) fn fail<T>(message: impl Into<String>) -> Verdict<T> {
    Err(Stop::Failed(message.into()))
}

pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { fail(message()) }
}

/// Looks again and again until there is what is looked for. A look says what it saw instead.
pub(super) async fn settle<T>(
    environment: &(impl Environment + ?Sized),
    wanted: &str,
    mut look: impl AsyncFnMut() -> Verdict<Result<T, String>>,
) -> Verdict<T> {
    let (patience, pace) = (environment.patience(), environment.pace());
    let mut waited = Millis::ZERO;
    loop {
        match look().await? {
            Ok(found) => return Ok(found),
            Err(seen) if waited >= patience => return fail(format!("no {wanted} within {patience}: {seen}")),
            Err(_) => {}
        }
        // a pace of zero would never run out of patience
        let step = pace.max(Millis(1));
        environment.advance(step).await;
        waited += step;
    }
}

/// Looks again and again for this long; every look must hold.
pub(super) async fn stays(
    environment: &(impl Environment + ?Sized),
    span: Millis,
    mut look: impl AsyncFnMut() -> Verdict,
) -> Verdict {
    let step = environment.pace().max(Millis(1));
    let mut waited = Millis::ZERO;
    loop {
        look().await?;
        if waited >= span {
            return Ok(());
        }
        environment.advance(step).await;
        waited += step;
    }
}

/// An answer that may come later: a backend may be out of reach for a moment, or somebody else wrote
/// first.
pub(super) fn answered<T>(result: BackendResult<T>) -> Verdict<Result<T, String>> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if matches!(error.kind, ErrorKind::Transient | ErrorKind::Conflict) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Polls a call so often, then drops it as a caller that gave up would. What it answered, if it did.
pub(super) async fn cut_off<T>(call: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// How often a call is polled before it is dropped, one value a try.
pub(super) const CUTS: [u32; 6] = [0, 1, 2, 3, 5, 8];

/// A call that runs beside others.
pub(super) type Call<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs all of them at the same time, taking turns; their answers in the given order.
pub(super) async fn together<T>(calls: Vec<Call<'_, T>>) -> Vec<T> {
    let mut calls: Vec<(Call<'_, T>, Option<T>)> = calls.into_iter().map(|call| (call, None)).collect();
    poll_fn(|context| {
        let mut all_done = true;
        for (call, answer) in &mut calls {
            if answer.is_none() {
                match call.as_mut().poll(context) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => all_done = false,
                }
            }
        }
        if all_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// A revision that the backend has never heard of.
pub(super) fn unheard_of() -> Revision {
    Revision::new(RevisionNumber(4_000_000), "ffffffffff", Version::new(99, 0, 0))
}
