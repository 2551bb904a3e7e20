//! One control plane for all tests of the file, with the definition of the resource in it.

use std::path::PathBuf;
use std::sync::{OnceLock, mpsc};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::runtime::{conditions::is_crd_established, wait::await_condition};
use kube::{Client, CustomResourceExt as _};
use lifecycle_core::spec::document;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::kubernetes::control_plane::{self, ControlPlane, ControlPlaneOptions};
use serde_json::Value;

/// Where the resource is.
pub(crate) const PATH: &str = "/apis/enis.andaon.com/v1/namespaces/default/agentdeployments";

/// A client that may do everything.
pub(crate) async fn client() -> Client {
    static KUBECONFIG: OnceLock<PathBuf> = OnceLock::new();
    let path = tokio::task::spawn_blocking(|| KUBECONFIG.get_or_init(start)).await.unwrap();
    control_plane::client(path).await.unwrap()
}

/// Starts it on a thread of its own, where it lives as long as the test's process.
fn start() -> PathBuf {
    let (told, ready) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
            let client = control_plane.client().await.unwrap();
            let definitions: Api<CustomResourceDefinition> = Api::all(client);
            let definition = document(include_str!("../../crd/agentdeployment.yaml"), "definition").unwrap();
            let name = AgentDeployment::crd_name();
            let apply = PatchParams::apply("validation").validation_strict();
            definitions.patch(name, &apply, &Patch::Apply(&definition)).await.unwrap();
            await_condition(definitions, name, is_crd_established()).await.unwrap();
            told.send(control_plane.kubeconfig("admin").unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    ready.recv().expect("the control plane did not start; why is above")
}

/// Creates an object, as `kubectl create` does: a field that is not known is an error.
pub(crate) async fn create(client: &Client, object: &Value, dry_run: bool) -> Result<Value, String> {
    send(
        client,
        PATH,
        object,
        if dry_run { "dryRun=All&fieldValidation=Strict" } else { "fieldValidation=Strict" },
    )
    .await
}

/// Creates an object by a request with these parameters; a refusal is its message.
pub(crate) async fn send(client: &Client, path: &str, object: &Value, query: &str) -> Result<Value, String> {
    let mut request =
        Request::new(path).create(&PostParams::default(), serde_json::to_vec(object).unwrap()).unwrap();
    *request.uri_mut() = format!("{path}?{query}").parse().unwrap();
    match client.request::<Value>(request).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("the API server did not answer: {error}"),
    }
}
