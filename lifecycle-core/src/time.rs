//! Time as a value. The machine never reads a clock: the caller says what time it is.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since an origin that the caller chose (the Unix epoch for a
/// driver, 0 for a simulation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// From milliseconds since the origin.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to here, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Millis) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Millis(self.0).fmt(f)
    }
}

/// A span of time in whole milliseconds; small, `Eq + Hash`, written as a number on the wire of a
/// stored state. Saturates instead of overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1000))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What is left of `self` after `spent`, zero when nothing is.
    #[must_use]
    pub const fn left(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }

    /// `self` times a whole number.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// As people say it: from a second on without milliseconds.
    #[must_use]
    pub const fn coarse(self) -> Self {
        if self.0 < 1000 { self } else { Self(self.0 - self.0 % 1000) }
    }

    /// Is this no time at all?
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Add for Millis {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign for Millis {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl Sub for Millis {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        self.left(rhs)
    }
}

impl From<Duration> for Millis {
    fn from(d: Duration) -> Self {
        Self(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(ms: Millis) -> Self {
        Self::from_millis(ms.0)
    }
}

/// `1h`, `1m30s`, `250ms`, `0s`: the form that manifests use.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s, ms) = (self.0 / 3_600_000, self.0 / 60_000 % 60, self.0 / 1000 % 60, self.0 % 1000);
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (n, unit) in [(h, "h"), (m, "m"), (s, "s"), (ms, "ms")] {
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_prints_the_way_manifests_write_it() {
        for (ms, text) in
            [(0, "0s"), (250, "250ms"), (90_000, "1m30s"), (3_600_000, "1h"), (5_400_500, "1h30m500ms")]
        {
            assert_eq!(Millis(ms).to_string(), text);
        }
        assert_eq!((Millis(999).coarse(), Millis(20_002).coarse()), (Millis(999), Millis(20_000)));
    }

    #[test]
    fn time_never_runs_backwards() {
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Millis::ZERO);
    }
}
