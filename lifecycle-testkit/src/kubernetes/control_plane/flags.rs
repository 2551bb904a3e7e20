//! How each component is started.

use std::path::Path;
use std::process::Command;

use super::ControlPlaneOptions;
use super::binary::Binaries;
use super::files::Files;

/// What a cluster of Deployments, Services and nodes needs; the rest would only cost time.
const CONTROLLERS: [&str; 11] = [
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "taint-eviction-controller",
];

/// etcd on a unix socket. Peers dial the other port, and there are none.
pub(super) fn etcd(binaries: &Binaries, files: &Files) -> Command {
    let mut command = binaries.command("etcd");
    command.args([
        format!("--data-dir={}", files.path("etcd").display()),
        format!("--listen-client-urls=unix://{}", files.path("etcd.sock").display()),
        "--advertise-client-urls=http://localhost:2379".to_owned(),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]);
    command
}

/// The API server: tokens, RBAC, an audit log, and no ServiceAccount admission, because the node hands out tokens itself.
pub(super) fn api_server(
    binaries: &Binaries,
    files: &Files,
    options: &ControlPlaneOptions,
    port: u16,
) -> Command {
    let file = |name| files.path(name).display().to_string();
    let mut command = binaries.command("kube-apiserver");
    command.args([
        format!("--etcd-servers=unix://{}", file("etcd.sock")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-cluster-ip-range=172.20.0.0/16".to_owned(),
        format!("--default-not-ready-toleration-seconds={}", options.eviction_after.as_secs()),
        format!("--default-unreachable-toleration-seconds={}", options.eviction_after.as_secs()),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.json")),
        format!("--audit-log-path={}", file("audit.log")),
        // One file, whatever its size.
        "--audit-log-maxsize=0".to_owned(),
    ]);
    command
}

/// The controller manager, without a port of its own and without leader election.
pub(super) fn controller_manager(
    binaries: &Binaries,
    options: &ControlPlaneOptions,
    kubeconfig: &Path,
) -> Command {
    let grace = options.node_monitor_grace_period.as_millis();
    let mut command = binaries.command("kube-controller-manager");
    command.args([
        format!("--kubeconfig={}", kubeconfig.display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials".to_owned(),
        format!("--controllers={}", CONTROLLERS.join(",")),
        format!("--node-monitor-grace-period={grace}ms"),
        format!("--node-monitor-period={}ms", grace / 4),
        // The defaults are made for clusters that others use too.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]);
    command
}
