//! How long a Lease lasts.

use std::time::Duration;

use thiserror::Error;

/// When a Lease is renewed, given up and taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(super) duration: Duration,
    pub(super) renew_deadline: Duration,
    pub(super) retry: Duration,
}

/// Times that do not go together: a leader would be followed by another one before it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a Lease of {duration:?}, a renew deadline of {renew_deadline:?} and a retry period of {retry:?} do not go \
     together: write them from long to short, the Lease of at least 1s"
)]
pub(crate) struct TimingError {
    duration: Duration,
    renew_deadline: Duration,
    retry: Duration,
}

impl Timing {
    /// Another process takes over after `duration`, the leader stops after `renew_deadline`, and everybody looks every
    /// `retry`.
    pub(crate) fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry: Duration,
    ) -> Result<Self, TimingError> {
        let falling = duration > renew_deadline && renew_deadline > retry && retry > Duration::ZERO;
        if falling && duration >= Duration::from_secs(1) {
            return Ok(Self { duration, renew_deadline, retry });
        }
        Err(TimingError { duration, renew_deadline, retry })
    }
}

impl Default for Timing {
    /// 15 s, 10 s and 2 s, as Kubernetes' own controllers have them.
    fn default() -> Self {
        let [duration, renew_deadline, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { duration, renew_deadline, retry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_let_two_lead_are_refused() {
        let timing = |duration, renew_deadline, retry| {
            Timing::new(
                Duration::from_millis(duration),
                Duration::from_millis(renew_deadline),
                Duration::from_millis(retry),
            )
        };
        assert_eq!(timing(15_000, 10_000, 2000), Ok(Timing::default()));
        for (duration, renew_deadline, retry) in
            [(15_000, 15_000, 2000), (15_000, 2000, 2000), (900, 500, 100), (15_000, 10_000, 0)]
        {
            let error = timing(duration, renew_deadline, retry).unwrap_err().to_string();
            assert!(error.contains("write them from long to short, the Lease of at least 1s"), "{error}");
        }
    }
}
