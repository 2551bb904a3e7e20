//! maxSurge and maxUnavailable.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of replicas, or a percentage of the desired number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Amount {
    /// This many replicas.
    Replicas(u32),
    /// This share of the desired number.
    Percent(u32),
}

impl Amount {
    /// Written as zero (`0` or `0%`)?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Replicas(0) | Self::Percent(0))
    }

    /// Replicas out of `n`, a percentage rounded up.
    #[must_use]
    pub fn rounded_up(self, n: u32) -> u32 {
        match self {
            Self::Replicas(replicas) => replicas,
            Self::Percent(p) => u32::try_from((u64::from(p) * u64::from(n)).div_ceil(100)).unwrap_or(u32::MAX),
        }
    }

    /// Replicas out of `n`, a percentage rounded down.
    #[must_use]
    pub fn rounded_down(self, n: u32) -> u32 {
        match self {
            Self::Replicas(replicas) => replicas,
            Self::Percent(p) => u32::try_from(u64::from(p) * u64::from(n) / 100).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicas(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

/// Surge and unavailable in replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Replicas above the desired number.
    pub surge: u32,
    /// Replicas below the desired number; at most that number.
    pub unavailable: u32,
}

impl Limits {
    /// The rule of Kubernetes' Deployments: a percentage of surge rounds up, of unavailable rounds
    /// down, and when both come out as 0 one replica may be unavailable (or nothing could move).
    /// Unavailable is at most `n`.
    #[must_use]
    pub fn resolve(surge: Amount, unavailable: Amount, n: u32) -> Self {
        let surge = surge.rounded_up(n);
        let unavailable = unavailable.rounded_down(n);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { surge, unavailable: unavailable.min(n) }
    }
}
