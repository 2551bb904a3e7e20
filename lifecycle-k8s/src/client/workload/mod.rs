//! Replica groups as child Deployments.

mod template;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use lifecycle_core::backend::{
    BackendError, BackendResult, ErrorKind, GroupStatus, ScaleWish, Token, Workload, WorkloadCapabilities,
};
use lifecycle_core::version::Revision;
use serde_json::Value;

use super::api::{Object, Writer};
use super::caches::{Caches, read_deployment};
use crate::look::{Attempts, Confirmed, DeploymentSeen, PodSeen, Readiness, RevisionSeen, group_status};
use crate::names;
use crate::object::{self, Owner};
use crate::text::Json;

/// The replica groups of one target: one Deployment a revision, owned by the target's object.
///
/// - A look is a look into the caches. Readiness is the pods' own; a replica is available when it is ready.
/// - A write is a server-side apply of exactly the size, on the resourceVersion that it was decided on. A first
///   write creates, and fails where the object is there already.
/// - What a revision runs is kept in a ControllerRevision beside its Deployment, so that a Deployment that
///   somebody deleted is made again.
#[derive(Debug)]
pub struct KubeWorkload {
    owner: Owner,
    writer: Writer,
    caches: Arc<Caches>,
    memory: Mutex<Memory>,
}

/// What only this process knows. Losing it makes the machine wait, never act wrongly.
#[derive(Debug, Default)]
struct Memory {
    /// What the newest spec runs, by the hash of its revision.
    newest: Option<(Arc<str>, Json)>,
    /// How pods are asked whether they are ready, of what was not recorded.
    readiness: Readiness,
    attempts: Attempts,
    confirmed: HashMap<Arc<str>, Confirmed>,
    /// What was ours of the template of a Deployment when it was whole, by uid.
    owned: HashMap<String, String>,
    /// Deployments, by uid, whose template somebody else owns too and has not changed in this generation.
    owned_too: HashMap<String, i64>,
    /// Groups that are empty because they cannot be made, by the hash of their revision.
    unmade: HashMap<Arc<str>, (Revision, Token)>,
}

impl KubeWorkload {
    /// The groups of this owner.
    #[must_use]
    pub fn new(owner: Owner, writer: Writer, caches: Arc<Caches>) -> Self {
        Self { owner, writer, caches, memory: Mutex::default() }
    }

    /// Says what the newest revision runs: its whole pod template ([`object::pod_template`]).
    pub fn register(&self, hash: impl Into<Arc<str>>, template: &Value) {
        let mut memory = self.memory();
        memory.newest = Some((hash.into(), template.into()));
        memory.readiness = Readiness::of(template);
    }

    /// The Deployments of this owner, by uid.
    #[must_use]
    pub fn deployments(&self) -> Vec<Arc<DeploymentSeen>> {
        self.caches.deployments_of(&self.owner)
    }

    /// The records of this owner's revisions, by uid.
    #[must_use]
    pub fn records(&self) -> Vec<Arc<RevisionSeen>> {
        let mut all = self.caches.revisions.group(&self.owner.namespace, &self.owner.name);
        all.retain(|record| record.owner.as_deref() == Some(&*self.owner.uid));
        all
    }

    /// Deletes what belongs to revisions that are not remembered any more, and runs nothing.
    ///
    /// # Errors
    /// The first deletion that failed: a conflict when somebody has written to an empty group meanwhile.
    pub async fn forget_all_but(&self, remembered: &[Arc<str>]) -> BackendResult<()> {
        let is_kept = |hash: &str| remembered.iter().any(|kept| **kept == *hash);
        {
            let there = self.deployments();
            let there: Vec<&String> = there.iter().map(|deployment| &deployment.uid).collect();
            let mut memory = self.memory();
            memory.unmade.retain(|hash, _| is_kept(hash));
            memory.owned_too.retain(|uid, _| there.contains(&uid));
            memory.owned.retain(|uid, _| there.contains(&uid));
        }
        for deployment in self.deployments() {
            if !is_kept(&deployment.revision.hash) && deployment.replicas == 0 && !deployment.terminating {
                let seen = Some(&*deployment.resource_version);
                self.writer.delete::<Deployment>(&deployment.name, &deployment.uid, seen).await?;
            }
        }
        let left = self.deployments();
        for record in self.records() {
            let in_use = left.iter().any(|deployment| *deployment.revision.hash == *record.hash);
            if !is_kept(&record.hash) && !in_use {
                self.writer.delete::<ControllerRevision>(&record.name, &record.uid, None).await?;
            }
        }
        Ok(())
    }

    /// Deletes every group and record. Says whether something is still there.
    ///
    /// # Errors
    /// The first deletion that failed.
    pub async fn delete_all(&self) -> BackendResult<bool> {
        let (deployments, records) = (self.deployments(), self.records());
        for deployment in deployments.iter().filter(|deployment| !deployment.terminating) {
            // as it was seen to belong to this owner: it may have been orphaned since
            let seen = Some(&*deployment.resource_version);
            self.writer.delete::<Deployment>(&deployment.name, &deployment.uid, seen).await?;
        }
        for record in &records {
            self.writer.delete::<ControllerRevision>(&record.name, &record.uid, None).await?;
        }
        Ok(!deployments.is_empty() || !records.is_empty())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a group. One that shall be empty and cannot be made is empty: whatever refuses it refuses an earlier
    /// wish for replicas, too, which may still be on its way.
    async fn create(&self, wish: &ScaleWish) -> BackendResult<()> {
        let made = self.try_create(wish).await;
        let hash = &wish.revision.hash;
        match made {
            Err(error)
                if wish.replicas == 0 && matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) =>
            {
                tracing::debug!(%error, revision = %wish.revision, "there is nothing to be emptied");
                self.memory().unmade.insert(Arc::clone(hash), (wish.revision.clone(), wish.token));
                Ok(())
            }
            made => {
                self.memory().unmade.remove(hash);
                made
            }
        }
    }

    async fn try_create(&self, wish: &ScaleWish) -> BackendResult<()> {
        let name = names::child(&self.owner.name, &wish.revision.hash);
        let Some(template) = self.template(&wish.revision) else {
            let message = format!(
                "what {} runs is not known any more: its ControllerRevision {name} is gone",
                wish.revision
            );
            return Err(BackendError::new("kubernetes", "scale", ErrorKind::NotFound, message));
        };
        if self.record(&wish.revision.hash).is_none() {
            self.write_record(&name, &wish.revision, &template).await?;
        }
        let deployment = object::deployment(&self.owner, wish, &template);
        match self.writer.create::<Deployment>(&name, &deployment).await {
            Ok(written) => {
                self.take_in(&written);
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Conflict => {
                // made in a life before, and the watch has not brought it yet: decide again
                let conflict = error.clone();
                self.is_ours::<Deployment>(&name, error).await?;
                Err(conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// An object of this name is there: ours, or in the way?
    async fn is_ours<K: Object>(&self, name: &str, conflict: BackendError) -> BackendResult<()> {
        let Some(object) = self.writer.get::<K>(name).await? else { return Err(conflict) };
        let owner = crate::look::controller_of(object.meta()).map(|owner| owner.uid.clone());
        if owner.as_deref() == Some(&*self.owner.uid) {
            return Ok(());
        }
        let message = format!(
            "{} {name} exists and does not belong to {} {}; delete or rename it",
            K::kind(&()),
            self.owner.kind,
            self.owner.name
        );
        Err(BackendError::new("kubernetes", "scale", ErrorKind::Invalid, message))
    }

    fn take_in(&self, written: &Deployment) {
        let (meta, group, facts) = read_deployment(written);
        self.caches.deployments.put(&meta, group.as_deref(), facts);
    }
}

#[async_trait]
impl Workload for KubeWorkload {
    fn capabilities(&self) -> WorkloadCapabilities {
        WorkloadCapabilities::default()
    }

    async fn observe(&self) -> BackendResult<Vec<GroupStatus>> {
        self.caches.check("observe")?;
        let deployments = self.deployments();
        let pods = self.caches.pods_of(&self.owner, &deployments);
        let records = self.records();
        let now = Instant::now();
        let mut memory = self.memory();
        memory.attempts.look(pods.iter().map(|pod| &**pod), now);
        let mut groups: Vec<GroupStatus> = deployments
            .iter()
            .map(|deployment| {
                // what its pods run is what was recorded: an edit of the spec is for those that come
                let record = records.iter().find(|record| record.hash == *deployment.revision.hash);
                let readiness = record.map_or(memory.readiness, |record| record.readiness);
                let failed = |pod: &PodSeen| memory.attempts.failed(&pod.uid, readiness, now);
                let before = memory.confirmed.get(&deployment.revision.hash).copied();
                group_status(deployment, pods.iter().map(|pod| &**pod), failed, before)
            })
            .collect();
        memory.confirmed =
            groups.iter().map(|group| (Arc::clone(&group.revision.hash), Confirmed::of(group))).collect();
        for (revision, token) in memory.unmade.values() {
            if !deployments.iter().any(|seen| seen.revision.hash == revision.hash) {
                let mut empty = GroupStatus::empty(revision.clone());
                empty.token = *token;
                groups.push(empty);
            }
        }
        Ok(groups)
    }

    async fn scale(&self, wish: &ScaleWish) -> BackendResult<()> {
        self.caches.check("scale")?;
        let deployments = self.deployments();
        let Some(seen) = deployments.iter().find(|seen| seen.revision.hash == wish.revision.hash) else {
            return self.create(wish).await;
        };
        if seen.token > wish.token || (seen.token == wish.token && seen.replicas == wish.replicas) {
            return Ok(());
        }
        let newest = match (seen.replicas, wish.replicas) {
            (0, 1..) => self.renew(seen).await?,
            _ => seen.resource_version.clone(),
        };
        let change = object::resize(&self.owner, wish, &newest);
        let written: Deployment = self.writer.apply(&seen.name, &change).await?;
        self.take_in(&written);
        Ok(())
    }
}
