//! Writes to the API: each with a deadline, each with what it was decided on.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Client, Resource};
use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::backend_error;
use super::lean::Lean;
use crate::names;

/// A call that is not answered within this long has failed; whether it was carried out shows later.
const DEADLINE: Duration = Duration::from_secs(5);

/// Writes to one namespace. What it answers with has no `metadata.managedFields`.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    namespace: String,
}

impl Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What every kind of object that is written here is.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + Debug
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static
{
}

impl Writer {
    /// A writer to this namespace.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self { client, namespace: namespace.into() }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The API of one kind of object.
    #[must_use]
    pub fn api<K: Object>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn lean<K: Object>(&self) -> Api<Lean<K>> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Reads one object, `None` when it is not there.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn get<K: Object>(&self, name: &str) -> BackendResult<Option<K>> {
        let api = self.lean::<K>();
        let found = self.within("get", &format!("{} {name}", K::kind(&())), api.get_opt(name)).await?;
        Ok(found.map(|Lean(object)| object))
    }

    /// Creates an object; a field that the API server does not know is an error, not a warning.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when it is there already.
    pub async fn create<K: Object>(&self, name: &str, object: &Value) -> BackendResult<K> {
        let what = format!("{} {name}", K::kind(&()));
        let params =
            PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let path = K::url_path(&(), Some(&self.namespace));
        let request = Request::new(path).create(&params, object.to_string().into_bytes());
        let request = request.map_err(kube::Error::BuildRequest).and_then(strict);
        let request = request.map_err(|error| backend_error("create", &what, error))?;
        self.read("create", &what, self.client.request(request)).await
    }

    /// Applies the fields of an object that are ours, against whoever else has them. The object has to carry
    /// the resourceVersion that it was decided on.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the object is another one by now.
    pub async fn apply<K: Object>(&self, name: &str, object: &Value) -> BackendResult<K> {
        let params = PatchParams::apply(names::FIELD_MANAGER).force();
        let what = format!("{} {name}", K::kind(&()));
        self.read("apply", &what, self.lean::<K>().patch(name, &params, &Patch::Apply(object))).await
    }

    /// Carries out a JSON patch, which has to test what it was decided on.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when a test does not hold.
    pub async fn json_patch<K: Object>(&self, name: &str, patch: &Value) -> BackendResult<K> {
        let what = format!("{} {name}", K::kind(&()));
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).map_err(|error| {
            BackendError::new("kubernetes", "patch", ErrorKind::Invalid, error.to_string())
        })?;
        let params =
            PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let (api, patch) = (self.lean::<K>(), Patch::<()>::Json(patch));
        let call = async { api.patch(name, &params, &patch).await.map_err(not_as_decided_on) };
        self.read("patch", &what, call).await
    }

    /// Merges into an object, or into its status; the patch has to carry the resourceVersion that it was
    /// decided on.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when the object is another one by now.
    pub async fn merge<K: Object>(&self, name: &str, part: Part, patch: &Value) -> BackendResult<K> {
        let what = format!("{} {name}", K::kind(&()));
        let params =
            PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let (api, patch) = (self.lean::<K>(), Patch::Merge(patch));
        match part {
            Part::Whole => self.read("patch", &what, api.patch(name, &params, &patch)).await,
            Part::Status => {
                self.read("patch status of", &what, api.patch_status(name, &params, &patch)).await
            }
        }
    }

    /// Deletes the object with this uid, and what it owns after it; only of this resourceVersion, where one is given.
    /// One that is gone is deleted.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when another object has the name by now, or it is not of that version any more.
    pub async fn delete<K: Object>(&self, name: &str, uid: &str, version: Option<&str>) -> BackendResult<()> {
        let preconditions =
            Preconditions { uid: Some(uid.to_owned()), resource_version: version.map(str::to_owned) };
        let params = DeleteParams::background().preconditions(preconditions);
        let what = format!("{} {name}", K::kind(&()));
        let api = self.lean::<K>();
        let deleted = self.within("delete", &what, api.delete(name, &params)).await;
        match deleted {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    async fn read<K>(
        &self,
        operation: &'static str,
        what: &str,
        call: impl Future<Output = Result<Lean<K>, kube::Error>>,
    ) -> BackendResult<K> {
        self.within(operation, what, call).await.map(|Lean(object)| object)
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        what: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> BackendResult<T> {
        match tokio::time::timeout(DEADLINE, call).await {
            Ok(answer) => answer.map_err(|error| backend_error(operation, what, error)),
            Err(_elapsed) => {
                let message = format!("{what}: no answer within {} s", DEADLINE.as_secs());
                Err(BackendError::new("kubernetes", operation, ErrorKind::Transient, message))
            }
        }
    }
}

/// Which part of an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "these are the parts that are written")]
pub enum Part {
    /// All but the status.
    Whole,
    /// The status.
    Status,
}

/// Asks for strict field validation, which the client's parameters do not offer for a creation.
fn strict(mut request: http::Request<Vec<u8>>) -> Result<http::Request<Vec<u8>>, kube::Error> {
    let uri = request.uri().to_string();
    let separator = if uri.contains('?') { '&' } else { '?' };
    *request.uri_mut() = format!("{uri}{separator}fieldValidation=Strict")
        .parse()
        .map_err(|error: http::uri::InvalidUri| kube::Error::HttpError(error.into()))?;
    Ok(request)
}

/// A JSON patch that cannot be carried out, because a test does not hold or a path is not there, is answered with 422
/// and not with what is wrong; an object that would be invalid has its causes.
fn not_as_decided_on(mut error: kube::Error) -> kube::Error {
    if let kube::Error::Api(status) = &mut error
        && status.code == 422
        && status.details.as_ref().is_none_or(|details| details.causes.is_empty())
    {
        status.code = 409;
        "it is not as it was when this was decided on: somebody else has written to it"
            .clone_into(&mut status.message);
    }
    error
}
