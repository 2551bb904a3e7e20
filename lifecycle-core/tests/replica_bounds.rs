//! Properties of the replica arithmetic for random inputs: a second check, independent of the tables.

use lifecycle_core::plan::replicas::rolling::{NewReplicas, Trajectory, reconcile};
use lifecycle_core::plan::replicas::{
    Ratio, Set, Sets, Sizes, abort_weight, grow, older_size, pod_ratio, proportional, shrink, split,
};
use lifecycle_core::plan::{Amount, Limits};
use proptest::prelude::*;

/// Limits that a plan can have, resolved for `n`.
fn limits(n: u32) -> impl Strategy<Value = Limits> {
    let amount = prop_oneof![(0..6u32).prop_map(Amount::Replicas), (0..=100u32).prop_map(Amount::Percent)];
    (amount.clone(), amount)
        .prop_filter("both written as zero", |(surge, unavailable)| {
            !surge.is_zero() || !unavailable.is_zero()
        })
        .prop_map(move |(surge, unavailable)| Limits::resolve(surge, unavailable, n))
}

/// A group in any state, also one that still has more than it was asked for.
fn group(most: u32) -> impl Strategy<Value = Set> {
    (0..=most, 0..=most).prop_map(|(desired, available)| Set { desired, available })
}

/// A group that has at most what it was asked for.
fn settled_group(most: u32) -> impl Strategy<Value = Set> {
    group(most).prop_map(|set| Set { available: set.kept(), ..set })
}

fn sets(most: u32) -> impl Strategy<Value = Sets> {
    let maybe = |weight| proptest::option::weighted(weight, group(most));
    (maybe(0.9), maybe(0.95), maybe(0.3)).prop_map(|(stable, canary, older)| Sets { stable, canary, older })
}

#[derive(Clone, Copy, Debug)]
struct Situation {
    n: u32,
    limits: Limits,
    target: Sizes,
    sets: Sets,
}

impl Situation {
    fn floor(&self) -> u32 {
        self.n - self.limits.unavailable
    }

    fn ceiling(&self) -> u32 {
        self.n + self.limits.surge
    }
}

fn situation() -> impl Strategy<Value = Situation> {
    (1..24u32).prop_flat_map(|n| (Just(n), 0..=100u32, limits(n), sets(n + 6))).prop_map(
        |(n, weight, limits, sets)| Situation {
            n,
            limits,
            target: split(n, weight, 100, limits.surge),
            sets,
        },
    )
}

fn older_desired(sets: &Sets) -> u32 {
    sets.older.map_or(0, |set| set.desired)
}

fn total(sets: &Sets, sizes: Sizes) -> u32 {
    sizes.stable + sizes.canary + older_desired(sets)
}

/// What serves for certain once the groups have these sizes: unready replicas stop first, new ones are
/// not ready yet.
fn available(sets: &Sets, sizes: Sizes, older: u32) -> u32 {
    let left = |set: Option<Set>, size: u32| set.map_or(0, |set| set.kept().min(size));
    left(sets.stable, sizes.stable) + left(sets.canary, sizes.canary) + left(sets.older, older)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_split_has_n_replicas_or_one_more_with_a_surge(n in 0..400u32, max in 1..2000u32, part in 0..=1000u32, surge in 0..3u32) {
        let weight = u32::try_from(u64::from(part) * u64::from(max) / 1000).unwrap();
        let sizes = split(n, weight, max, surge);
        let sum = sizes.stable + sizes.canary;
        prop_assert!(sum == n || (surge > 0 && sum == n + 1), "{sizes:?}");
        if weight == 0 {
            prop_assert_eq!(sizes, Sizes::new(n, 0));
        } else if weight == max {
            prop_assert_eq!(sizes, Sizes::new(0, n));
        } else if n > 1 && surge == 0 && 2 * (n - 1) * max + max == 2 * n * weight {
            // half a replica below all of them
            prop_assert_eq!(sizes, Sizes::new(n, 0));
        } else if n > 1 || (n == 1 && surge > 0) {
            prop_assert!(sizes.stable >= 1 && sizes.canary >= 1, "{sizes:?}");
        }
    }

    #[test]
    fn a_split_is_within_half_a_replica_of_the_weight(n in 2..400u32, max in 1..2000u32, part in 0..=1000u32, surge in 0..3u32) {
        let weight = u32::try_from(u64::from(part) * u64::from(max) / 1000).unwrap();
        let wanted = f64::from(weight) / f64::from(max);
        if !(1.0..=f64::from(n - 1)).contains(&(wanted * f64::from(n))) {
            // the rule "at least one of each" bends it
            return Ok(());
        }
        let sizes = split(n, weight, max, surge);
        let share = f64::from(sizes.canary) / f64::from(sizes.stable + sizes.canary);
        prop_assert!((share - wanted).abs() <= 0.5 / f64::from(n) + 1e-12, "{sizes:?}");
    }

    #[test]
    fn growing_stays_below_the_ceiling_and_the_target(at in situation()) {
        let before = at.sets.sizes();
        let grown = grow(at.n, at.limits.surge, at.target, at.sets);
        prop_assert!(grown.stable >= before.stable && grown.canary >= before.canary);
        let target = if at.sets.stable.is_none() { Sizes::new(0, at.n) } else { at.target };
        prop_assert!(grown.stable <= before.stable.max(target.stable), "{grown:?}");
        prop_assert!(grown.canary <= before.canary.max(target.canary), "{grown:?}");
        prop_assert!(total(&at.sets, grown) <= total(&at.sets, before).max(at.ceiling()), "{grown:?}");
    }

    #[test]
    fn growing_uses_all_the_room_there_is(at in situation()) {
        let grown = grow(at.n, at.limits.surge, at.target, at.sets);
        let target = if at.sets.stable.is_none() { Sizes::new(0, at.n) } else { at.target };
        let wants_more = (at.sets.stable.is_some() && grown.stable < target.stable)
            || (at.sets.canary.is_some() && grown.canary < target.canary);
        prop_assert!(!wants_more || total(&at.sets, grown) >= at.ceiling(), "{grown:?}");
    }

    #[test]
    fn shrinking_never_takes_availability_below_the_floor(at in situation()) {
        let before = at.sets.sizes();
        let shrunk = shrink(at.n, at.limits, at.target, at.sets);
        prop_assert!(shrunk.stable <= before.stable && shrunk.canary <= before.canary, "{shrunk:?}");
        let older = older_desired(&at.sets);
        let (had, has) = (available(&at.sets, before, older), available(&at.sets, shrunk, older));
        prop_assert!(has >= had.min(at.floor()), "{shrunk:?} leaves {has} of {had}");
    }

    #[test]
    fn what_shrinks_at_all_ends_below_the_ceiling(mut at in situation()) {
        at.sets.older = None;
        let shrunk = shrink(at.n, at.limits, at.target, at.sets);
        prop_assert!(shrunk == at.sets.sizes() || total(&at.sets, shrunk) <= at.ceiling(), "{shrunk:?}");
    }

    #[test]
    fn nothing_shrinks_while_an_older_group_is_asked_for(mut at in situation(), older in group(20)) {
        at.sets.older = Some(Set { desired: older.desired + 1, ..older });
        prop_assert_eq!(shrink(at.n, at.limits, at.target, at.sets), at.sets.sizes());
    }

    #[test]
    fn an_older_group_shrinks_to_the_floor_and_no_further(at in situation()) {
        let size = older_size(at.n, at.limits, at.sets);
        prop_assert!(size <= older_desired(&at.sets));
        let before = at.sets.sizes();
        let had = available(&at.sets, before, older_desired(&at.sets));
        let has = available(&at.sets, before, size);
        prop_assert!(has >= had.min(at.floor()), "{size} leaves {has} of {had}");
        // as many as may go do go
        prop_assert!(size == 0 || has <= at.floor(), "{size} leaves {has} of {had}");
    }

    #[test]
    fn one_reconcile_keeps_both_bounds(at in situation()) {
        let before = at.sets.sizes();
        let next = pod_ratio(at.n, at.limits, at.target, at.sets);
        prop_assert!(total(&at.sets, next) <= total(&at.sets, before).max(at.ceiling()), "{next:?}");
        let older = older_desired(&at.sets);
        let (had, has) = (available(&at.sets, before, older), available(&at.sets, next, older));
        prop_assert!(has >= had.min(at.floor()), "{next:?} leaves {has} of {had}");
    }

    #[test]
    fn the_reconcile_loop_reaches_the_target_from_anywhere(at in situation(), late in proptest::collection::vec(any::<bool>(), 40)) {
        let Situation { n, limits, mut target, mut sets } = at;
        if sets.stable.is_none() {
            target = Sizes::new(0, n);
        }
        // a canary that is absent is not created here
        sets.canary = sets.canary.or(Some(Set::default()));
        // replicas come up in one round or in two, which `late` decides
        for round in 0..400 {
            let next = pod_ratio(n, limits, target, sets);
            let older = older_size(n, limits, sets);
            let is_late = late[round % late.len()];
            let settle = |set: Option<Set>, size: u32| set.map(|set| {
                let up = if is_late { set.kept().min(size) } else { size };
                Set { desired: size, available: up }
            });
            let after = Sets {
                stable: settle(sets.stable, next.stable),
                canary: settle(sets.canary, next.canary),
                older: settle(sets.older, older),
            };
            if after == sets && !is_late {
                break;
            }
            sets = after;
        }
        prop_assert_eq!(sets.sizes(), target);
        prop_assert_eq!(older_desired(&sets), 0);
    }

    #[test]
    fn the_way_back_is_complete_though_the_canary_never_serves(at in situation()) {
        let Situation { n, limits, mut sets, .. } = at;
        let back = Sizes::new(n, 0);
        sets = Sets { stable: sets.stable.or(Some(Set::default())), older: None, ..sets };
        sets.canary = sets.canary.or(Some(Set::default()));
        for _ in 0..4 * (n + 10) {
            let next = pod_ratio(n, limits, back, sets);
            sets.stable = Some(Set::new(next.stable, next.stable));
            sets.canary = Some(Set::new(next.canary, 0));
        }
        prop_assert_eq!(sets.sizes(), back);
    }

    #[test]
    fn a_replacement_stays_within_its_limits((n, limits) in (0..60u32).prop_flat_map(|n| (Just(n), limits(n)))) {
        for replicas in [NewReplicas::Instant, NewReplicas::Never] {
            let states: Vec<(u32, u32)> = Trajectory::new(n, limits, replicas).collect();
            prop_assert!(states.len() <= 2 * usize::try_from(n).unwrap() + 1, "{states:?}");
            for &(new, old) in &states {
                prop_assert!(new <= n && new + old <= n + limits.surge, "{states:?}");
                let serving = if replicas == NewReplicas::Instant { new + old } else { old };
                prop_assert!(serving >= n - limits.unavailable, "{states:?}");
            }
            let last = states.last().copied();
            match replicas {
                NewReplicas::Instant => prop_assert_eq!(last, Some((n, 0))),
                _ => prop_assert_eq!(last.map(|(_, old)| old), Some(n - limits.unavailable)),
            }
        }
    }

    #[test]
    fn one_reconcile_of_a_replacement_keeps_both_bounds(
        (n, limits, new, old) in (0..24u32).prop_flat_map(|n| {
            (Just(n), limits(n), settled_group(n + 4), proptest::collection::vec(settled_group(n + 4), 0..4))
        })
    ) {
        let Some((size, sizes)) = reconcile(n, limits, new, &old) else { return Ok(()) };
        let before = new.desired + old.iter().map(|set| set.desired).sum::<u32>();
        let after = size + sizes.iter().sum::<u32>();
        prop_assert!(after <= before.max(n + limits.surge), "{size} {sizes:?}");
        let had = new.available + old.iter().map(|set| set.available).sum::<u32>();
        let kept = old.iter().zip(&sizes).map(|(set, &size)| set.available.min(size)).sum::<u32>();
        // a new group above `n` comes down to `n`, which is no less than the floor
        let has = new.available.min(size) + kept;
        prop_assert!(has >= had.min(n - limits.unavailable), "{size} {sizes:?} leave {has} of {had}");
    }

    #[test]
    fn two_groups_that_are_scaled_add_up_to_what_is_allowed(
        (new, old, surge) in (1..50u32, 1..50u32, 0..9u32), after in 0..120u32, surge_after in 0..9u32
    ) {
        let before = new + old;
        let scaled = proportional(before.saturating_sub(surge), after, surge.min(before), surge_after, Some(new), &[old]);
        let (new_after, old_after) = (scaled.new.unwrap(), scaled.old[0]);
        let allowed = if after == 0 { 0 } else { after + surge_after };
        prop_assert_eq!(new_after + old_after, allowed);
        // in proportion: neither group is off by a whole replica
        let exact = f64::from(new) * f64::from(allowed) / f64::from(before);
        prop_assert!((f64::from(new_after) - exact).abs() <= 1.0, "{new_after} is not {exact}");
    }

    #[test]
    fn the_weight_of_a_way_back_is_the_last_step_below_what_stable_lacks(
        n in 1..60u32, steps in proptest::collection::vec(0..=100u32, 0..5), stable in group(60), canary in group(60)
    ) {
        let steps: Vec<Ratio> = steps.into_iter().map(|weight| Ratio::new(weight, 100)).collect();
        let lacks = n.saturating_sub(stable.available);
        for (kept, need) in [(true, lacks), (false, lacks.max(canary.available))] {
            let weight = abort_weight(n, &steps, Some(stable), Some(canary), kept);
            let later = match weight {
                Some(weight) => {
                    prop_assert!(weight.ceil(n) < need);
                    let last = steps.iter().rposition(|step| *step == weight).unwrap();
                    &steps[last + 1..]
                }
                None => &steps[..],
            };
            prop_assert!(later.iter().all(|step| step.ceil(n) >= need), "{weight:?} of {steps:?}");
        }
    }
}
