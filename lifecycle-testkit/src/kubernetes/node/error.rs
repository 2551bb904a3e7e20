//! What can go wrong with a node.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a node could not start, or could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The API server did not do what it was asked.
    #[error("cannot {action}: {source}")]
    Api {
        /// `register node node-1`.
        action: String,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// A folder, a shell or an address could not be had.
    #[error("cannot {action}: {source}")]
    Io {
        /// `create the folder of logs`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the workspace is not there.
    #[error("{0} is not built: run `cargo build --workspace --bin {0}` with the profile of the tests")]
    NotBuilt(String),
    /// The node has no such pod.
    #[error("node {node} has no pod {namespace}/{pod}")]
    NoPod {
        /// The node.
        node: String,
        /// Where the pod should be.
        namespace: String,
        /// What it should be called.
        pod: String,
    },
    /// The pod has no process for the moment.
    #[error("no container of pod {namespace}/{pod} runs")]
    NotRunning {
        /// Where the pod is.
        namespace: String,
        /// What it is called.
        pod: String,
    },
    /// A log cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NodeError {
    pub(super) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Api { action, source: Box::new(source) }
    }

    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
