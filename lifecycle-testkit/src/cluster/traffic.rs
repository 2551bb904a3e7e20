//! Requests: how many come, and where they go. Nothing here is drawn: whole requests are handed out
//! exactly, remainders are carried.

use lifecycle_core::backend::Route;
use lifecycle_core::report::Requests;

use super::profile::Rate;

const MICRO: u64 = 1_000_000;

/// What traffic needs to know of one group.
pub(super) struct Arm {
    /// Replicas that take requests.
    pub(super) ready: u32,
    pub(super) capacity: Option<Rate>,
}

/// One share of the requests.
#[derive(Clone, Copy, Debug)]
struct Flow {
    /// Index of the group; `None` is nobody.
    group: Option<usize>,
    /// Its share: this many of `Traffic::whole`.
    share: u64,
    /// The most it takes, in millionths of a request a millisecond; `None` is no limit.
    limit: Option<u64>,
    /// What it is owed, in millionths of a request.
    owed: i64,
    /// What it is given in this step.
    whole: u64,
}

/// Integrates requests over time between changes of the route and of readiness.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    rate: Rate,
    /// Up to here everything is handed out.
    pub(super) at: i64,
    /// Millionths of a request that came and are not handed out.
    carry: u64,
    flows: Vec<Flow>,
    /// Sum of the shares.
    whole: u64,
    /// Requests and refused ones; failed ones are counted elsewhere.
    pub(super) counted: Requests,
}

impl Traffic {
    pub(super) fn new(rate: Rate, at: i64) -> Self {
        let nobody = Flow { group: None, share: 1, limit: None, owed: 0, whole: 0 };
        Self { rate, at, carry: 0, flows: vec![nobody], whole: 1, counted: Requests::default() }
    }

    /// From here on requests are split this way. Without a route every ready replica gets an equal
    /// share, as with [`Route::Balanced`]. `find` gives the index of a revision's group.
    pub(super) fn reroute(
        &mut self,
        route: Option<&Route>,
        arms: &[Arm],
        find: impl Fn(u32) -> Option<usize>,
    ) {
        for flow in &mut self.flows {
            flow.share = 0;
        }
        self.whole = 0;
        // the share of nobody comes first, so that it is always there for what is over a limit
        self.add(None, 0, None);
        let limit = |i: usize| arms[i].capacity.map(|rate| rate.micro_per_ms() * u64::from(arms[i].ready));
        match route {
            Some(Route::Split { stable, canary, weight }) => {
                for (revision, percent) in [(stable, weight.rest().get()), (canary, weight.get())] {
                    let group =
                        revision.as_ref().and_then(|r| find(r.number.0)).filter(|&i| arms[i].ready > 0);
                    self.add(group, u64::from(percent), group.and_then(limit));
                }
            }
            _ => {
                for (i, arm) in arms.iter().enumerate().filter(|(_, arm)| arm.ready > 0) {
                    self.add(Some(i), u64::from(arm.ready), limit(i));
                }
            }
        }
        if self.whole == 0 {
            self.add(None, 1, None);
        }
        for flow in self.flows.iter_mut().filter(|flow| flow.share == 0) {
            flow.owed = 0;
        }
    }

    fn add(&mut self, group: Option<usize>, share: u64, limit: Option<u64>) {
        self.whole += share;
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.group == group) {
            flow.share += share;
            flow.limit = limit;
        } else {
            self.flows.push(Flow { group, share, limit, owed: 0, whole: 0 });
        }
    }

    /// Hands out every request that comes up to this time: `give(group, requests)`.
    pub(super) fn advance(&mut self, to: i64, mut give: impl FnMut(usize, u64)) {
        let ms = u64::try_from(to - self.at).unwrap_or(0);
        if ms == 0 {
            return;
        }
        self.at = to;
        let came = self.rate.micro_per_ms().saturating_mul(ms);
        let n = (came + self.carry) / MICRO;
        self.carry = (came + self.carry) % MICRO;
        let over = self.owe(came, ms);
        self.hand_out(n, over);
        self.counted.total += n;
        for flow in &mut self.flows {
            match (flow.group, std::mem::take(&mut flow.whole)) {
                (_, 0) => {}
                (Some(group), whole) => give(group, whole),
                (None, whole) => self.counted.refused += whole,
            }
        }
    }

    /// Adds to what each flow is owed. Is there anything over a limit?
    fn owe(&mut self, came: u64, ms: u64) -> bool {
        let mut over = 0;
        for flow in self.flows.iter_mut().filter(|flow| flow.share > 0) {
            let mut part = part_of(came, flow.share, self.whole);
            if let Some(limit) = flow.limit {
                let most = limit.saturating_mul(ms);
                over += part.saturating_sub(most);
                part = part.min(most);
            }
            flow.owed += part as i64;
        }
        self.flows[0].owed += over as i64;
        over > 0
    }

    /// Splits `n` whole requests by what the flows are owed; what is left over by rounding goes to
    /// whoever is owed most.
    fn hand_out(&mut self, n: u64, over: bool) {
        let takes = |flow: &Flow| flow.share > 0 || (over && flow.group.is_none());
        let mut left = n;
        for flow in self.flows.iter_mut().filter(|flow| takes(flow)) {
            flow.whole = (flow.owed.max(0) as u64 / MICRO).min(left);
            flow.owed -= (flow.whole * MICRO) as i64;
            left -= flow.whole;
        }
        while left > 0 {
            let Some(most) = self.flows.iter_mut().filter(|flow| takes(flow)).max_by_key(|flow| flow.owed)
            else {
                return;
            };
            // one at a time, unless there is only one flow that can take them
            let some = if most.owed > MICRO as i64 { (most.owed as u64 / MICRO).min(left) } else { 1 };
            most.whole += some;
            most.owed -= (some * MICRO) as i64;
            left -= some;
        }
    }
}

/// `total * share / whole`, rounded down.
fn part_of(total: u64, share: u64, whole: u64) -> u64 {
    match total.checked_mul(share) {
        Some(product) => product / whole,
        // as total is below 2^64 and share is at most whole, so is the result
        None => (u128::from(total) * u128::from(share) / u128::from(whole)) as u64,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::plan::Weight;
    use lifecycle_core::version::{Revision, RevisionNumber, Version};

    use super::*;

    fn arm(ready: u32) -> Arm {
        Arm { ready, capacity: None }
    }

    fn split(weight: u32) -> Route {
        let revision = |n| Some(Revision::new(RevisionNumber(n), "x", Version::new(1, n.into(), 0)));
        Route::Split { stable: revision(1), canary: revision(2), weight: Weight::new(weight).unwrap() }
    }

    /// Group 0 is revision 1, group 1 is revision 2.
    fn find(number: u32) -> Option<usize> {
        Some(number as usize - 1)
    }

    fn run(traffic: &mut Traffic, to: i64, steps: i64) -> [u64; 2] {
        let mut served = [0; 2];
        let from = traffic.at;
        for i in 1..=steps {
            traffic.advance(from + (to - from) * i / steps, |group, n| served[group] += n);
        }
        served
    }

    #[test]
    fn every_request_is_counted_once_however_time_is_cut() {
        for steps in [1, 7, 100, 9973] {
            for (weight, ready) in [(10, [10, 1]), (33, [10, 4]), (50, [3, 0]), (0, [0, 0])] {
                let mut traffic = Traffic::new(Rate::from_f64(333.3).unwrap(), 0);
                traffic.reroute(Some(&split(weight)), &ready.map(arm), find);
                let served = run(&mut traffic, 100_000, steps);
                assert_eq!(traffic.counted.total, 33_330, "{steps} steps");
                assert_eq!(served[0] + served[1] + traffic.counted.refused, 33_330, "{steps} steps");
            }
        }
    }

    #[test]
    fn a_weight_is_kept_to_within_one_request() {
        for steps in [1, 13, 1000, 99_991] {
            let mut traffic = Traffic::new(Rate::per_second(500), 0);
            traffic.reroute(Some(&split(10)), &[arm(10), arm(1)], find);
            let served = run(&mut traffic, 100_000, steps);
            assert!(served[1].abs_diff(5000) <= 1, "{steps} steps: {served:?}");
        }
    }

    #[test]
    fn a_revision_without_weight_gets_not_one_request() {
        let mut traffic = Traffic::new(Rate::from_f64(0.7).unwrap(), 0);
        traffic.reroute(Some(&split(50)), &[arm(10), arm(1)], find);
        run(&mut traffic, 1900, 3);
        traffic.reroute(Some(&split(0)), &[arm(10), arm(1)], find);
        assert_eq!(run(&mut traffic, 100_000, 50)[1], 0);
    }

    #[test]
    fn without_a_split_every_ready_replica_gets_an_equal_share() {
        let mut traffic = Traffic::new(Rate::per_second(100), 0);
        traffic.reroute(Some(&Route::Balanced), &[arm(3), arm(1)], find);
        assert_eq!(run(&mut traffic, 10_000, 10), [750, 250]);
        traffic.reroute(None, &[arm(0), arm(2)], find);
        assert_eq!(run(&mut traffic, 20_000, 10), [0, 1000]);
    }

    #[test]
    fn requests_that_nobody_can_take_are_refused() {
        let mut traffic = Traffic::new(Rate::per_second(100), 0);
        traffic.reroute(Some(&split(20)), &[arm(3), arm(0)], find);
        assert_eq!(run(&mut traffic, 10_000, 10), [800, 0]);
        assert_eq!(traffic.counted.refused, 200);
        traffic.reroute(None, &[arm(0), arm(0)], find);
        assert_eq!(run(&mut traffic, 20_000, 10), [0, 0]);
        assert_eq!(traffic.counted.refused, 1200);
    }

    #[test]
    fn requests_over_the_capacity_of_the_ready_replicas_are_refused() {
        let limited = |ready| Arm { ready, capacity: Some(Rate::per_second(30)) };
        let mut traffic = Traffic::new(Rate::per_second(100), 0);
        traffic.reroute(Some(&split(50)), &[limited(2), limited(1)], find);
        assert_eq!(run(&mut traffic, 10_000, 7), [500, 300]);
        assert_eq!(traffic.counted.refused, 200);
        traffic.reroute(Some(&split(50)), &[limited(1), limited(2)], find);
        assert_eq!(run(&mut traffic, 20_000, 7), [300, 500]);
        assert_eq!(traffic.counted.refused, 400);
    }

    #[test]
    fn a_week_of_a_million_requests_a_second_does_not_overflow() {
        let mut traffic = Traffic::new(Rate::MAX, 0);
        traffic.reroute(None, &[arm(10_000), arm(1)], find);
        let served = run(&mut traffic, 604_800_000, 1);
        assert_eq!(served[0] + served[1], 604_800_000_000);
    }
}
