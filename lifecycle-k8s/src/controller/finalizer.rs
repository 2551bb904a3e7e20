//! What was made for an object goes before the object does, and nothing else.

use kube::ResourceExt;
use kube::runtime::controller::Action;
use lifecycle_core::backend::{BackendResult, ErrorKind};
use serde_json::json;

use super::Context;
use super::target::Target;
use crate::client::Part;
use crate::crd::AgentDeployment;
use crate::embed::Key;
use crate::names;

/// Finalizer of an object that is deleted with `--cascade=orphan`: what it owns lives on.
const ORPHAN: &str = "orphan";

/// Makes sure that the object cannot go before it is cleaned up after.
pub(super) async fn ensure(object: &AgentDeployment, target: &mut Target) -> BackendResult<()> {
    if object.finalizers().iter().any(|name| name == names::FINALIZER) {
        // from now on the cache is the one that knows: somebody may take it away
        target.has_finalizer = false;
        return Ok(());
    }
    if target.has_finalizer {
        return Ok(());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(names::FINALIZER.to_owned());
    let written = write(object, target, &finalizers).await?;
    target.has_finalizer = true;
    target.rollout.store.replace_known(written).await;
    Ok(())
}

/// Takes away what was made; once it is gone, lets the object go.
pub(super) async fn clean_up(
    context: &Context,
    key: &Key,
    object: &AgentDeployment,
    target: &mut Target,
) -> BackendResult<Action> {
    if !object.finalizers().iter().any(|name| name == names::FINALIZER) {
        context.forget(key);
        return Ok(Action::await_change());
    }
    target.release_service(object).await?;
    let keeps_dependents = object.finalizers().iter().any(|name| name == ORPHAN);
    if !keeps_dependents && target.rollout.workload.delete_all().await? {
        // the watch tells when it is gone
        return Ok(Action::await_change());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|name| name != names::FINALIZER);
    match write(object, target, &finalizers).await {
        Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
        _ => context.forget(key),
    }
    Ok(Action::await_change())
}

async fn write(
    object: &AgentDeployment,
    target: &Target,
    finalizers: &[String],
) -> BackendResult<AgentDeployment> {
    let meta = &object.metadata;
    let patch = json!({"metadata": {
        "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": finalizers,
    }});
    target.rollout.writer.merge(&target.rollout.owner.name, Part::Whole, &patch).await
}
