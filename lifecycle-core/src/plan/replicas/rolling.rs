//! A rolling replacement: one new group grows while the old ones shrink.
//!
//! Source: the Deployment controller of Kubernetes (`rolling.go`, `sync.go` and their utilities);
//! `tests/vectors/rolling-deployment.json` has its method.

mod proportional;

pub use proportional::{Rescale, Scaled, Told, proportional};

use super::{Set, narrow};
use crate::plan::{Amount, Limits};

/// Surge and unavailable in replicas, before they are capped to the desired number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "two plain numbers")]
pub struct Fenceposts {
    /// Replicas above the desired number.
    pub surge: u32,
    /// Replicas below the desired number, possibly more than that number.
    pub unavailable: u32,
}

/// Both limits out of `n`: a percentage of surge rounds up, of unavailable down, one that is not set
/// counts as 0, and when both come out as 0 one replica may be unavailable. [`Limits::resolve`] is
/// the same, capped: what a plan uses.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::Amount::Percent;
/// # use lifecycle_core::plan::replicas::rolling::{Fenceposts, fenceposts};
/// let posts = fenceposts(Some(Percent(39)), Some(Percent(39)), 10);
/// assert_eq!(posts, Fenceposts { surge: 4, unavailable: 3 });
/// ```
#[must_use]
pub fn fenceposts(surge: Option<Amount>, unavailable: Option<Amount>, n: u32) -> Fenceposts {
    let surge = surge.map_or(0, |amount| amount.rounded_up(n));
    let unavailable = unavailable.map_or(0, |amount| amount.rounded_down(n));
    Fenceposts { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } }
}

/// The size that the new group may take now, with `old` replicas asked for in all other groups: into
/// the room below `n + surge`, at most `n`. It comes down only when it is above `n`.
#[must_use]
pub fn new_set_size(n: u32, surge: u32, new: u32, old: u64) -> u32 {
    if new >= n {
        return n;
    }
    let room = (u64::from(n) + u64::from(surge)).saturating_sub(u64::from(new).saturating_add(old));
    narrow(u64::from(new) + room.min(u64::from(n - new)))
}

/// Sizes of the old groups (oldest first) after they were scaled down once. First replicas go that
/// are not available, as many as the limits and the new group's missing replicas leave; then, when
/// more are available than `n - unavailable`, that excess.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::Limits;
/// # use lifecycle_core::plan::Amount::Replicas;
/// # use lifecycle_core::plan::replicas::{Set, rolling::old_sets_sizes};
/// let limits = Limits::resolve(Replicas(3), Replicas(2), 10);
/// assert_eq!(old_sets_sizes(10, limits, Set::new(1, 1), &[Set::new(12, 8)]), [7]);
/// ```
#[must_use]
pub fn old_sets_sizes(n: u32, limits: Limits, new: Set, old: &[Set]) -> Vec<u32> {
    let mut sizes: Vec<u32> = old.iter().map(|set| set.desired).collect();
    let floor = i128::from(n.saturating_sub(limits.unavailable));
    let total = i128::from(new.desired) + old.iter().map(|set| i128::from(set.desired)).sum::<i128>();
    let missing = i128::from(new.desired) - i128::from(new.available);
    let mut removable = total - floor - missing;
    if removable <= 0 {
        return sizes;
    }
    for (size, set) in sizes.iter_mut().zip(old) {
        let unhealthy = set.desired.saturating_sub(set.available);
        removable -= i128::from(take(size, unhealthy, removable));
    }
    // what a group of size 0 still has is on its way out
    let serving = old.iter().filter(|set| set.desired > 0).map(|set| i128::from(set.available)).sum::<i128>();
    let available = i128::from(new.available) + serving;
    let mut excess = available - floor;
    for size in &mut sizes {
        let whole = *size;
        excess -= i128::from(take(size, whole, excess));
    }
    sizes
}

/// Takes what is wanted from a size, at most what is left; says how much that was.
fn take(size: &mut u32, wanted: u32, left: i128) -> u32 {
    let taken = wanted.min(narrow(left.max(0)));
    *size -= taken;
    taken
}

/// One reconcile: the new group grows, or else the old ones (oldest first) shrink. `None` when
/// nothing changes.
#[must_use]
pub fn reconcile(n: u32, limits: Limits, new: Set, old: &[Set]) -> Option<(u32, Vec<u32>)> {
    let before: Vec<u32> = old.iter().map(|set| set.desired).collect();
    let grown = new_set_size(n, limits.surge, new.desired, before.iter().map(|&size| u64::from(size)).sum());
    if grown != new.desired {
        return Some((grown, before));
    }
    let sizes = old_sets_sizes(n, limits, new, old);
    (sizes != before).then_some((grown, sizes))
}

/// What becomes of the new replicas in a [`Trajectory`]. Old ones are always available, and what is
/// removed is gone before the next reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NewReplicas {
    /// Available before the next reconcile.
    Instant,
    /// Never available.
    Never,
}

/// The sizes `(new, old)` after each reconcile of a whole replacement, starting with `(0, n)`; ends
/// when nothing changes any more, after at most `2 * n + 1` states.
///
/// # Example
/// ```
/// # use lifecycle_core::plan::{Amount, Limits};
/// # use lifecycle_core::plan::replicas::rolling::{NewReplicas, Trajectory};
/// let limits = Limits::resolve(Amount::Percent(100), Amount::Replicas(0), 5);
/// let states: Vec<_> = Trajectory::new(5, limits, NewReplicas::Instant).collect();
/// assert_eq!(states, [(0, 5), (5, 5), (5, 0)]);
/// ```
#[derive(Clone, Debug)]
pub struct Trajectory {
    n: u32,
    limits: Limits,
    replicas: NewReplicas,
    next: Option<(u32, u32)>,
}

impl Trajectory {
    /// The replacement of `n` replicas within these limits.
    #[must_use]
    pub const fn new(n: u32, limits: Limits, replicas: NewReplicas) -> Self {
        Self { n, limits, replicas, next: Some((0, n)) }
    }
}

impl Iterator for Trajectory {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let (new, old) = self.next?;
        let available = match self.replicas {
            NewReplicas::Instant => new,
            NewReplicas::Never => 0,
        };
        let step = reconcile(self.n, self.limits, Set::new(new, available), &[Set::new(old, old)]);
        self.next = step.map(|(new, old)| (new, old.first().copied().unwrap_or(0)));
        Some((new, old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_group_above_the_desired_number_comes_down_and_one_at_it_stays() {
        for (new, expected) in [(11, 10), (10, 10)] {
            assert_eq!(new_set_size(10, 2, new, 50), expected);
        }
    }

    #[test]
    fn what_the_new_group_lacks_is_not_taken_from_the_old_ones() {
        let limits = Limits::resolve(Amount::Replicas(3), Amount::Replicas(2), 10);
        // the new group never came up, and then one old replica failed too
        assert_eq!(old_sets_sizes(10, limits, Set::new(5, 0), &[Set::new(8, 7)]), [8]);
        assert_eq!(old_sets_sizes(10, limits, Set::new(5, 1), &[Set::new(8, 7)]), [7]);
    }

    #[test]
    fn what_an_emptied_old_group_still_has_is_not_counted_on() {
        let limits = Limits::resolve(Amount::Replicas(1), Amount::Replicas(0), 4);
        assert_eq!(old_sets_sizes(4, limits, Set::new(1, 0), &[Set::new(0, 3), Set::new(4, 4)]), [0, 4]);
        assert_eq!(old_sets_sizes(4, limits, Set::new(1, 1), &[Set::new(0, 3), Set::new(4, 4)]), [0, 3]);
    }

    #[test]
    fn a_pair_that_only_rounds_to_zero_lets_one_replica_be_unavailable() {
        let (surge, unavailable) = (Amount::Percent(0), Amount::Percent(25));
        assert_eq!(fenceposts(Some(surge), Some(unavailable), 3), Fenceposts { surge: 0, unavailable: 1 });
        assert_eq!(fenceposts(Some(surge), Some(unavailable), 0), Fenceposts { surge: 0, unavailable: 1 });
        let limits = Limits::resolve(surge, unavailable, 3);
        assert_eq!((limits.surge, limits.unavailable), (0, 1));
        assert_eq!(Limits::resolve(surge, unavailable, 0).unavailable, 0);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let max = u32::MAX;
        assert_eq!(new_set_size(max, max, 0, u64::MAX), 0);
        let limits = Limits::resolve(Amount::Replicas(max), Amount::Replicas(max), max);
        let gone = old_sets_sizes(max, limits, Set::new(max, 0), &[Set::new(max, 0), Set::new(max, max)]);
        assert_eq!(gone, [0, 0]);
    }
}
