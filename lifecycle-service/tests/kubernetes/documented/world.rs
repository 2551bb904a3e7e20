//! What somebody has who follows the documentation: a cluster of their own, its nodes, Prometheus, and users.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use lifecycle_testkit::kubernetes::Supervised;
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifecycle_testkit::kubernetes::load::{Load, LoadOptions};
use lifecycle_testkit::kubernetes::node::{Image, Node, NodeOptions};
use lifecycle_testkit::kubernetes::prometheus::{Prometheus, PrometheusOptions};
use tempfile::TempDir;

use super::console::Step;
use crate::support::until_within;

/// Where the documentation deploys its example, and what that is called.
const SHOP: &str = "shop";
const AGENT: &str = "edge-agent";

/// No command takes longer.
const PATIENCE: Duration = Duration::from_secs(150);

pub(super) struct World {
    _load: Load,
    _prometheus: Prometheus,
    _node: Node,
    _control_plane: ControlPlane,
    prometheus: String,
    kubeconfig: PathBuf,
    files: TempDir,
}

impl World {
    /// A cluster with nothing in it.
    pub(super) async fn start() -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        // a copy: the documentation changes the namespace in it
        let kubeconfig = files.path().join("kubeconfig");
        fs::copy(control_plane.kubeconfig("admin").unwrap(), &kubeconfig).unwrap();
        let read = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();

        let client = control_plane.client().await.unwrap();
        let prometheus =
            Prometheus::start(client.clone(), PrometheusOptions::new().namespace(SHOP)).await.unwrap();
        let app = Image::built("agent-app").unwrap().env("VERSION", "{tag}");
        let operator = Image::new(env!("CARGO_BIN_EXE_lifecycle"));
        let options =
            NodeOptions::new("node").image("agent-app", app).image("lifecycle", operator).api(&config);
        let node = Node::start(client.clone(), options).await.unwrap();
        // users, who are there whatever is deployed
        let load = Load::start(client, SHOP, AGENT, LoadOptions::new(60.0).post_share(0.33)).await.unwrap();
        let url = prometheus.url();
        Self {
            _load: load,
            _prometheus: prometheus,
            _node: node,
            _control_plane: control_plane,
            prometheus: url,
            kubeconfig,
            files,
        }
    }

    /// Runs a command and compares what it prints. Panics when it fails or prints something else.
    pub(super) async fn carry_out(&mut self, step: &Step) {
        let at = format!("docs/kubernetes.md:{}: $ {}", step.line, step.command);
        println!("{at}");
        let log = self.files.path().join(format!("{}.log", step.line));
        let mut process =
            Supervised::start("a command of the documentation", &self.bash(step), &log).unwrap();
        let printed = || fs::read_to_string(&log).unwrap();
        if step.is_interrupted {
            until_within(PATIENCE, &at, async || {
                let ended = process.exited().unwrap();
                assert_eq!(ended, None, "{at}\nended too early, after it printed:\n{}", printed());
                if step.begins(&printed()) { Ok(()) } else { Err(printed()) }
            })
            .await;
            process.terminate().unwrap();
        }
        let ended = until_within(PATIENCE, &at, async || process.exited().unwrap().ok_or_else(printed)).await;
        if step.is_interrupted {
            return;
        }
        let printed = printed();
        println!("{printed}");
        assert!(ended.success(), "{at}\nended with {ended}; it printed:\n{printed}");
        let shown = step.shown.join("\n");
        assert!(step.fits(&printed), "{at}\nprinted:\n{printed}\nbut is documented with:\n{shown}");
    }

    /// The command in a shell, with the built program before any other of its name.
    fn bash(&self, step: &Step) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_lifecycle")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut bash = Command::new("bash");
        // what is interrupted has to be the process itself, and not a shell around it
        let exec = if step.is_interrupted { "exec " } else { "set -o pipefail; " };
        bash.args(["-c", &format!("{exec}{}", step.command)]).current_dir(root).stdin(Stdio::null());
        bash.env("PATH", format!("{}:{path}", programs.display()));
        bash.env("KUBECONFIG", &self.kubeconfig).env("PROMETHEUS", &self.prometheus);
        bash.env_remove("NAMESPACE").env_remove("RUST_LOG");
        bash
    }
}
