//! Replica arithmetic: how many replicas each group may have next. Pure, total, free of overflow.
//!
//! | module | question | where the rule comes from |
//! |---|---|---|
//! | [`split`](fn@split) | how do `n` replicas divide by a weight? | Argo Rollouts, pod-ratio canary |
//! | [`grow`], [`shrink`], [`pod_ratio`] | which sizes are safe to ask for now? | Argo Rollouts, pod-ratio canary |
//! | [`routed`], [`routed_dynamic`], [`abort_weight`] | which sizes carry a routed weight? | Argo Rollouts, traffic routing |
//! | [`rolling`] | how does a rolling replacement proceed? | Kubernetes' Deployment controller |
//! | [`status`] | is it complete, does it move, is it late? | Kubernetes' Deployment controller |
//!
//! Two rules hold everywhere: growing never takes the sum of the asked-for sizes above `n + surge`,
//! and shrinking never takes available replicas below `n - unavailable`, given that a group that
//! shrinks stops replicas that are not ready first (the contract of
//! [`Workload`](crate::backend::Workload)).

mod canary;
pub mod rolling;
mod routed;
mod split;
pub mod status;

#[cfg(test)]
mod vectors;

pub use canary::{grow, older_size, pod_ratio, shrink};
pub use rolling::proportional;
pub use routed::{CanaryScale, Recorded, Scaling, abort_weight, routed, routed_dynamic};
pub use split::{Ratio, split};

/// One replica group: what was asked for and what serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "two plain numbers, made in place by callers")]
pub struct Set {
    /// The size that was asked for.
    pub desired: u32,
    /// Replicas that serve. May be above `desired` while the group shrinks.
    pub available: u32,
}

impl Set {
    /// A group that was asked for this size and serves with this many.
    #[must_use]
    pub const fn new(desired: u32, available: u32) -> Self {
        Self { desired, available }
    }

    /// Replicas that serve and will stay: what is above the desired size is on its way out.
    #[must_use]
    pub const fn kept(self) -> u32 {
        if self.available < self.desired { self.available } else { self.desired }
    }
}

/// The groups of one rollout; `None` is a group that is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "plain input of the arithmetic, made in place by callers")]
pub struct Sets {
    /// The stable group, `None` also when the canary is the stable revision itself.
    pub stable: Option<Set>,
    /// The canary group.
    pub canary: Option<Set>,
    /// All groups of other revisions, added up.
    pub older: Option<Set>,
}

impl Sets {
    /// The sizes as they were asked for, 0 for a group that is absent.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let desired = |set: Option<Set>| set.map_or(0, |set| set.desired);
        Sizes { stable: desired(self.stable), canary: desired(self.canary) }
    }

    /// All that was asked for.
    fn total(&self) -> u64 {
        [self.stable, self.canary, self.older].into_iter().flatten().map(|set| u64::from(set.desired)).sum()
    }
}

/// Sizes of the two groups of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "two plain numbers")]
pub struct Sizes {
    /// Size of the stable group.
    pub stable: u32,
    /// Size of the canary group.
    pub canary: u32,
}

impl Sizes {
    /// These two sizes.
    #[must_use]
    pub const fn new(stable: u32, canary: u32) -> Self {
        Self { stable, canary }
    }
}

/// A result that always fits because an input bounds it; the bound keeps it total all the same.
fn narrow(n: impl TryInto<u32>) -> u32 {
    n.try_into().unwrap_or(u32::MAX)
}
