//! What people do with kubectl in the middle of a rollout, with an operator that lasts. (`crashes` has the same with
//! operators that are killed.)

use crate::orders;
use crate::support::{Crew, Stage, run};

fn obeyed(namespace: &str, scenario: impl AsyncFnOnce(&Stage, Crew)) {
    run(async {
        let stage = Stage::new(namespace).await;
        scenario(&stage, Crew::steady(&stage).await).await;
    });
}

#[test]
fn pause_scale_resume_abort_and_retry_are_obeyed_and_answered() {
    obeyed("commands", orders::pause_scale_resume_abort_retry_promote);
}

#[test]
fn a_rollback_goes_to_the_version_that_is_named() {
    obeyed("rollback-to", orders::rollback_to_a_version);
}

#[test]
fn a_newer_version_supersedes_the_one_that_is_on_its_way() {
    obeyed("supersede", orders::supersede);
}
