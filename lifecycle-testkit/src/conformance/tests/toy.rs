//! A workload in memory whose replicas are there at once: what the simulated cluster cannot be made
//! to do, this one can.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, GroupStatus, ScaleWish, Token, Workload, WorkloadCapabilities};
use lifecycle_core::time::Millis;
use lifecycle_core::version::Revision;

use super::super::{Able, Environment, WorkloadBench, workload};
use super::sim::revision;
use super::{assert_conforms, assert_found, run};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    StopsReadyReplicasFirst,
    NeverRepairs,
    NeverReplaces,
    HalfDoneWhenDropped,
}

#[derive(Debug)]
struct Toy {
    defect: Defect,
    groups: Mutex<BTreeMap<u32, Group>>,
}

#[derive(Debug, Default)]
struct Group {
    token: Token,
    desired: u32,
    /// Is this replica ready?
    replicas: Vec<bool>,
}

impl Group {
    fn resize(&mut self, to: u32, defect: Defect) {
        self.desired = to;
        self.replicas.sort_unstable_by_key(|&ready| ready == (defect == Defect::StopsReadyReplicasFirst));
        self.replicas.resize(to as usize, true);
    }
}

#[async_trait]
impl Workload for Toy {
    fn capabilities(&self) -> WorkloadCapabilities {
        let mut capabilities = WorkloadCapabilities::default();
        capabilities.side_by_side = false;
        capabilities
    }

    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        let groups = self.groups.lock().unwrap();
        let report = |(&number, group): (&u32, &Group)| {
            let mut status = GroupStatus::empty(revision(number));
            status.token = group.token;
            status.desired = group.desired;
            status.created = group.replicas.len() as u32;
            status.ready = group.replicas.iter().filter(|&&ready| ready).count() as u32;
            status.available = status.ready;
            status
        };
        Ok(groups.iter().map(report).collect())
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        if self.defect == Defect::HalfDoneWhenDropped {
            self.groups.lock().unwrap().entry(wish.revision.number.0).or_default().desired = 77;
            super::store::turn().await;
        }
        let mut groups = self.groups.lock().unwrap();
        let group = groups.entry(wish.revision.number.0).or_default();
        let repeated = group.token == wish.token && self.defect == Defect::NeverRepairs;
        if wish.token >= group.token && !repeated {
            group.token = wish.token;
            group.resize(wish.replicas, self.defect);
        }
        Ok(())
    }
}

struct Bench(Arc<Toy>);

#[async_trait]
impl Environment for Bench {
    async fn advance(&self, _span: Millis) {}
}

#[async_trait]
impl WorkloadBench for Bench {
    fn workload(&self) -> Arc<dyn Workload> {
        self.0.clone()
    }

    fn revision(&self, which: u32) -> Revision {
        revision(which)
    }

    async fn kill_replica(&self, revision: &Revision) -> Able<()> {
        let mut groups = self.0.groups.lock().unwrap();
        let group = groups.get_mut(&revision.number.0).unwrap();
        group.replicas.pop();
        if self.0.defect != Defect::NeverReplaces {
            group.replicas.push(true);
        }
        Ok(())
    }

    async fn make_unready(&self, revision: &Revision, replicas: u32) -> Able<()> {
        let mut groups = self.0.groups.lock().unwrap();
        let group = groups.get_mut(&revision.number.0).unwrap();
        group.replicas.iter_mut().take(replicas as usize).for_each(|ready| *ready = false);
        Ok(())
    }

    async fn change_size(&self, revision: &Revision, replicas: u32) -> Able<()> {
        let mut groups = self.0.groups.lock().unwrap();
        groups.get_mut(&revision.number.0).unwrap().resize(replicas, Defect::None);
        Ok(())
    }
}

fn report(defect: Defect) -> super::Report {
    run(workload(|| async move { Ok(Bench(Arc::new(Toy { defect, groups: Mutex::default() }))) }))
}

#[test]
fn a_workload_that_runs_one_revision_at_a_time_conforms() {
    let not_applicable = [
        "groups_do_not_touch_each_other",
        "every_group_is_reported_once",
        "a_replica_that_never_gets_ready_is_counted_and_failed_attempts_rise",
    ];
    assert_conforms(report(Defect::None), &not_applicable);
}

#[test]
fn every_defect_that_the_bench_must_help_to_find_is_found() {
    for (defect, case) in [
        (Defect::StopsReadyReplicasFirst, "shrinking_stops_unready_replicas_first"),
        (Defect::NeverRepairs, "a_repeated_wish_repairs_a_size_that_somebody_else_changed"),
        (Defect::NeverReplaces, "a_dead_replica_is_replaced"),
        (Defect::HalfDoneWhenDropped, "a_call_that_is_dropped_is_done_or_not_done"),
    ] {
        assert_found(defect, &report(defect), case);
    }
}
