//! What the revisions run: their templates and the records of them.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use lifecycle_core::backend::{BackendResult, ErrorKind};
use lifecycle_core::version::Revision;
use serde_json::{Value, json};

use super::super::caches::read_revision;
use super::KubeWorkload;
use crate::look::{DeploymentSeen, RevisionSeen};
use crate::object;
use crate::text::Json;

impl KubeWorkload {
    /// Puts back templates that somebody else has changed and records that somebody else has deleted, and says what
    /// was done.
    ///
    /// # Errors
    /// The first call that failed.
    pub async fn repair(&self) -> BackendResult<Vec<String>> {
        let mut done = Vec::new();
        for deployment in self.deployments() {
            done.extend(self.record_again(&deployment).await?);
            let Some(by) = self.changed_by(&deployment) else { continue };
            let Some(template) = self.template(&deployment.revision) else { continue };
            let written = self.write_template(&deployment, &template).await?;
            if written.metadata.resource_version.as_deref() == Some(&*deployment.resource_version) {
                // it was applied by somebody else as it is: they own it too, and nothing is to be put back
                self.memory().owned_too.insert(deployment.uid.clone(), deployment.generation);
                continue;
            }
            done.push(format!(
                "the template of Deployment {} was changed by {}; it runs {} again",
                deployment.name, by, deployment.revision.version
            ));
        }
        Ok(done)
    }

    /// Replaces the template of a Deployment as it was seen.
    async fn write_template(
        &self,
        deployment: &DeploymentSeen,
        template: &Value,
    ) -> BackendResult<Deployment> {
        let patch = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": deployment.resource_version},
            {"op": "replace", "path": "/spec/template", "value": template},
        ]);
        let written: Deployment = self.writer.json_patch(&deployment.name, &patch).await?;
        self.take_in(&written);
        let owned = DeploymentSeen::of(&written).map(|seen| seen.owned).unwrap_or_default();
        self.memory().owned.insert(deployment.uid.clone(), owned);
        Ok(written)
    }

    /// A revision that runs nothing is to run again: with probes and drain as the newest spec has them, which make no
    /// revision of their own. Answers with the resourceVersion of its Deployment since then.
    pub(super) async fn renew(&self, deployment: &DeploymentSeen) -> BackendResult<String> {
        let before = deployment.resource_version.clone();
        let hash = &deployment.revision.hash;
        let Some((newest, record)) = self.newest(hash).zip(self.record(hash)) else { return Ok(before) };
        if newest == record.template {
            return Ok(before);
        }
        // the record last: until it is the newest one, all of this is done again
        let template = newest.value();
        let written = self.write_template(deployment, &template).await?;
        self.writer.delete::<ControllerRevision>(&record.name, &record.uid, None).await?;
        self.write_record(&record.name, &deployment.revision, &template).await?;
        Ok(written.metadata.resource_version.unwrap_or(before))
    }

    /// What the newest spec says, where it asks for this revision.
    fn newest(&self, hash: &str) -> Option<Json> {
        let memory = self.memory();
        memory.newest.as_ref().filter(|(newest, _)| **newest == *hash).map(|(_, template)| template.clone())
    }

    /// What was recorded of a revision.
    pub(super) fn record(&self, hash: &str) -> Option<Arc<RevisionSeen>> {
        self.records().into_iter().find(|record| *record.hash == *hash)
    }

    /// Who has changed the template of a Deployment since it was seen first, or put back.
    fn changed_by(&self, deployment: &DeploymentSeen) -> Option<String> {
        let mut memory = self.memory();
        let whole = memory.owned.entry(deployment.uid.clone()).or_insert_with(|| deployment.owned.clone());
        if *whole != deployment.owned {
            let by = deployment.drift.as_ref().map(|drift| drift.by.clone());
            return Some(by.unwrap_or_else(|| "somebody else".to_owned()));
        }
        let drift = deployment.drift.as_ref()?;
        let is_known = memory.owned_too.get(&deployment.uid) == Some(&deployment.generation);
        (!is_known).then(|| drift.by.clone())
    }

    /// Without its record a revision could not be made again once its Deployment is deleted too.
    async fn record_again(&self, deployment: &DeploymentSeen) -> BackendResult<Option<String>> {
        let (name, revision) = (&deployment.name, &deployment.revision);
        if deployment.terminating || self.record(&revision.hash).is_some() {
            return Ok(None);
        }
        let template = match self.template(revision) {
            Some(template) => template,
            // what runs is what was recorded, unless somebody has changed it
            None if deployment.drift.is_some() => return Ok(None),
            None => match self.writer.get::<Deployment>(name).await? {
                Some(found) if found.metadata.uid.as_deref() == Some(&*deployment.uid) => {
                    json!(found.spec.map(|spec| spec.template))
                }
                _ => return Ok(None),
            },
        };
        let is_new = self.write_record(name, revision, &template).await?;
        Ok(is_new.then(|| {
            format!("ControllerRevision {name} was deleted by somebody else; it is made again from what runs")
        }))
    }

    /// Makes the record of a revision. Says whether it was not there.
    pub(super) async fn write_record(
        &self,
        name: &str,
        revision: &Revision,
        template: &Value,
    ) -> BackendResult<bool> {
        let record = object::record(&self.owner, revision, template);
        match self.writer.create::<ControllerRevision>(name, &record).await {
            Ok(written) => {
                let (meta, group, facts) = read_revision(&written);
                self.caches.revisions.put(&meta, group.as_deref(), facts);
                Ok(true)
            }
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.is_ours::<ControllerRevision>(name, error).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// What a revision runs: what was recorded when it was made. (An edit of its probes is for pods that come when it
    /// runs nothing.)
    pub(super) fn template(&self, revision: &Revision) -> Option<Value> {
        let recorded = self.record(&revision.hash).map(|record| record.template.clone());
        let known = recorded.or_else(|| self.newest(&revision.hash));
        known.map(|template| template.value())
    }
}
