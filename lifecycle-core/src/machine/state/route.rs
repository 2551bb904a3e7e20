//! Where requests go: what was asked of the router, and what is known of it.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::backend::Token;
use crate::plan::Weight;
use crate::time::Millis;
use crate::version::RevisionNumber;

/// Where requests go, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::exhaustive_enums,
    reason = "the machine is complete: whoever matches on it must know every case"
)]
pub enum Way {
    /// Every ready replica gets an equal share.
    #[default]
    Balanced,
    /// Stable and canary share by weight.
    #[non_exhaustive]
    Split {
        /// Gets the rest.
        stable: Option<RevisionNumber>,
        /// Gets the weight.
        canary: Option<RevisionNumber>,
        /// The canary's share.
        weight: Weight,
    },
}

/// What was asked of the router, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RouteState {
    /// The newest wish, `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Way>,
    /// Its token.
    pub token: Token,
    /// Token that was acknowledged last; what carries a lower one is stale.
    #[serde(default, skip_serializing_if = "is_default")]
    pub acked: Token,
    /// The route that was acknowledged last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Way>,
    /// Wishes after that one which may still take effect, oldest first, without repetitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Way>,
    /// Time since the newest wish was sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sent: Millis,
}

impl RouteState {
    pub(in super::super) fn without_router() -> Self {
        Self { wish: Some(Way::Balanced), acknowledged: Some(Way::Balanced), ..Self::default() }
    }

    /// Every way that may be in effect now or later.
    fn ways(&self) -> impl Iterator<Item = Way> + '_ {
        self.acknowledged.into_iter().chain(self.pending.iter().copied())
    }

    /// The most traffic that this revision may have. (Before a route is known that is everything.)
    pub(in super::super) fn highest(&self, revision: RevisionNumber) -> Weight {
        let unknown = if self.acknowledged.is_none() { Weight::FULL } else { Weight::ZERO };
        self.ways().map(|way| way.weight_of(revision)).fold(unknown, Weight::max)
    }

    /// What the data plane sends to this revision.
    pub(in super::super) fn acknowledged_weight(&self, revision: RevisionNumber) -> Weight {
        self.acknowledged.map_or(Weight::ZERO, |way| way.weight_of(revision))
    }

    /// Is this way in effect, and can no other come?
    pub(in super::super) fn is_surely(&self, way: Way) -> bool {
        self.acknowledged == Some(way) && self.pending.is_empty()
    }

    /// Is some split in effect, and can the balanced way not come?
    pub(in super::super) fn is_surely_split(&self) -> bool {
        self.acknowledged.is_some() && self.ways().all(|way| way != Way::Balanced)
    }
}

impl Way {
    /// The share of this revision; under the balanced way any revision may have all of it.
    pub(in super::super) fn weight_of(self, revision: RevisionNumber) -> Weight {
        match self {
            Self::Balanced => Weight::FULL,
            Self::Split { canary: Some(canary), weight, .. } if canary == revision => weight,
            Self::Split { stable: Some(stable), weight, .. } if stable == revision => weight.rest(),
            Self::Split { .. } => Weight::ZERO,
        }
    }
}
