//! One look at one object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;
use lifecycle_core::backend::{BackendError, ErrorKind};
use lifecycle_core::driver::Tick;
use thiserror::Error;

use super::target::Target;
use super::{Context, Problem, Reconciled, damage, finalizer, news};
use crate::crd::AgentDeployment;
use crate::embed::{Key, key, now, pause, wakes_in};
use crate::object::Owner;

/// Endpoints follow pods within moments; without them for this long something is wrong.
const ENDPOINTS_TAKE: Duration = Duration::from_secs(5);

/// Another try mends what was lost on the way, or was written by somebody else first; what fails for this long is told.
const CALLS_TAKE: Duration = Duration::from_secs(10);

/// A look that did not end well; it is repeated.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct Unfinished(#[from] BackendError);

/// Looks at an object once.
pub(crate) async fn reconcile(
    object: Arc<AgentDeployment>,
    context: Arc<Context>,
) -> Result<Action, Unfinished> {
    let Some(owner) = Owner::of(&*object) else { return Ok(Action::await_change()) };
    let began = Instant::now();
    let key = key(&owner);
    let uid = owner.uid.clone();
    let entry = context.targets.get(&key, &uid, || Target::new(&context, owner, &object));
    let mut target = entry.lock().await;
    let outcome = look(&context, &key, &object, &mut target).await;
    let (how, action) = match outcome {
        Ok(action) => (Reconciled::Done, action),
        Err(error) => after_failure(&context, &object, &mut target, &error).await,
    };
    if how == Reconciled::Done {
        (target.failures, target.failing_since) = (0, None);
    }
    context.options.observer.reconciled(how, began.elapsed());
    Ok(action)
}

/// What cannot happen: failures are dealt with where they are.
#[allow(clippy::needless_pass_by_value, reason = "the signature that the runner asks for")]
pub(crate) fn failed(_: Arc<AgentDeployment>, error: &Unfinished, _: Arc<Context>) -> Action {
    tracing::error!(%error, "a reconciliation failed");
    Action::requeue(pause(u32::MAX))
}

async fn look(
    context: &Context,
    key: &Key,
    object: &Arc<AgentDeployment>,
    target: &mut Target,
) -> Result<Action, BackendError> {
    if let Some(waits) = unsynced(context)? {
        return Ok(waits);
    }
    if object.metadata.deletion_timestamp.is_some() {
        return finalizer::clean_up(context, key, object, target).await;
    }
    finalizer::ensure(object, target).await?;
    let mut damage = damage::sizes(target);
    let tick = target.tick(context, object, now()).await?;
    if let Some(command) = target.misunderstood.take() {
        news::warn(&context.events, object, &command.problem()).await;
    }
    let (repaired, failed) = damage::repair(target).await;
    damage.extend(repaired);
    for problem in &damage {
        tracing::warn!(namespace = &*key.0, name = &*key.1, "{}", problem.message);
        news::warn(&context.events, object, problem).await;
    }
    target.damage.remember(&damage);
    let Some(mut tick) = tick else {
        if let Some(error) = failed.into_iter().next() {
            return Err(error);
        }
        let later = tell(context, object, target, None).await?;
        return Ok(later.map_or_else(Action::await_change, Action::requeue));
    };
    tick.errors.extend(failed);
    target.errors = if tick.errors.is_empty() { 0 } else { target.errors.saturating_add(1) };
    target.erring =
        if tick.errors.is_empty() { None } else { target.erring.or_else(|| Some(Instant::now())) };
    for error in &tick.errors {
        context.options.observer.call_failed(error.backend, error.kind);
        if target.logged.is_new(&error.to_string()) {
            tracing::warn!(namespace = &*key.0, name = &*key.1, %error, "a call failed");
        } else {
            tracing::debug!(namespace = &*key.0, name = &*key.1, %error, "a call failed again");
        }
    }
    for event in &tick.events {
        let kind = &event.kind;
        tracing::info!(
            namespace = &*key.0,
            name = &*key.1,
            event = kind.name(),
            reason = kind.reason(),
            "{}",
            kind.message()
        );
    }
    // before the status, which may be what cannot be written
    context.options.observer.stands(&key.0, &key.1, &tick.status, &tick.events);
    news::tell(&context.events, object, &tick.events).await;
    let later = tell(context, object, target, Some(&tick)).await?;
    forget(target).await?;
    Ok(wait_for(&tick, target, later))
}

/// Before the first lists have been read nothing is known to be there, or not to be: nothing is decided, also not that
/// all is cleaned up. What may not be read is for somebody to mend.
fn unsynced(context: &Context) -> Result<Option<Action>, BackendError> {
    let caches = context.cluster.caches();
    if caches.is_synced() {
        return Ok(None);
    }
    match caches.check("look") {
        Err(error) if error.kind == ErrorKind::Unauthorized => Err(error),
        _ => Ok(Some(Action::requeue(pause(1)))),
    }
}

/// Shows how things stand, and tells of a problem that is new. Answers with when to look again.
async fn tell(
    context: &Context,
    object: &AgentDeployment,
    target: &mut Target,
    tick: Option<&Tick>,
) -> Result<Option<Duration>, BackendError> {
    let problem = problem(target, tick);
    let later = super::shown::write(target, tick, problem.clone()).await?;
    if target.told != problem {
        // what was put back was told when it was
        if let Some(problem) = problem.as_ref().filter(|problem| Some(*problem) != target.damage.shown()) {
            news::warn(&context.events, object, problem).await;
        }
        target.told = problem;
    }
    let lost = target
        .lost
        .map(|since| ENDPOINTS_TAKE.saturating_sub(since.elapsed()))
        .filter(|left| !left.is_zero());
    Ok(later.into_iter().chain(lost).chain(target.damage.left()).min())
}

/// What is for somebody to mend: the spec, what may be done, what is missing, replicas, traffic.
fn problem(target: &mut Target, tick: Option<&Tick>) -> Option<Problem> {
    let lost = target.rollout.router.as_ref().and_then(|router| router.trouble());
    let since = lost.is_some().then(|| target.lost.unwrap_or_else(Instant::now));
    target.lost = since;
    let lost = lost.filter(|_| since.is_some_and(|since| since.elapsed() >= ENDPOINTS_TAKE));

    let refused = target.refused().cloned();
    let Some(tick) = tick else { return refused };
    let failed = still_fails(target, tick);
    refused
        .or(failed)
        .or_else(|| target.damage.shown().cloned())
        .or_else(|| target.state().and_then(|state| state.trouble.as_deref()).map(Problem::replicas))
        .or_else(|| lost.map(Problem::traffic))
}

/// A call that fails is made again after a while: it still fails until one has not, or nothing is left to be done.
fn still_fails(target: &mut Target, tick: &Tick) -> Option<Problem> {
    let lasts = target.erring.is_some_and(|since| since.elapsed() >= CALLS_TAKE);
    let failed =
        Problem::worst(&tick.errors).or_else(|| tick.errors.first().filter(|_| lasts).map(Problem::of));
    let is_done = target.state().is_none_or(|state| {
        let groups =
            state.groups.iter().all(|group| group.acked >= group.token && group.seen.desired == group.wish);
        groups && state.route.acked >= state.route.token && state.hook.is_none()
    });
    if failed.is_some() || is_done || !tick.actions.is_empty() {
        target.failing = failed;
    }
    target.failing.clone()
}

/// Revisions that are not remembered any more go, when no rollout is on its way.
async fn forget(target: &Target) -> Result<(), BackendError> {
    let Some(state) = target.state() else { return Ok(()) };
    if state.is_active() || state.next.is_some() || state.stable.is_none() {
        return Ok(());
    }
    let mut remembered: Vec<Arc<str>> =
        state.revisions.iter().map(|known| Arc::clone(&known.revision.hash)).collect();
    remembered.extend(state.acted_on.clone());
    target.rollout.workload.forget_all_but(&remembered).await
}

fn wait_for(tick: &Tick, target: &Target, later: Option<Duration>) -> Action {
    let retry = (target.errors > 0).then(|| pause(target.errors.saturating_add(2)));
    let soonest = wakes_in(tick).into_iter().chain(retry).chain(later).min();
    soonest.map_or_else(Action::await_change, Action::requeue)
}

async fn after_failure(
    context: &Context,
    object: &AgentDeployment,
    target: &mut Target,
    error: &BackendError,
) -> (Reconciled, Action) {
    context.options.observer.call_failed(error.backend, error.kind);
    target.failures += 1;
    let wait = Action::requeue(pause(target.failures));
    let lasts = target.failing_since.get_or_insert_with(Instant::now).elapsed() >= CALLS_TAKE;
    if error.kind == ErrorKind::Conflict && !lasts {
        return (Reconciled::Conflict, wait);
    }
    tracing::warn!(namespace = target.rollout.owner.namespace, name = target.rollout.owner.name, %error, "to be tried again");
    let worst = Problem::worst(std::slice::from_ref(error));
    let problem = worst.or_else(|| lasts.then(|| Problem::of(error)));
    if problem.is_some() && target.told != problem {
        // the status itself may be what cannot be written: an Event is the second way to be heard
        if let Err(error) = super::shown::write(target, None, problem.clone()).await {
            tracing::debug!(%error, "the status could not be written");
        }
        if let Some(problem) = &problem {
            news::warn(&context.events, object, problem).await;
        }
        target.told = problem;
    }
    (Reconciled::Failed, wait)
}
