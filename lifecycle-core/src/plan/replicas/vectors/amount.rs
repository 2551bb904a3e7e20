//! maxSurge and maxUnavailable as the tables write them: an integer, or a percentage in quotes.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::plan::{Amount, Limits};

/// An amount, read from JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(pub(super) Amount);

impl Written {
    fn read(value: &Value) -> Result<Self, String> {
        let refuse = || format!("{value} is neither an integer nor a percentage");
        let amount = match value {
            Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()).map(Amount::Replicas),
            Value::String(text) => text.parse().ok().filter(|amount| matches!(amount, Amount::Percent(_))),
            _ => None,
        };
        amount.map(Self).ok_or_else(refuse)
    }

    pub(super) fn rounded_up(self, n: u32) -> u32 {
        self.0.rounded_up(n)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The amount, when it is written as zero.
pub(super) fn written_as_zero(value: &Value) -> Option<Amount> {
    Written::read(value).ok().map(|written| written.0).filter(|amount| amount.is_zero())
}

/// The limits of a plan; one that is not set counts as 0.
pub(super) fn limits(surge: Option<Written>, unavailable: Option<Written>, n: u32) -> Limits {
    let amount = |written: Option<Written>| written.map_or(Amount::Replicas(0), |written| written.0);
    Limits::resolve(amount(surge), amount(unavailable), n)
}
