//! How long a watch that failed waits before it is tried again.

use std::time::{Duration, Instant};

use kube::runtime::utils::Backoff;

/// Pauses that double from the first to the last. The last is short: whoever decides by what a watch brings is blind
/// meanwhile, and an API server that comes back refuses the first watches, before it knows its rules.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    next: Duration,
    /// When the last one ends.
    over: Option<Instant>,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(200);
    /// The longest of them.
    pub(crate) const LAST: Duration = Duration::from_secs(10);
    /// A watch is well again when it has not failed for this long: it says that it begins before it is refused.
    const WELL: Duration = Duration::from_secs(1);

    pub(crate) const fn new() -> Self {
        Self { next: Self::FIRST, over: None }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(Self::LAST);
        self.over = Some(Instant::now() + pause);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        if self.over.is_none_or(|over| over.elapsed() >= Self::WELL) {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_last_and_begin_anew() {
        let mut pauses = Pauses::new();
        let millis: Vec<u128> = pauses.by_ref().take(8).map(|pause| pause.as_millis()).collect();
        assert_eq!(millis, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        pauses.over = Instant::now().checked_sub(Pauses::WELL);
        pauses.reset();
        assert_eq!(pauses.next(), Some(Pauses::FIRST));
    }

    #[test]
    fn a_watch_that_begins_and_is_refused_at_once_is_not_well() {
        let mut pauses = Pauses::new();
        for expected in [200, 400, 800] {
            assert_eq!(pauses.next(), Some(Duration::from_millis(expected)));
            pauses.reset();
        }
    }
}
