//! What a plan needs, held against what the backends can do, before anything moves.

use thiserror::Error;

use crate::analysis::Question;
use crate::backend::{Backends, Signal, Splitting};
use crate::plan::{Mode, Plan};

/// The plan needs what the backends cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{need}, and {lack}")]
#[non_exhaustive]
pub struct Refused {
    /// What the plan needs.
    pub need: String,
    /// What is missing, and what would do.
    pub lack: String,
}

fn refused<T>(need: impl Into<String>, lack: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { need: need.into(), lack: lack.into() })
}

/// A rollout that splits traffic cannot be left without a router: neither its end nor its way back would come.
pub(super) fn without_router(plan: &Plan, backends: &Backends) -> Result<(), Refused> {
    match (plan.mode(), &backends.router) {
        (Mode::Routed { .. }, None) => refused(
            format!("the {} rollout that is on its way splits traffic with a router", plan.strategy()),
            "there is none any more; abort it, or wait for its end",
        ),
        _ => Ok(()),
    }
}

pub(super) fn check(plan: &Plan, backends: &Backends) -> Result<(), Refused> {
    let strategy = plan.strategy();
    if !backends.workload.capabilities().side_by_side && plan.mode() != Mode::Exclusive {
        return refused(
            format!("strategy {strategy} runs old and new replicas side by side"),
            "this workload cannot; use recreate",
        );
    }
    if let Mode::Routed { .. } = plan.mode() {
        let Some(router) = &backends.router else {
            return refused(format!("strategy {strategy} splits traffic with a router"), "there is none");
        };
        let partial = plan.steps().iter().find(|hold| !matches!(hold.weight.get(), 0 | 100));
        if let (Splitting::Switch, Some(hold)) = (router.capabilities().splitting, partial) {
            return refused(
                format!("strategy {strategy} has a step with a weight of {}", hold.weight),
                "this router only switches between 0% and 100%",
            );
        }
    }
    let checks = &plan.analysis().checks;
    if let (Some(check), None) = (checks.first(), &backends.health) {
        return refused(
            format!("spec.analysis.checks: the check {check:?} measures", check = check.to_string()),
            "there is no health source; give one, or write checks: [] to be judged by readiness alone",
        );
    }
    for check in checks {
        let signal = check.metric.signal();
        if let Some(health) = backends.health.as_ref().filter(|health| !health.measures(&signal)) {
            let lack = health.lack(&signal).unwrap_or_else(|| match signal {
                Signal::Named(_) => "the health source knows no such query".to_owned(),
                _ => "the health source does not measure that; take one that does, or leave the check away"
                    .to_owned(),
            });
            return refused(format!("the check {:?} asks for {signal}", check.to_string()), lack);
        }
    }
    let sequential = || checks.iter().find(|check| Question::of(check).is_some());
    if let (Some(_), Some(check), Some(health)) = (plan.analysis().sequential, sequential(), &backends.health)
        && !health.capabilities().increases
    {
        return refused(
            format!("spec.analysis.sequential: the check {:?} counts from look to look", check.to_string()),
            "the health source only measures trailing windows; leave sequential away",
        );
    }
    for hook in plan.hooks() {
        let accepted = match &backends.hooks {
            Some(hooks) => hooks.accepts(&hook.url),
            None => Err("nothing here runs hooks".to_owned()),
        };
        if let Err(lack) = accepted {
            return refused(format!("the {} hook {} has to be called", hook.on, hook.url), lack);
        }
    }
    Ok(())
}
