//! Words that a manifest chooses from.

/// How a new version gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StrategyKind {
    /// Replica by replica; the default.
    Rolling,
    /// A whole second set, and one switch.
    BlueGreen,
    /// A growing share of the traffic.
    Canary,
    /// All old replicas go before the new ones come: downtime.
    Recreate,
}

impl StrategyKind {
    pub(super) const WORDS: [(&'static str, Self); 4] = [
        ("rolling", Self::Rolling),
        ("blue-green", Self::BlueGreen),
        ("canary", Self::Canary),
        ("recreate", Self::Recreate),
    ];

    /// The name that manifests use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::BlueGreen => "blue-green",
            Self::Canary => "canary",
            Self::Recreate => "recreate",
        }
    }
}

/// What was promised about downtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// Nothing; the default.
    Standard,
    /// None, ever: what cannot keep all replicas available is refused.
    Enterprise,
}

impl Tier {
    pub(super) const WORDS: [(&'static str, Self); 2] =
        [("standard", Self::Standard), ("enterprise", Self::Enterprise)];
}
