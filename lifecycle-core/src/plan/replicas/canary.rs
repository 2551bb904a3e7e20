//! One reconcile of a canary whose share of replicas is its share of traffic.
//!
//! Source: the pod-ratio canary of Argo Rollouts (`tests/vectors/replicas-canary.json` has its
//! method). [`grow`] and [`shrink`] read the same counts and can be asked apart, with the highest
//! counts that may come true for growing and the lowest for shrinking.

use super::{Set, Sets, Sizes, narrow};
use crate::plan::Limits;

/// The target that counts: without a distinct stable group everything becomes canary.
fn effective_target(n: u32, target: Sizes, sets: &Sets) -> Sizes {
    if sets.stable.is_none() { Sizes { stable: 0, canary: n } } else { target }
}

/// What both groups may grow to: the room below `n + surge` goes to stable first, up to its target,
/// then to the canary. Sizes that are above their target stay, an absent group stays at 0.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::replicas::{Set, Sets, Sizes, grow};
/// let sets = Sets { stable: Some(Set::new(10, 10)), canary: Some(Set::new(0, 0)), older: None };
/// assert_eq!(grow(10, 2, Sizes::new(7, 3), sets), Sizes::new(10, 2));
/// ```
#[must_use]
pub fn grow(n: u32, surge: u32, target: Sizes, sets: Sets) -> Sizes {
    let target = effective_target(n, target, &sets);
    let mut room = (u64::from(n) + u64::from(surge)).saturating_sub(sets.total());
    let mut grown = |set: Option<Set>, target: u32| {
        let Some(Set { desired, .. }) = set else { return 0 };
        let more = room.min(u64::from(target.saturating_sub(desired)));
        room -= more;
        // at most `target`
        narrow(u64::from(desired) + more)
    };
    let stable = grown(sets.stable, target.stable);
    let canary = grown(sets.canary, target.canary);
    Sizes { stable, canary }
}

/// What both groups may shrink to, given that unready replicas stop first. Nothing shrinks while an
/// older group is asked for ([`older_size`] says how that one goes).
///
/// While the weight rises (the canary is at or below its target) stable is the one that shrinks, else
/// the canary: by what is available above `n - unavailable`, counting that group by its desired size,
/// so that replicas of it that never got ready can go too. What is above `n + surge` then is given
/// back by the other group as far as availability allows, and the remainder by the shrinking one.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::Limits;
/// # use lifecycle_core::plan::Amount::Replicas;
/// # use lifecycle_core::plan::replicas::{Set, Sets, Sizes, shrink};
/// let sets = Sets { stable: Some(Set::new(10, 10)), canary: Some(Set::new(2, 2)), older: None };
/// let limits = Limits::resolve(Replicas(2), Replicas(0), 10);
/// assert_eq!(shrink(10, limits, Sizes::new(8, 2), sets), Sizes::new(8, 2));
/// ```
#[must_use]
pub fn shrink(n: u32, limits: Limits, target: Sizes, sets: Sets) -> Sizes {
    let as_is = sets.sizes();
    if sets.older.is_some_and(|older| older.desired > 0) {
        return as_is;
    }
    let target = effective_target(n, target, &sets);
    let bounds = Bounds {
        floor: u64::from(n.saturating_sub(limits.unavailable)),
        ceiling: u64::from(n) + u64::from(limits.surge),
    };
    let rising = target.canary >= as_is.canary;
    match (rising, sets.stable, sets.canary) {
        (true, Some(stable), canary) => {
            let (stable, canary) = bounds.shrink(stable, target.stable, canary);
            Sizes { stable, canary }
        }
        (false, stable, Some(canary)) => {
            let (canary, stable) = bounds.shrink(canary, target.canary, stable);
            Sizes { stable, canary }
        }
        (true, None, _) | (false, _, None) => as_is,
    }
}

/// One reconcile: what is written next for both groups. Each takes its grown size where it may grow,
/// else its shrunk one (when a group may grow there is room, and then nothing has to be given back).
///
/// # Example
/// ```
/// # use lifecycle_core::plan::Limits;
/// # use lifecycle_core::plan::Amount::Replicas;
/// # use lifecycle_core::plan::replicas::{Set, Sets, Sizes, pod_ratio, split};
/// let limits = Limits::resolve(Replicas(0), Replicas(2), 3);
/// let target = split(3, 99, 100, limits.surge);
/// let sets = Sets { stable: Some(Set::new(3, 3)), canary: Some(Set::new(0, 0)), older: None };
/// assert_eq!(pod_ratio(3, limits, target, sets), Sizes::new(1, 0));
/// ```
#[must_use]
pub fn pod_ratio(n: u32, limits: Limits, target: Sizes, sets: Sets) -> Sizes {
    let (before, grown) = (sets.sizes(), grow(n, limits.surge, target, sets));
    let shrunk = shrink(n, limits, target, sets);
    let next = |before: u32, grown: u32, shrunk: u32| if grown > before { grown } else { shrunk };
    Sizes {
        stable: next(before.stable, grown.stable, shrunk.stable),
        canary: next(before.canary, grown.canary, shrunk.canary),
    }
}

/// What the older groups, added up, may shrink to: every replica of theirs that is not available may
/// go, and as many available ones as there are above `n - unavailable`.
///
/// Source: property L8 (unready old replicas can always be removed) and the scale-down of older sets
/// in Argo Rollouts.
#[must_use]
pub fn older_size(n: u32, limits: Limits, sets: Sets) -> u32 {
    let kept = |set: Option<Set>| set.map_or(0, Set::kept);
    let available =
        [sets.stable, sets.canary, sets.older].into_iter().map(|set| u64::from(kept(set))).sum::<u64>();
    let spare = available.saturating_sub(u64::from(n.saturating_sub(limits.unavailable)));
    kept(sets.older).saturating_sub(narrow(spare))
}

/// Available replicas stay at or above `floor`, asked-for ones come down to `ceiling`.
#[derive(Clone, Copy)]
struct Bounds {
    floor: u64,
    ceiling: u64,
}

impl Bounds {
    /// Sizes of the group that shrinks towards its target and of the other one.
    fn shrink(self, moving: Set, target: u32, other: Option<Set>) -> (u32, u32) {
        let resting = other.unwrap_or_default();
        let counted = u64::from(moving.desired) + u64::from(resting.kept());
        let spare = counted.saturating_sub(self.floor);
        if spare == 0 {
            return (moving.desired, resting.desired);
        }
        let moved = if moving.desired > target {
            target.max(moving.desired.saturating_sub(narrow(spare)))
        } else {
            moving.desired
        };
        if other.is_none() {
            return (moved, 0);
        }
        let rested = resting.desired - narrow(self.above(moved, resting.desired)).min(resting.desired);
        let lost = resting.kept() - resting.kept().min(rested);
        let available = u64::from(moving.available.min(moved)) + u64::from(resting.available.min(rested));
        let missing = narrow(self.floor.saturating_sub(available));
        let rested = rested + lost.min(missing);
        let moved = moved.saturating_sub(narrow(self.above(moved, rested)));
        (moved, rested)
    }

    fn above(self, one: u32, two: u32) -> u64 {
        (u64::from(one) + u64::from(two)).saturating_sub(self.ceiling)
    }
}
