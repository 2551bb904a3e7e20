//! The runtime's clock as the time of the monitors.

use std::time::{Duration, SystemTime};

use lifecycle_core::time::{Millis, Timestamp};
use tokio::time::Instant;

/// Counts on from an origin without ever jumping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    origin: Timestamp,
}

impl Clock {
    /// It is `origin` now; without one, what the system says.
    pub(super) fn starting(origin: Option<Timestamp>) -> Self {
        let of_system = || {
            let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Timestamp::ZERO + Millis::from(since_epoch)
        };
        Self { start: Instant::now(), origin: origin.unwrap_or_else(of_system) }
    }

    pub(super) fn now(self) -> Timestamp {
        self.origin + Millis::from(self.start.elapsed())
    }

    /// When it will be this time.
    pub(super) fn instant(self, at: Timestamp) -> Instant {
        let after = Duration::from(at.since(self.origin));
        // Beyond what can be counted is as good as never.
        self.start.checked_add(after).unwrap_or_else(|| self.start + Duration::from_secs(1 << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_on_from_its_origin_and_finds_back_to_the_instant() {
        let of_system = Clock::starting(None).now();
        assert!(of_system > Timestamp::from_millis(1_700_000_000_000), "{of_system}");
        let clock = Clock::starting(Some(Timestamp::from_millis(1000)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(1500));
        assert_eq!(clock.instant(Timestamp::from_millis(1500)), Instant::now());
        assert!(
            clock.instant(Timestamp::from_millis(u64::MAX)) > Instant::now() + Duration::from_secs(1 << 30)
        );
    }
}
