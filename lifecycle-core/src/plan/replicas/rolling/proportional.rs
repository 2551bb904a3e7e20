//! What happens to a replacement on its way when the desired number changes.

use super::super::narrow;

/// Sizes of all groups after the desired number has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain output of the arithmetic")]
pub struct Scaled {
    /// The new group's, `None` when there is none.
    pub new: Option<u32>,
    /// The old groups', newest first.
    pub old: Vec<u32>,
}

/// What a replacement on its way becomes when the desired number changes from `size_before` to
/// `size_after`, and the surge with it; `old` newest first. Source: the Deployment controller of
/// Kubernetes; the rule is [`Rescale::sizes`].
///
/// # Example
/// ```
/// # use lifecycle_core::plan::replicas::proportional;
/// let scaled = proportional(5, 10, 0, 0, Some(2), &[3]);
/// assert_eq!((scaled.new, scaled.old), (Some(4), vec![6]));
/// ```
#[must_use]
pub fn proportional(
    size_before: u32,
    size_after: u32,
    surge_before: u32,
    surge_after: u32,
    new: Option<u32>,
    old: &[u32],
) -> Scaled {
    let old = old.iter().copied().map(Told::of).collect();
    Rescale { size_before, size_after, surge_before, surge_after, new: new.map(Told::of), old }.sizes()
}

/// A replacement on its way, and the desired number it shall follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain input of the arithmetic, made in place by callers")]
pub struct Rescale {
    /// The desired number that the groups were told last.
    pub size_before: u32,
    /// The desired number now.
    pub size_after: u32,
    /// Surge that went with `size_before`.
    pub surge_before: u32,
    /// Surge that goes with `size_after`.
    pub surge_after: u32,
    /// The new group, `None` when there is none yet.
    pub new: Option<Told>,
    /// The old groups, newest first.
    pub old: Vec<Told>,
}

/// One group of a replacement on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "plain input of the arithmetic, made in place by callers")]
pub struct Told {
    /// Its size.
    pub size: u32,
    /// The desired number that this group was told last, when it is not `size_before` (a write to it
    /// failed).
    pub seen: Option<u32>,
}

impl Told {
    /// A group of this size.
    #[must_use]
    pub const fn of(size: u32) -> Self {
        Self { size, seen: None }
    }
}

impl Rescale {
    /// Sizes of the new and the old groups (newest first) that keep their proportions under the changed
    /// number, so that a replacement that goes wrong while it is scaled does not lose its old replicas.
    ///
    /// A single group with replicas takes the whole new number; with none it goes to the new group (or
    /// the newest old one). Otherwise what is to be added or removed is shared out from the largest group
    /// to the smallest (equal ones: the newer grows first, the older shrinks first), each share rounded
    /// half away from zero, and the largest takes what is left over.
    #[must_use]
    pub fn sizes(&self) -> Scaled {
        // newest first: the new group is newer than every old one
        let mut groups: Vec<Told> = self.new.into_iter().chain(self.old.iter().copied()).collect();
        let active: Vec<usize> = (0..groups.len()).filter(|&at| groups[at].size > 0).collect();
        match active[..] {
            [] => {
                if let Some(newest) = groups.first_mut() {
                    newest.size = self.size_after;
                }
            }
            [only] => groups[only].size = self.size_after,
            _ => self.share_out(&mut groups, active),
        }
        let mut sizes = groups.into_iter().map(|group| group.size);
        let new = self.new.and_then(|_| sizes.next());
        Scaled { new, old: sizes.collect() }
    }

    fn share_out(&self, groups: &mut [Told], mut order: Vec<usize>) {
        let allowed = match self.size_after {
            0 => 0,
            after => i128::from(after) + i128::from(self.surge_after),
        };
        let total: i128 = order.iter().map(|&at| i128::from(groups[at].size)).sum();
        let add = allowed - total;
        if add == 0 {
            return;
        }
        // both sorts are stable over "newest first"
        if add < 0 {
            order.reverse();
        }
        order.sort_by_key(|&at| std::cmp::Reverse(groups[at].size));
        let mut left = add;
        for &at in &order {
            if left == 0 {
                break;
            }
            let share = self.share(groups[at], allowed, total);
            let share = if add > 0 { share.min(left) } else { share.max(left) };
            groups[at].size = narrow((i128::from(groups[at].size) + share).max(0));
            left -= share;
        }
        if let Some(&largest) = order.first() {
            groups[largest].size = narrow((i128::from(groups[largest].size) + left).max(0));
        }
    }

    /// By how much one group changes for its share: `round(size * allowed / told) - size`.
    fn share(&self, group: Told, allowed: i128, total: i128) -> i128 {
        let size = i128::from(group.size);
        if self.size_after == 0 {
            return -size;
        }
        let told = i128::from(group.seen.unwrap_or(self.size_before)) + i128::from(self.surge_before);
        // a group that was never told a number: what there is in all stands in for it
        let told = if told == 0 { total } else { told };
        (2 * size * allowed + told) / (2 * told) - size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_were_never_told_a_number_keep_their_proportions() {
        assert_eq!(proportional(0, 8, 0, 0, Some(1), &[3]), Scaled { new: Some(2), old: vec![6] });
    }

    #[test]
    fn once_everything_is_shared_out_the_smaller_groups_keep_their_size() {
        let told = |seen| Told { size: 1, seen: Some(seen) };
        let scale = Rescale {
            size_before: 5,
            size_after: 5,
            new: Some(Told::of(2)),
            old: vec![told(3), told(20)],
            ..Rescale::default()
        };
        assert_eq!(scale.sizes(), Scaled { new: Some(2), old: vec![2, 1] });
    }

    #[test]
    fn nothing_at_all_stays_nothing() {
        assert_eq!(proportional(0, 8, 0, 0, None, &[]), Scaled::default());
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let max = u32::MAX;
        let scaled = proportional(1, max, 0, max, Some(max), &[max, max]);
        assert_eq!(scaled.old.len(), 2);
    }
}
