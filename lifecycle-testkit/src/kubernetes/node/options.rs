//! What a node is told when it starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::access::ApiAccess;
use super::image::{Image, Images};

/// What a node does with the pods that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Each container is a process of this machine.
    Processes,
    /// No process: a pod is Running and Ready this long after it was bound, and gone as soon as it is
    /// deleted. Three calls a pod (bind, status, delete), for pods by the hundred. Nothing else can be made to
    /// happen to them.
    MarkReady {
        /// From the binding to Ready.
        after: Duration,
    },
}

/// How a [`Node`](super::Node) behaves.
///
/// ```
/// use lifecycle_testkit::kubernetes::node::{Image, NodeOptions};
///
/// // 1.5.0 and 1.4.0 are the same program, which is told its version; 1.6.0 is one that fails.
/// let options = NodeOptions::new("node-1")
///     .image("agent-app", Image::new("target/debug/agent-app").env("VERSION", "{tag}"))
///     .image("agent-app:1.6.0", Image::new("/bin/false"))
///     .time_scale(10.0);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NodeOptions {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) mode: Mode,
    pub(super) images: Images,
    pub(super) pull_time: Duration,
    pub(super) time_scale: f64,
    pub(super) lease_every: Duration,
    pub(super) capacity: usize,
    pub(super) binds: bool,
    pub(super) api: Option<ApiAccess>,
    pub(super) dir: Option<PathBuf>,
}

impl NodeOptions {
    /// A node of this name that runs pods as processes, knows no image yet, and takes up to 1000 pods.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: BTreeMap::new(),
            mode: Mode::Processes,
            images: Images::default(),
            pull_time: Duration::ZERO,
            time_scale: 1.0,
            lease_every: Duration::from_secs(1),
            capacity: 1000,
            binds: true,
            api: None,
            dir: None,
        }
    }

    /// Processes or marks; [`Mode::Processes`] unless said.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What an image runs. The name is the whole image (`agent-app:1.5.0`), or its repository
    /// (`registry.example/team/agent-app`) or the last part of that (`agent-app`) for all tags; the longest
    /// that fits counts. An image that no name fits cannot be pulled.
    pub fn image(mut self, name: impl Into<String>, image: Image) -> Self {
        self.images.insert(name.into(), image);
        self
    }

    /// How long the first pull of an image takes; 0 unless said.
    pub fn pull_time(mut self, time: Duration) -> Self {
        self.pull_time = time;
        self
    }

    /// How many times as fast as written the seconds of a pod pass: probe periods and delays (not timeouts), preStop
    /// sleeps, grace periods, and the back-offs of restarts and pulls. 1 unless said; at least 0.01.
    pub fn time_scale(mut self, factor: f64) -> Self {
        self.time_scale = if factor.is_finite() { factor.max(0.01) } else { 1.0 };
        self
    }

    /// How often the node says that it lives; 1 s unless said, which suits a controller manager that calls a
    /// node lost after 5 s. (A kubelet: 10 s and 50 s.)
    pub fn lease_every(mut self, every: Duration) -> Self {
        self.lease_every = every.max(Duration::from_millis(10));
        self
    }

    /// How many pods it takes; 1000 unless said. With several nodes, the way to spread pods.
    pub fn capacity(mut self, pods: usize) -> Self {
        self.capacity = pods;
        self
    }

    /// Does it bind pending pods to itself? Yes unless said: where a scheduler runs, say no.
    pub fn binds(mut self, binds: bool) -> Self {
        self.binds = binds;
        self
    }

    /// A label of the Node, which a pod's `nodeSelector` can ask for.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// How pods reach the API server: without it a pod that has a ServiceAccount does not start. Only address
    /// and certificate authority are taken from the configuration; each pod gets a token of its own.
    pub fn api(mut self, config: &kube::Config) -> Self {
        self.api = Some(ApiAccess::of(config));
        self
    }

    /// Where logs are kept, so that they can be read after the test; a temporary folder unless said.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// A time of a pod, as it passes on this node.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        time.div_f64(self.time_scale)
    }

    /// The seconds of a pod's field, as they pass on this node.
    pub(super) fn seconds(&self, seconds: i64) -> Duration {
        self.scaled(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }
}
