//! A share of traffic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Percent of the traffic that goes to the canary: a whole number from 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u8);

impl Weight {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(100);

    /// `None` above 100.
    #[must_use]
    pub const fn new(percent: u32) -> Option<Self> {
        if percent <= 100 { Some(Self(percent as u8)) } else { None }
    }

    /// Percent.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// What is left for stable.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(100 - self.0)
    }

    /// Replicas out of `n` that carry this share: `ceil(w / 100 * n)`.
    #[must_use]
    pub const fn of(self, n: u32) -> u32 {
        ((self.0 as u64 * n as u64).div_ceil(100)) as u32
    }

    /// Is this nothing?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl TryFrom<u32> for Weight {
    type Error = String;
    fn try_from(percent: u32) -> Result<Self, String> {
        Self::new(percent).ok_or_else(|| format!("{percent} is not a percentage from 0 to 100"))
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.get()
    }
}
