//! maxSurge and maxUnavailable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
            Self::Percent(p) => {
                u32::try_from((u64::from(p) * u64::from(n)).div_ceil(100)).unwrap_or(u32::MAX)
            }
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

/// Text that is no [`Amount`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not an amount: write a whole number like 3 or a percentage like 25%")]
#[non_exhaustive]
pub struct AmountError {
    /// What was written.
    pub text: String,
}

/// `3` is a number of replicas, `25%` a percentage (how [`Amount`] is displayed).
impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (digits, amount): (_, fn(u32) -> Self) = match text.strip_suffix('%') {
            Some(digits) => (digits, Self::Percent),
            None => (text, Self::Replicas),
        };
        // `u32::from_str` would take a sign
        let parsed = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        parsed.map(amount).ok_or_else(|| AmountError { text: text.to_owned() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_the_way_it_is_written() {
        for amount in [Amount::Replicas(0), Amount::Replicas(3), Amount::Percent(0), Amount::Percent(25)] {
            assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_with_what_is_accepted() {
        for text in ["", "%", "oops", "-1", "+1", "25 %", "1.5", "2%%", "4294967296"] {
            let error = text.parse::<Amount>().unwrap_err().to_string();
            assert!(error.contains("25%"), "{text}: {error}");
        }
    }
}
