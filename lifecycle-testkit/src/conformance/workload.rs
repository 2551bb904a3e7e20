//! The suite for [`Workload`].

mod cases;

use std::sync::Arc;

use async_trait::async_trait;
use lifecycle_core::backend::{BackendResult, Workload};
use lifecycle_core::version::Revision;

use super::suite::{Suite, run};
use super::{Able, Environment, Report, Unable};

/// A workload under test, without any group.
#[async_trait]
pub trait WorkloadBench: Environment {
    /// The workload.
    fn workload(&self) -> Arc<dyn Workload>;

    /// One of two revisions (1 and 2) whose replicas get ready.
    fn revision(&self, which: u32) -> Revision;

    /// A revision whose replicas start but never get ready.
    ///
    /// # Errors
    /// Says why there is none. Default: the bench has none.
    fn never_ready(&self) -> Able<Revision> {
        Err(Unable::new("the bench has no revision that never gets ready"))
    }

    /// Makes one replica die, as a crash would.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn kill_replica(&self, revision: &Revision) -> Able<()> {
        let _ = revision;
        Err(Unable::new("the bench cannot kill a replica"))
    }

    /// Makes so many ready replicas fail their readiness from now on.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn make_unready(&self, revision: &Revision, replicas: u32) -> Able<()> {
        let _ = (revision, replicas);
        Err(Unable::new("the bench cannot make a replica unready"))
    }

    /// Changes the recorded size behind the workload's back, as somebody else would.
    ///
    /// # Errors
    /// Says why it cannot. Default: the bench cannot.
    async fn change_size(&self, revision: &Revision, replicas: u32) -> Able<()> {
        let _ = (revision, replicas);
        Err(Unable::new("the bench cannot change a size behind the workload's back"))
    }
}

/// Runs every case of the contract of [`Workload`]; `make` makes an empty workload for each.
pub async fn workload<F, B>(make: impl Fn() -> F) -> Report
where
    F: Future<Output = BackendResult<B>>,
    B: WorkloadBench,
{
    use cases::*;
    let mut suite = Suite::new("Workload", make);
    run!(suite;
        nothing_is_reported_at_first,
        a_wish_creates_replicas_that_serve,
        a_repeated_wish_changes_nothing,
        a_wish_with_a_lower_token_is_ignored,
        a_token_is_reported_once_created_counts_its_wish,
        a_wish_with_a_higher_token_and_the_same_size_is_acknowledged,
        a_stopped_replica_counts_as_terminating_only_and_is_gone_after_its_drain,
        a_group_of_size_zero_still_acknowledges_its_wish,
        a_group_that_was_emptied_grows_again,
        shrinking_spares_the_replicas_that_serve,
        shrinking_stops_unready_replicas_first,
        groups_do_not_touch_each_other,
        every_group_is_reported_once,
        a_dead_replica_is_replaced,
        a_replica_that_never_gets_ready_is_counted_and_failed_attempts_rise,
        a_repeated_wish_repairs_a_size_that_somebody_else_changed,
        a_call_that_is_dropped_is_done_or_not_done,
    );
    suite.report
}
