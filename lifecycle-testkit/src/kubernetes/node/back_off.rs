//! How long a kubelet waits before it tries the same again.

use std::time::Duration;

/// Twice as long each time.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl BackOff {
    /// Of restarts: at once, then after 10 s, 20 s, up to 5 min.
    pub(super) fn of_restarts(scaled: impl Fn(Duration) -> Duration) -> Self {
        Self { next: Duration::ZERO, ..Self::of_pulls(scaled) }
    }

    /// Of pulls: after 10 s, 20 s, up to 5 min.
    pub(super) fn of_pulls(scaled: impl Fn(Duration) -> Duration) -> Self {
        let (first, most) = (scaled(Duration::from_secs(10)), scaled(Duration::from_secs(300)));
        Self { next: first, first, most }
    }

    /// The wait after a failure of something that went well for so long before.
    pub(super) fn after(&mut self, well: Duration) -> Duration {
        if well > self.most * 2 {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = (wait * 2).clamp(self.first, self.most);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut back_off: BackOff, wells: &[u64], expected: &[u64]) {
        let waits = wells.iter().map(|well| back_off.after(Duration::from_secs(*well)).as_secs());
        assert_eq!(waits.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn restarts_wait_twice_as_long_each_time_and_begin_anew_after_a_long_run() {
        let crashes = BackOff::of_restarts(|time| time);
        check(crashes, &[0, 0, 0, 0, 0, 0, 0, 0, 601, 0], &[0, 10, 20, 40, 80, 160, 300, 300, 0, 10]);
        check(BackOff::of_pulls(|time| time / 10), &[0, 0, 0], &[1, 2, 4]);
    }
}
