//! What can go wrong with a control plane.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a control plane did not start, or did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlPlaneError {
    /// A program is not where it is looked for.
    #[error("{program} is missing, looked for at {}: run `just control-plane`, or set {hint}", looked_for.display())]
    Missing {
        /// Which one.
        program: String,
        /// Where it should be.
        looked_for: PathBuf,
        /// The environment variable that names another place.
        hint: &'static str,
    },
    /// A file or a process could not be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A component ended by itself.
    #[error("{component} ended with {status}; the end of its log:\n{log}")]
    Exited {
        /// Which one.
        component: String,
        /// How.
        status: String,
        /// Its last lines.
        log: String,
    },
    /// A component did not get ready in time.
    #[error("{component} was not ready after {seconds} s ({last}); the end of its log:\n{log}")]
    NotReady {
        /// Which one.
        component: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it answered last.
        last: String,
        /// Its last lines.
        log: String,
    },
    /// A key or a certificate could not be made.
    #[error("cannot make keys and certificates: {0}")]
    Keys(#[from] rcgen::Error),
    /// A kubeconfig could not be read.
    #[error("{}: {source}", path.display())]
    Kubeconfig {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// No such user was named in the options.
    #[error("no user {user} here; ControlPlaneOptions::user names those that there are: {known}")]
    UnknownUser {
        /// Who was asked for.
        user: String,
        /// Who there is.
        known: String,
    },
    /// The API server refused something.
    #[error("the API server: {0}")]
    Api(#[from] Box<kube::Error>),
    /// This cannot be done to a cluster that was not started here.
    #[error(
        "{0} is not possible with LIFECYCLE_E2E_CLUSTER=existing; unset it to use a control plane of the test's own"
    )]
    Existing(&'static str),
    /// LIFECYCLE_E2E_CLUSTER has another value than those known.
    #[error("LIFECYCLE_E2E_CLUSTER: {0}")]
    Cluster(String),
}

impl ControlPlaneError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl From<kube::Error> for ControlPlaneError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}
