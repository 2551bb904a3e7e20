//! What goes wrong, and until when.

use std::fmt;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;

/// How far observations lag behind under [`Fault::StaleWatch`].
pub const STALE_BY: Millis = Millis::from_secs(30);

/// The most by which a write is repeated or late.
pub const LATE_BY: Millis = Millis::from_secs(30);

/// Something that goes wrong in the cluster for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Every call of the workload, the router and the store fails.
    ApiUnavailable,
    /// Every other write conflicts and changes nothing.
    ApiConflict,
    /// Observations of the workload and the router are those of [`STALE_BY`] ago.
    StaleWatch,
    /// Every other write of the workload and the router is acknowledged and dropped.
    LostWrite,
    /// One ready replica dies, the newest first; at once, whatever the span.
    PodKill,
    /// The health source has no data.
    MetricsDown,
    /// A critical alert fires for this version.
    CriticalAlert(Version),
    /// Every write of the workload and the router arrives a second time, up to [`LATE_BY`] later.
    RepeatedWrite,
    /// Every write of the workload and the router arrives up to [`LATE_BY`] late.
    LateWrite,
}

impl Fault {
    /// The word for it in a scenario; the last two have none there and are for tests only.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ApiUnavailable => "api-unavailable",
            Self::ApiConflict => "api-conflict",
            Self::StaleWatch => "stale-watch",
            Self::LostWrite => "lost-write",
            Self::PodKill => "pod-kill",
            Self::MetricsDown => "metrics-down",
            Self::CriticalAlert(_) => "critical-alert",
            Self::RepeatedWrite => "repeated-write",
            Self::LateWrite => "late-write",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a write fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    IsLost,
}

/// Until when each thing goes wrong (not at that time any more).
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    unavailable: Timestamp,
    conflict: Timestamp,
    stale: Timestamp,
    lost: Timestamp,
    metrics_down: Timestamp,
    repeated: Timestamp,
    late: Timestamp,
    alerts: Vec<(Version, Timestamp)>,
    /// Writes since conflicts began; every other one conflicts, the first of all.
    conflicting: u64,
    /// Writes since losses began; every other one is lost, the first of all.
    losing: u64,
    /// All writes that were ever begun.
    pub(super) writes: u64,
    /// The writer dies at the write after so many.
    pub(super) crash_after: Option<u64>,
}

impl Faults {
    pub(super) fn begin(&mut self, fault: Fault, until: Timestamp) {
        let slot = match fault {
            Fault::ApiUnavailable => &mut self.unavailable,
            Fault::ApiConflict => {
                self.conflicting = 0;
                &mut self.conflict
            }
            Fault::StaleWatch => &mut self.stale,
            Fault::LostWrite => {
                self.losing = 0;
                &mut self.lost
            }
            Fault::MetricsDown => &mut self.metrics_down,
            Fault::RepeatedWrite => &mut self.repeated,
            Fault::LateWrite => &mut self.late,
            Fault::CriticalAlert(version) => return self.alerts.push((version, until)),
            Fault::PodKill => return,
        };
        *slot = until.max(*slot);
    }

    /// Begins a write. Does the writer die here?
    pub(super) const fn write_kills(&mut self) -> bool {
        match self.crash_after {
            Some(n) if self.writes >= n => true,
            _ => {
                self.writes += 1;
                false
            }
        }
    }

    /// Can anybody be reached?
    pub(super) fn reach(&self, now: Timestamp, operation: &'static str) -> BackendResult<()> {
        if now < self.unavailable {
            return Err(BackendError::new(
                BACKEND,
                operation,
                ErrorKind::Transient,
                "the API is unavailable",
            ));
        }
        Ok(())
    }

    /// Does this write conflict?
    pub(super) fn collide(&mut self, now: Timestamp, operation: &'static str) -> BackendResult<()> {
        self.reach(now, operation)?;
        if now < self.conflict {
            self.conflicting += 1;
            if self.conflicting % 2 == 1 {
                return Err(BackendError::new(
                    BACKEND,
                    operation,
                    ErrorKind::Conflict,
                    "somebody else wrote first",
                ));
            }
        }
        Ok(())
    }

    /// What becomes of a write that was accepted.
    pub(super) fn fate(&mut self, now: Timestamp) -> Fate {
        if now < self.lost {
            self.losing += 1;
            if self.losing % 2 == 1 {
                return Fate::IsLost;
            }
        }
        Fate::Arrives
    }

    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        now < self.stale
    }

    pub(super) fn repeats(&self, now: Timestamp) -> bool {
        now < self.repeated
    }

    pub(super) fn delays(&self, now: Timestamp) -> bool {
        now < self.late
    }

    pub(super) fn has_no_data(&self, now: Timestamp) -> bool {
        now < self.metrics_down
    }

    /// How many critical alerts fire for this version.
    pub(super) fn alerts(&self, now: Timestamp, version: &Version) -> usize {
        self.alerts.iter().filter(|(of, until)| of == version && now < *until).count()
    }
}

/// The name under which the simulated backends report errors.
pub(super) const BACKEND: &str = "simulated";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_write_conflicts_while_it_lasts() {
        let mut faults = Faults::default();
        let (now, end) = (Timestamp::from_millis(5), Timestamp::from_millis(10));
        faults.begin(Fault::ApiConflict, end);
        let fared: Vec<bool> = (0..4).map(|_| faults.collide(now, "scale").is_ok()).collect();
        assert_eq!(fared, [false, true, false, true]);
        assert!((0..4).all(|_| faults.collide(end, "scale").is_ok()));
    }

    #[test]
    fn every_other_write_is_lost_while_it_lasts() {
        let mut faults = Faults::default();
        let (now, end) = (Timestamp::from_millis(5), Timestamp::from_millis(10));
        faults.begin(Fault::LostWrite, end);
        assert_eq!([faults.fate(now), faults.fate(now)], [Fate::IsLost, Fate::Arrives]);
        assert_eq!([faults.fate(end), faults.fate(end)], [Fate::Arrives, Fate::Arrives]);
    }

    #[test]
    fn an_alert_fires_for_its_version_only() {
        let mut faults = Faults::default();
        let version = Version::new(1, 5, 0);
        faults.begin(Fault::CriticalAlert(version.clone()), Timestamp::from_millis(10));
        assert_eq!(faults.alerts(Timestamp::ZERO, &version), 1);
        assert_eq!(faults.alerts(Timestamp::from_millis(10), &version), 0);
        assert_eq!(faults.alerts(Timestamp::ZERO, &Version::new(1, 4, 0)), 0);
    }
}
