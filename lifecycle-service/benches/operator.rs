//! What an operator costs: CPU, memory and API calls a rollout, and when nothing happens.
//!
//! `just bench-operator [N]` rolls out N AgentDeployments of two replicas each, from 1.4.0 to 1.5.0, by a canary of
//! two steps (50 % and 100 %, 2 s each), on a real API server with pods that are only marked ready, and prints a table.

#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

#[path = "../tests/kubernetes/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::kubernetes::Supervised;
use lifecycle_testkit::kubernetes::control_plane::{ControlPlane, ControlPlaneOptions, Moment, counts};
use lifecycle_testkit::kubernetes::node::{Mode, Node, NodeOptions};
use serde_json::{Value, json};

const NAMESPACE: &str = "default";

fn main() {
    let n = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    support::run(measure(n));
}

fn manifest(n: usize, version: &str) -> Value {
    let name = format!("agent-{n}");
    json!({
        "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": name},
        "spec": {
            "version": version, "strategy": "canary", "replicas": 2, "drain": "0s",
            "canary": {"steps": [{"setWeight": 50, "bake": "2s"}, {"setWeight": 100, "bake": "2s"}], "scaleDownDelay": "1s"},
            "analysis": {"checks": [], "interval": "1s", "window": "2s"},
            "template": {"spec": {"containers": [{"name": "app", "image": format!("app:{version}")}]}},
        },
    })
}

async fn measure(n: usize) {
    let control_plane: &'static ControlPlane =
        Box::leak(Box::new(ControlPlane::start(ControlPlaneOptions::new()).await.unwrap()));
    support::define(control_plane).await;
    let client = control_plane.client().await.unwrap();
    let mode = Mode::MarkReady { after: Duration::ZERO };
    let options = NodeOptions::new("node").mode(mode).capacity(4 * n + 10);
    let _node = Node::start(client.clone(), options).await.unwrap();
    let operator = start(control_plane).await;
    let agents: Api<AgentDeployment> = Api::namespaced(client, NAMESPACE);

    println!("{n} AgentDeployments, canary in two steps, two replicas each");
    println!("| | took | CPU | API calls | memory (peak) |\n|---|---|---|---|---|");
    for version in ["1.4.0", "1.5.0"] {
        let row = Row::begin(control_plane, &operator);
        futures::stream::iter(0..n).for_each_concurrent(16, |i| apply(&agents, manifest(i, version))).await;
        until_all(&agents, n, version).await;
        row.end(&format!("{version} everywhere"), n).await;
    }
    // what is written late is written within some seconds
    tokio::time::sleep(Duration::from_secs(10)).await;
    let row = Row::begin(control_plane, &operator);
    tokio::time::sleep(Duration::from_secs(60)).await;
    row.end("a minute without changes", n).await;
}

async fn start(control_plane: &ControlPlane) -> Supervised {
    let program = env!("CARGO_BIN_EXE_lifecycle");
    let rules = Command::new(program).args(["rbac", "--namespace", NAMESPACE]).output().unwrap();
    support::apply(control_plane, NAMESPACE, &String::from_utf8(rules.stdout).unwrap());
    let kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, "lifecycle-operator").await.unwrap();
    let mut command = Command::new(program);
    let listen = format!("127.0.0.1:{}", support::free_port());
    command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "warn");
    command.args(["operator", "--lease-namespace", NAMESPACE, "--listen", &listen]);
    let log = std::env::temp_dir().join(format!("lifecycle-operator-{listen}.log"));
    Supervised::start("operator", &command, &log).unwrap()
}

async fn apply(agents: &Api<AgentDeployment>, manifest: Value) {
    let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
    match agents.get_opt(&name).await.unwrap() {
        None => drop(
            agents.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap(),
        ),
        Some(_) => drop(agents.patch(&name, &PatchParams::default(), &Patch::Merge(manifest)).await.unwrap()),
    }
}

async fn until_all(agents: &Api<AgentDeployment>, n: usize, version: &str) {
    let within = Duration::from_secs(60 + n as u64);
    support::until_within(within, version, async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let all = agents.list(&kube::api::ListParams::default()).await.unwrap().items;
        let done = all.into_iter().filter(|agent| support::Agent::new(agent.clone()).is_healthy(version));
        let done = done.count();
        if done == n { Ok(()) } else { Err(done) }
    })
    .await;
}

/// What was spent since a moment.
struct Row<'a> {
    control_plane: &'a ControlPlane,
    operator: &'a Supervised,
    moment: Moment,
    began: Instant,
    cpu: Duration,
}

impl<'a> Row<'a> {
    fn begin(control_plane: &'a ControlPlane, operator: &'a Supervised) -> Self {
        let (moment, began) = (control_plane.moment().unwrap(), Instant::now());
        Self { control_plane, operator, moment, began, cpu: cpu(operator.pid()) }
    }

    async fn end(self, what: &str, n: usize) {
        let took = self.began.elapsed();
        let spent = cpu(self.operator.pid()) - self.cpu;
        let user = format!("system:serviceaccount:{NAMESPACE}:lifecycle-operator");
        let mut requests = self.control_plane.requests_since(&self.moment).await.unwrap();
        requests.retain(|request| request.user == user && !request.is_lease() && !request.is_watch());
        let each = |amount: f64| amount / n as f64;
        println!(
            "| {what} | {:.1} s | {:.2} s ({:.1} ms each) | {} ({:.1} each) | {:.1} MB |",
            took.as_secs_f64(),
            spent.as_secs_f64(),
            each(spent.as_secs_f64() * 1000.0),
            requests.len(),
            each(requests.len() as f64),
            peak(self.operator.pid()),
        );
        for ((_, verb, resource), calls) in counts(&requests) {
            println!("|   {verb} {resource} | | | {calls} | |");
        }
    }
}

/// CPU time of a process: fields 14 and 15 of its stat, in ticks of 10 ms.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The most memory a process has had, in MB.
fn peak(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}
