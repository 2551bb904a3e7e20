//! What time it is to Prometheus.

use std::time::Duration;

use lifecycle_core::backend::BackendResult;
use lifecycle_core::time::Millis;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::call::{Caller, Request};
use crate::answer;
use crate::query::{CLOCK, Clock};

/// For how long an answer is good: looks at about the same time are about the same moment, and share questions.
const FRESH: Duration = Duration::from_millis(250);

/// Asks for the time, once for all who want to know it at about the same time.
#[derive(Debug, Default)]
pub(super) struct ClockReader {
    /// Locked while it is asked for: whoever comes then waits for that answer.
    last: Mutex<Option<(Instant, Clock)>>,
}

impl ClockReader {
    /// The time, at most a moment old.
    pub(super) async fn read(
        &self,
        caller: &Caller,
        settle: Millis,
        deadline: Instant,
    ) -> BackendResult<Clock> {
        let Ok(mut last) = timeout_at(deadline, self.last.lock()).await else { return Err(caller.late()) };
        if let Some((at, clock)) = *last
            && at.elapsed() < FRESH
        {
            return Ok(clock);
        }
        let form = [("query", CLOCK.to_owned())];
        let _place = caller.place_by(deadline).await?;
        let answer = caller.ask(Request::Form("api/v1/query", &form), answer::read, deadline).await;
        let answer = answer.map_err(|failed| failed.error)?;
        let clock = Clock::read(&answer, settle)?;
        *last = Some((Instant::now(), clock));
        Ok(clock)
    }
}
