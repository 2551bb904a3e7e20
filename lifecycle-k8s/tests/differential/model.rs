//! The simulated cluster, and what is compared.

use std::collections::BTreeMap;

use lifecycle_core::backend::{
    BackendResult, ErrorKind, GroupStatus, RouteStatus, Splitting, TrafficRouter as _, Workload as _,
};
use lifecycle_core::time::Millis;
use lifecycle_testkit::cluster::{Cluster, ClusterConfig, Profile, Readiness, at_once};

use crate::operation::Operation;
use crate::world::{NEVER, revision};

/// Longer than everything takes there.
const SETTLED: Millis = Millis::from_secs(120);

/// What a cluster shows, as far as both can show the same: how often a replica has failed is a matter of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// By number: the group, and whether a replica of it fails its readiness.
    pub(crate) groups: BTreeMap<u32, (GroupStatus, bool)>,
    pub(crate) route: Option<RouteStatus>,
}

impl Seen {
    pub(crate) fn of(groups: Vec<GroupStatus>, route: Option<RouteStatus>) -> Self {
        let groups = groups.into_iter().map(|mut group| {
            let fails = std::mem::take(&mut group.failed_attempts) > 0;
            group.trouble = None;
            (group.revision.number.0, (group, fails))
        });
        Self { groups: groups.collect(), route }
    }

    pub(crate) fn is_known(&self, number: u32) -> bool {
        self.groups.contains_key(&number)
    }

    pub(crate) fn created(&self, number: u32) -> u32 {
        self.groups.get(&number).map_or(0, |(group, _)| group.created)
    }
}

/// How a call was answered.
pub(crate) type Answer = Result<(), ErrorKind>;

pub(crate) fn answer(result: BackendResult<()>) -> Answer {
    result.map_err(|error| error.kind)
}

/// A simulated cluster.
pub(crate) struct Model(Cluster);

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let mut config = ClusterConfig::default();
        config.splitting = Splitting::Switch;
        let cluster = Cluster::new(config, seed);
        cluster.set_profile(&revision(NEVER).version, Profile::default().ready(Readiness::Never));
        Self(cluster)
    }

    pub(crate) fn apply(&self, operation: &Operation) -> Answer {
        let done = |there: bool| if there { Ok(()) } else { Err(ErrorKind::NotFound) };
        match operation {
            Operation::Scale(wish, _) => answer(at_once(self.0.workload().scale(wish)).unwrap()),
            Operation::Route(wish, _) => answer(at_once(self.0.router().set(wish)).unwrap()),
            Operation::Kill(number) => done(self.0.kill_replica(&revision(*number))),
            Operation::Delete(number) => done(self.0.delete_replica(&revision(*number))),
            Operation::Break(number) => done(self.0.break_replica(&revision(*number))),
            Operation::Restart => Ok(()),
            Operation::Resize(number, replicas) => done(self.0.change_size(&revision(*number), *replicas)),
        }
    }

    /// What it shows when nothing is on its way any more.
    pub(crate) fn settled(&self) -> Seen {
        self.0.advance(SETTLED);
        assert!(!self.0.is_moving());
        self.seen()
    }

    pub(crate) fn seen(&self) -> Seen {
        let groups = at_once(self.0.workload().observe()).unwrap().unwrap();
        let route = at_once(self.0.router().observe()).unwrap().unwrap();
        Seen::of(groups, route)
    }
}
