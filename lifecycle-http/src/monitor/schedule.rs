//! When the next probe is due.

use lifecycle_core::time::{Millis, Timestamp};

/// The first of the times `due`, `due + interval`, `due + 2 * interval`, ... after `due` that is at least
/// half an interval after `began`, where a probe that was due at `due` began.
pub(super) fn next(due: Timestamp, interval: Millis, began: Timestamp) -> Timestamp {
    let interval = interval.get().max(1);
    let earliest = began + Millis(interval.div_ceil(2));
    let steps = earliest.since(due).get().div_ceil(interval).max(1);
    due + Millis(interval).times(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_probe_keeps_to_the_grid_and_to_half_an_interval() {
        for (began, expected) in [
            (100, 110), // on time
            (101, 110), // a little late: the next one is where it was
            (105, 110),
            (106, 120), // too late for that one
            (110, 120), // missed by a whole interval
            (115, 120),
            (116, 130),
            (100_000, 100_010), // after a gap: one probe, then the grid again
            (100_003, 100_010),
        ] {
            let next = next(Timestamp::from_millis(100), Millis(10), Timestamp::from_millis(began));
            assert_eq!(next.as_millis(), expected, "began at {began}");
        }
    }

    #[test]
    fn odd_and_extreme_numbers_do_not_overflow() {
        let at = Timestamp::from_millis;
        assert_eq!(next(at(0), Millis(1), at(0)), at(1));
        assert_eq!(next(at(0), Millis(3), at(1)), at(3));
        assert_eq!(next(at(0), Millis(3), at(2)), at(6));
        assert_eq!(next(at(u64::MAX), Millis(u64::MAX), at(u64::MAX)), at(u64::MAX));
        assert_eq!(next(at(0), Millis::ZERO, at(5)), at(6));
    }
}
