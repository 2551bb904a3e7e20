//! Sizes that follow a weight which a router carries.
//!
//! Source: the traffic-routed canary of Argo Rollouts (`CalculateReplicaCountsForTrafficRoutedCanary`
//! and `GetDesiredCanaryWeight`).

use super::{Ratio, Set, Sizes};
use crate::plan::Amount;

/// A size of the canary that does not follow the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CanaryScale {
    /// This many replicas, whatever the weight is.
    Replicas(u32),
    /// This percentage of `n`, rounded up; may be above 100.
    Percent(u32),
}

/// What bears on the canary's size beside its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "plain input of the arithmetic, made in place by callers")]
pub struct Scaling {
    /// Replaces the weight, `None` to follow it.
    pub canary_scale: Option<CanaryScale>,
    /// A group that has replicas at all has at least this many (but never more than `n` for this
    /// reason); 0 for no such rule. An explicit replica count is taken as it is.
    pub min_per_set: u32,
    /// Every gate was waived, or the canary already is the stable revision: all traffic, whatever
    /// the step says.
    pub all_traffic: bool,
    /// The rollout goes back: the weight is 0.
    pub aborted: bool,
    /// On the way back the canary keeps an explicit scale for ever (an abort delay of 0).
    pub keep_scale: bool,
}

impl Scaling {
    fn at_least(&self, n: u32, count: u32) -> u32 {
        if count == 0 { 0 } else { count.max(self.min_per_set.min(n)) }
    }

    fn canary(&self, n: u32, weight: Ratio) -> u32 {
        if self.all_traffic {
            return self.at_least(n, n);
        }
        match self.canary_scale.filter(|_| !self.aborted || self.keep_scale) {
            Some(CanaryScale::Replicas(replicas)) => replicas,
            Some(CanaryScale::Percent(percent)) => self.at_least(n, Amount::Percent(percent).rounded_up(n)),
            None if self.aborted => 0,
            None => self.at_least(n, weight.ceil(n)),
        }
    }
}

/// Sizes while stable stays whole: the canary carries its weight, or has the size it was given.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::replicas::{Ratio, Scaling, Sizes, routed};
/// assert_eq!(routed(10, Ratio::new(25, 100), Scaling::default()), Sizes::new(10, 3));
/// ```
#[must_use]
pub fn routed(n: u32, weight: Ratio, scaling: Scaling) -> Sizes {
    Sizes { stable: n, canary: scaling.canary(n, weight) }
}

/// The weights of the last route that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "two plain numbers")]
pub struct Recorded {
    /// The canary's.
    pub canary: Ratio,
    /// Stable's.
    pub stable: Ratio,
}

/// Sizes while stable shrinks as the weight grows. Each group can carry the larger of the wanted and
/// the recorded weight: stable always, the canary on the way back (`aborted`), so that no group gives
/// up replicas before the traffic has left it. `min_per_set` as in [`Scaling`].
///
/// # Example
/// ```
/// # use lifecycle_core::plan::replicas::{Ratio, Recorded, Sizes, routed_dynamic};
/// let percent = |w| Ratio::new(w, 100);
/// let recorded = Some(Recorded { canary: percent(10), stable: percent(90) });
/// assert_eq!(routed_dynamic(10, percent(50), recorded, false, 0), Sizes::new(9, 5));
/// ```
#[must_use]
pub fn routed_dynamic(
    n: u32,
    wanted: Ratio,
    recorded: Option<Recorded>,
    aborted: bool,
    min_per_set: u32,
) -> Sizes {
    let at_least = |count| Scaling { min_per_set, ..Scaling::default() }.at_least(n, count);
    let (mut canary, mut stable) = (wanted.ceil(n), wanted.rest().ceil(n));
    if let Some(recorded) = recorded {
        stable = stable.max(recorded.stable.ceil(n));
        if aborted {
            canary = canary.max(recorded.canary.ceil(n));
        }
    }
    Sizes { stable: at_least(stable), canary: at_least(canary) }
}

/// The weight to fall back to while the rollout goes back with a stable group that has shrunk: the
/// last of the steps whose canary is smaller than what stable cannot carry yet. `None` is a weight of
/// 0: there is no such step, or one of the groups is absent.
///
/// Unless the canary is kept for a given time (`canary_is_kept`: an abort delay above 0), the
/// canary's own size holds the weight up too, so that it goes down step by step with the weight.
#[must_use]
pub fn abort_weight(
    n: u32,
    steps: &[Ratio],
    stable: Option<Set>,
    canary: Option<Set>,
    canary_is_kept: bool,
) -> Option<Ratio> {
    let (stable, canary) = (stable?, canary?);
    let missing = n.saturating_sub(stable.available);
    let need = if canary_is_kept { missing } else { missing.max(canary.available) };
    steps.iter().rev().find(|step| step.ceil(n) < need).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(weight: u32) -> Ratio {
        Ratio::new(weight, 100)
    }

    fn canary(n: u32, weight: u32, scaling: Scaling) -> u32 {
        routed(n, percent(weight), scaling).canary
    }

    #[test]
    fn a_minimum_is_for_a_group_that_is_there_and_never_above_all_replicas() {
        let scaling = Scaling { min_per_set: 3, ..Scaling::default() };
        for (n, weight, expected) in [(10, 5, 3), (10, 50, 5), (10, 0, 0), (2, 5, 2), (1, 100, 1)] {
            assert_eq!(canary(n, weight, scaling), expected, "{weight}% of {n}");
        }
        let explicit = Scaling { canary_scale: Some(CanaryScale::Replicas(1)), ..scaling };
        assert_eq!(canary(10, 50, explicit), 1);
        assert_eq!(routed_dynamic(10, percent(95), None, false, 3), Sizes::new(3, 10));
    }

    #[test]
    fn a_scale_of_the_canary_replaces_the_weight_and_may_be_above_all_replicas() {
        let scaled = |canary_scale| Scaling { canary_scale: Some(canary_scale), ..Scaling::default() };
        assert_eq!(canary(4, 100, scaled(CanaryScale::Percent(200))), 8);
        assert_eq!(canary(10, 50, scaled(CanaryScale::Percent(25))), 3);
        assert_eq!(canary(1, 100, scaled(CanaryScale::Replicas(9))), 9);
    }

    #[test]
    fn on_the_way_back_a_scale_is_kept_only_when_that_was_asked_for() {
        let aborted =
            Scaling { canary_scale: Some(CanaryScale::Replicas(4)), aborted: true, ..Scaling::default() };
        assert_eq!(canary(10, 50, aborted), 0);
        assert_eq!(canary(10, 50, Scaling { keep_scale: true, ..aborted }), 4);
        assert_eq!(canary(10, 50, Scaling { all_traffic: true, ..aborted }), 10);
    }

    #[test]
    fn no_group_gives_up_replicas_before_the_traffic_has_left_it() {
        let recorded = |canary, stable| Some(Recorded { canary: percent(canary), stable: percent(stable) });
        assert_eq!(routed_dynamic(10, percent(50), recorded(10, 90), false, 0), Sizes::new(9, 5));
        assert_eq!(routed_dynamic(10, percent(0), recorded(60, 40), true, 0), Sizes::new(10, 6));
        assert_eq!(routed_dynamic(10, percent(0), recorded(60, 40), false, 0), Sizes::new(10, 0));
    }

    #[test]
    fn without_both_groups_the_weight_of_a_way_back_is_zero() {
        let (steps, set) = ([percent(10), percent(50)], Some(Set::new(5, 5)));
        assert_eq!(abort_weight(10, &steps, set, set, true), Some(percent(10)));
        assert_eq!(abort_weight(10, &steps, None, set, true), None);
        assert_eq!(abort_weight(10, &steps, set, None, true), None);
    }
}
