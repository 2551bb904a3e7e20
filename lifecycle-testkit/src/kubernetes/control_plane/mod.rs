//! A Kubernetes control plane on this machine: etcd, API server and controller manager, started in a few
//! seconds and gone when the test is.
//!
//! `just control-plane` builds the three into one binary. A folder of separate binaries is used instead when
//! `KUBEBUILDER_ASSETS` names one. There is no scheduler and no kubelet: pods stay pending until a
//! [node](super::node) takes them.
//!
//! With `LIFECYCLE_E2E_CLUSTER=existing` the cluster of `KUBECONFIG` is used. Users are then impersonated, and what
//! only the owner of a control plane can do (stopping parts of it, reading the audit log) is an error.
//!
//! ```no_run
//! use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let control_plane = ControlPlane::start(ControlPlaneOptions::new().user("viewer")).await?;
//! let begin = control_plane.moment()?;
//! let version = control_plane.client().await?.apiserver_version().await?;
//! assert_eq!(control_plane.requests_since(&begin).await?.len(), 1, "{version:?}");
//! # Ok(())
//! # }
//! ```

mod audit;
mod binary;
mod error;
mod existing;
mod files;
mod flags;
mod options;
mod own;

use std::env;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

pub use audit::{ApiRequest, Moment, counts};
pub use error::ControlPlaneError;
pub use options::ControlPlaneOptions;

use existing::Existing;
use files::ADMIN;
use own::Own;

/// How long the token of a ServiceAccount is good for: longer than any test.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// A running control plane. Dropping it stops its processes and removes their data; so does the end of the test's process,
/// whatever ends it.
#[derive(Debug)]
pub struct ControlPlane(Kind);

#[derive(Debug)]
enum Kind {
    Own(Box<Own>),
    Existing(Box<Existing>),
}

impl ControlPlane {
    /// Starts etcd, the API server and the controller manager, and returns when all of them work.
    ///
    /// # Errors
    /// When a program is missing (the error names the command that builds it), ends, or is not ready in time
    /// (the error shows the end of its log).
    pub async fn start(options: ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        match env::var("LIFECYCLE_E2E_CLUSTER").as_deref() {
            Ok("existing") => Ok(Self(Kind::Existing(Box::new(Existing::find()?)))),
            Ok("") | Err(_) => Ok(Self(Kind::Own(Box::new(Own::start(options).await?)))),
            Ok(other) => Err(ControlPlaneError::Cluster(format!("{other:?} is not \"existing\""))),
        }
    }

    /// A client that may do everything.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client, ControlPlaneError> {
        self.client_as(ADMIN).await
    }

    /// A client of a user named in the options.
    ///
    /// # Errors
    /// When no such user was named.
    pub async fn client_as(&self, user: &str) -> Result<Client, ControlPlaneError> {
        client(&self.kubeconfig(user)?).await
    }

    /// Writes a kubeconfig for a user named in the options, or `admin`. The file lives as long as the control plane.
    ///
    /// # Errors
    /// When no such user was named, or the file cannot be written.
    pub fn kubeconfig(&self, user: &str) -> Result<PathBuf, ControlPlaneError> {
        match &self.0 {
            Kind::Own(own) => own.kubeconfig(user),
            Kind::Existing(existing) => existing.kubeconfig(user, ADMIN),
        }
    }

    /// Asks the API server for a token of an existing ServiceAccount, and writes a kubeconfig with it.
    ///
    /// # Errors
    /// When there is no such ServiceAccount, or the file cannot be written.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf, ControlPlaneError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = answer.status.and_then(|status| status.token).unwrap_or_default();
        let file = format!("{namespace}.{name}");
        match &self.0 {
            Kind::Own(own) => own.token_kubeconfig(&file, &token),
            Kind::Existing(existing) => existing.token_kubeconfig(&file, &token),
        }
    }

    /// Where the API server is: `https://127.0.0.1:20443`.
    pub fn url(&self) -> &str {
        match &self.0 {
            Kind::Own(own) => own.url(),
            Kind::Existing(existing) => existing.url(),
        }
    }

    /// Kills the API server, as a crash would. Its data stay in etcd.
    ///
    /// # Errors
    /// On an existing cluster.
    pub async fn stop_api_server(&self) -> Result<(), ControlPlaneError> {
        self.own("stopping the API server")?.stop_api_server().await;
        Ok(())
    }

    /// Starts the API server again, on the same port and data, and returns when it is ready. Does nothing while it runs.
    ///
    /// # Errors
    /// When it does not get ready, and on an existing cluster.
    pub async fn start_api_server(&self) -> Result<(), ControlPlaneError> {
        self.own("starting the API server")?.start_api_server().await
    }

    /// Kills the controller manager: Deployments, ReplicaSets and EndpointSlices stand still.
    ///
    /// # Errors
    /// On an existing cluster.
    pub async fn stop_controller_manager(&self) -> Result<(), ControlPlaneError> {
        self.own("stopping the controller manager")?.stop_controller_manager().await;
        Ok(())
    }

    /// Starts the controller manager again. Does nothing while it runs.
    ///
    /// # Errors
    /// When it cannot be started, and on an existing cluster.
    pub async fn start_controller_manager(&self) -> Result<(), ControlPlaneError> {
        self.own("starting the controller manager")?.start_controller_manager().await
    }

    /// The present, for [`ControlPlane::requests_since`].
    ///
    /// # Errors
    /// On an existing cluster, or when the audit log cannot be read.
    pub fn moment(&self) -> Result<Moment, ControlPlaneError> {
        Moment::now(&self.own("reading the audit log")?.audit_log())
    }

    /// Every request that the API server has received since then, in order; answers that are still on their way are
    /// waited for, up to 5 s. A watch counts when it begins.
    ///
    /// # Errors
    /// On an existing cluster, or when the audit log cannot be read.
    pub async fn requests_since(&self, moment: &Moment) -> Result<Vec<ApiRequest>, ControlPlaneError> {
        moment.requests(&self.own("reading the audit log")?.audit_log()).await
    }

    /// Where the logs of the components are, for whoever looks into a failed test.
    ///
    /// # Errors
    /// On an existing cluster.
    pub fn logs(&self) -> Result<Vec<PathBuf>, ControlPlaneError> {
        Ok(self.own("reading the components' logs")?.logs())
    }

    fn own(&self, operation: &'static str) -> Result<&Own, ControlPlaneError> {
        match &self.0 {
            Kind::Own(own) => Ok(own),
            Kind::Existing(_) => Err(ControlPlaneError::Existing(operation)),
        }
    }
}

/// A client with what this kubeconfig says.
///
/// # Errors
/// When the file cannot be read or makes no sense.
pub async fn client(kubeconfig: &Path) -> Result<Client, ControlPlaneError> {
    let wrong =
        |source| ControlPlaneError::Kubeconfig { path: kubeconfig.to_owned(), source: Box::new(source) };
    let config = Kubeconfig::read_from(kubeconfig).map_err(wrong)?;
    let config =
        Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.map_err(wrong)?;
    Ok(Client::try_from(config)?)
}
