//! A node that runs pods as processes of this machine: what a kubelet does, as far as rollouts can tell.
//!
//! - It registers itself, binds pending pods (no scheduler is needed), and runs each container as a process.
//!   Images are names for programs: [`NodeOptions::image`].
//! - A pod listens on an address of its own, `127.a.b.c`, in its environment as `POD_IP` and `HOST`, with its
//!   first container port as `PORT`. Kubernetes is told `10.a.b.c`, because EndpointSlices refuse loopback
//!   addresses; [`dial`] turns one into the other. A field reference to `status.podIP` is the address that
//!   the process can listen on.
//! - Probes (`httpGet`, `tcpSocket`), restarts with back-off, pull errors, preStop (`sleep`, `httpGet`), grace
//!   periods, and the status of the pod are those of a kubelet. A container that asks for what the node does not
//!   know (init containers, volumes, `exec`) waits, with a message that says so.
//! - A pod that names a ServiceAccount finds a kubeconfig with a token of its own at `KUBECONFIG`.
//! - What goes wrong on real nodes can be made to happen: see the methods of [`Node`].
//! - Every process ends with the [`Node`], however that ends: by `drop`, a panic, or SIGKILL of the program.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use lifecycle_testkit::kubernetes::node::{Image, Node, NodeOptions};
//!
//! let client = kube::Client::try_default().await?;
//! let agent = Image::new("target/debug/agent-app").env("VERSION", "{tag}");
//! let node = Node::start(client, NodeOptions::new("node-1").image("agent-app", agent)).await?;
//! // ... a Deployment of `agent-app:1.5.0` gets Ready ...
//! node.kill("default", "web-7d4b9c6f5-x2x4z")?;
//! node.stop().await?;
//! # Ok(()) }
//! ```

mod access;
mod address;
mod back_off;
mod container;
mod control;
mod env;
mod error;
mod facts;
mod faults;
mod follow;
mod guard;
mod image;
mod mark;
mod options;
mod pod;
mod pods;
mod probes;
mod pull;
mod refs;
mod register;
mod retry;
mod shared;
mod status;
mod stop;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use lifecycle_local::supervise::kill_all;
use tempfile::TempDir;
use tokio::task::JoinSet;

pub use address::dial;
pub use control::Loss;
pub use error::NodeError;
pub use faults::ProbeKind;
pub use image::Image;
pub use options::{Mode, NodeOptions};

use address::Addresses;
use follow::Follower;
use guard::Guard;
use shared::Shared;

/// How long processes may take to end after SIGKILL.
const KILLED: Duration = Duration::from_secs(10);

/// A node that runs pods. When it is dropped its processes are killed and its pods stay as they are, like
/// those of a machine that lost its power; [`Node::stop`] also takes the Node object away.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
    // in this order: the guard finds nothing left to do, and removes nothing that is still in use
    _guard: Guard,
    _dir: Option<TempDir>,
}

impl Node {
    /// Registers a node and begins to work. The client needs the rights of an administrator.
    ///
    /// # Errors
    /// When the API server refuses the node, or this machine a folder, a shell or a network of addresses.
    pub async fn start(client: Client, options: NodeOptions) -> Result<Self, NodeError> {
        let temporary = match &options.dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(NodeError::io("make a temporary folder"))?),
        };
        let dir = match (&temporary, &options.dir) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, dir) => dir.clone().unwrap_or_default(),
        };
        std::fs::create_dir_all(&dir).map_err(NodeError::io("create the folder of logs"))?;
        let addresses = Addresses::claim().map_err(NodeError::io("claim a network of addresses"))?;
        // one node's at a time on this machine, by its network; one test's, by the time
        let token = token(&addresses);
        let guard = Guard::start(&token, temporary.as_ref().map(TempDir::path));
        let guard = guard.map_err(NodeError::io("start the shell that ends processes"))?;
        let shared = Arc::new(Shared::new(client, options, token, dir, addresses));
        register::register(&shared).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(register::heartbeat(Arc::clone(&shared)));
        tasks.spawn(Follower::new(Arc::clone(&shared)).run());
        Ok(Self { shared, _tasks: tasks, _guard: guard, _dir: temporary })
    }

    /// Kills all processes and takes the Node object away. Its pods are then the garbage collector's.
    ///
    /// # Errors
    /// When the API server does not delete the object; processes are killed all the same.
    pub async fn stop(self) -> Result<(), NodeError> {
        let (client, name) = (self.shared.client.clone(), self.shared.options.name.clone());
        drop(self);
        register::unregister(&client, &name).await
    }

    /// The name of the Node object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// Where logs are, one file a container: `NAMESPACE_POD_CONTAINER.log`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // tasks that are under way on other threads start nothing from here on
        self.shared.close();
        if let Err(error) = kill_all(&self.shared.token, KILLED) {
            tracing::error!(%error, "processes of a node are left");
        }
    }
}

/// Begins the token of every process of a node; no other node's begins so.
fn token(addresses: &Addresses) -> String {
    let [_, network, _, _] = addresses.node().octets();
    let now = k8s_openapi::jiff::Timestamp::now().as_nanosecond();
    format!("node{network}x{now:x}")
}
