use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, GroupStatus, ScaleWish, Token, Workload};

use super::super::workload;
use super::sim::Sim;
use super::{assert_conforms, assert_found, run};
use crate::cluster::ClusterConfig;

#[test]
fn the_simulated_workload_conforms() {
    let report = run(workload(|| async { Ok(Sim::new(ClusterConfig::default())) }));
    assert_conforms(
        report,
        &[
            "shrinking_stops_unready_replicas_first",
            "a_repeated_wish_repairs_a_size_that_somebody_else_changed",
        ],
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    HasAGroup,
    CreatesTooFew,
    RestartsOnRepetition,
    TakesLateWishes,
    AcknowledgesTooEarly,
    KeepsTheFirstToken,
    CountsStoppedReplicas,
    HidesEmptyGroups,
    ReportsTwice,
    KillsAllToShrink,
    MixesGroups,
    ClaimsReadiness,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Workload>,
    defect: Defect,
    wishes: Mutex<Vec<ScaleWish>>,
}

impl Broken {
    fn last(&self, of: &GroupStatus) -> Option<ScaleWish> {
        let wishes = self.wishes.lock().unwrap();
        wishes.iter().rev().find(|wish| wish.revision == of.revision).cloned()
    }

    fn report(&self, mut group: GroupStatus) -> GroupStatus {
        match (self.defect, self.last(&group)) {
            (Defect::AcknowledgesTooEarly, Some(wish)) => {
                group.token = wish.token;
                group.desired = wish.replicas;
            }
            (Defect::KeepsTheFirstToken, Some(wish)) => {
                group.token = group.token.min(Token(1)).min(wish.token)
            }
            (Defect::CountsStoppedReplicas, _) => group.created += group.terminating,
            (Defect::ClaimsReadiness, _) => group.ready = group.created,
            _ => {}
        }
        group
    }
}

#[async_trait]
impl Workload for Broken {
    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        let groups = self.inner.observe().await?;
        let mut groups: Vec<_> = groups.into_iter().map(|group| self.report(group)).collect();
        match self.defect {
            Defect::HasAGroup if groups.is_empty() => {
                groups.push(GroupStatus::empty(super::sim::revision(5)))
            }
            Defect::HidesEmptyGroups => groups.retain(|group| group.desired > 0),
            Defect::ReportsTwice => groups.extend(groups.clone()),
            _ => {}
        }
        Ok(groups)
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        let mut wish = wish.clone();
        let before = {
            let mut wishes = self.wishes.lock().unwrap();
            let before = wishes.last().cloned();
            wishes.push(wish.clone());
            before
        };
        match (self.defect, before) {
            (Defect::CreatesTooFew, _) => wish.replicas = wish.replicas.saturating_sub(1),
            (Defect::TakesLateWishes, Some(before)) => wish.token = wish.token.max(before.token),
            (Defect::RestartsOnRepetition, Some(before)) if before == wish => {
                self.inner.scale(&ScaleWish::new(wish.revision.clone(), 0, wish.token, wish.drain)).await?;
            }
            (Defect::KillsAllToShrink, Some(before)) if before.replicas > wish.replicas => {
                self.inner.scale(&ScaleWish::new(wish.revision.clone(), 0, wish.token, wish.drain)).await?;
            }
            (Defect::MixesGroups, Some(before)) if before.revision != wish.revision => {
                self.inner
                    .scale(&ScaleWish::new(before.revision, wish.replicas, wish.token, wish.drain))
                    .await?;
            }
            _ => {}
        }
        self.inner.scale(&wish).await
    }
}

#[test]
fn every_defect_of_a_workload_is_found() {
    for (defect, case) in [
        (Defect::HasAGroup, "nothing_is_reported_at_first"),
        (Defect::CreatesTooFew, "a_wish_creates_replicas_that_serve"),
        (Defect::RestartsOnRepetition, "a_repeated_wish_changes_nothing"),
        (Defect::TakesLateWishes, "a_wish_with_a_lower_token_is_ignored"),
        (Defect::AcknowledgesTooEarly, "a_token_is_reported_once_created_counts_its_wish"),
        (Defect::KeepsTheFirstToken, "a_wish_with_a_higher_token_and_the_same_size_is_acknowledged"),
        (Defect::KeepsTheFirstToken, "a_call_that_is_dropped_is_done_or_not_done"),
        (
            Defect::CountsStoppedReplicas,
            "a_stopped_replica_counts_as_terminating_only_and_is_gone_after_its_drain",
        ),
        (Defect::HidesEmptyGroups, "a_group_of_size_zero_still_acknowledges_its_wish"),
        (Defect::CreatesTooFew, "a_group_that_was_emptied_grows_again"),
        (Defect::KillsAllToShrink, "shrinking_spares_the_replicas_that_serve"),
        (Defect::MixesGroups, "groups_do_not_touch_each_other"),
        (Defect::ReportsTwice, "every_group_is_reported_once"),
        (Defect::CreatesTooFew, "a_dead_replica_is_replaced"),
        (Defect::ClaimsReadiness, "a_replica_that_never_gets_ready_is_counted_and_failed_attempts_rise"),
    ] {
        let report = run(workload(|| async {
            let mut sim = Sim::new(ClusterConfig::default());
            sim.workload =
                Arc::new(Broken { inner: sim.cluster.workload(), defect, wishes: Mutex::default() });
            Ok(sim)
        }));
        assert_found(defect, &report, case);
    }
}
