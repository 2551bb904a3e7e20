//! The operator as a process of its own.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::coordination::v1 as coordination;
use lifecycle_testkit::kubernetes::Supervised;

use super::{Stage, free_port, until, until_within};

/// The ServiceAccount that it runs as.
pub(super) const ACCOUNT: &str = "lifecycle-operator";

/// What a command of the program prints.
pub(super) fn lifecycle(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lifecycle")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An operator, killed when the test ends.
pub(crate) struct Operator {
    pub(crate) process: Supervised,
    pub(crate) listen: String,
    pub(crate) identity: String,
}

impl Operator {
    /// Lease duration, renew deadline and retry period, as short as they can be.
    pub(super) const QUICK_LEASE: [&str; 3] = ["6s", "4s", "200ms"];
    /// So long that it outlives an API server that is gone for a while, also on a busy machine.
    pub(super) const LONG_LEASE: [&str; 3] = ["60s", "50s", "1s"];

    /// An operator with this Lease: duration, renew deadline and retry period.
    pub(super) async fn start(stage: &Stage, identity: &str, lease: [&str; 3]) -> Self {
        let kubeconfig =
            stage.control_plane.service_account_kubeconfig(&stage.namespace, ACCOUNT).await.unwrap();
        Self::start_by(&kubeconfig, stage, identity, lease).await
    }

    /// The same, which reaches the API server as this kubeconfig says.
    pub(super) async fn start_by(
        kubeconfig: &Path,
        stage: &Stage,
        identity: &str,
        [duration, deadline, period]: [&str; 3],
    ) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle"));
        command.env("KUBECONFIG", kubeconfig).env("RUST_LOG", "info").args([
            "operator",
            "--watch-namespace",
            &stage.namespace,
            "--lease-namespace",
            &stage.namespace,
            "--identity",
            identity,
            "--listen",
            &listen,
            "--lease-duration",
            duration,
            "--renew-deadline",
            deadline,
            "--retry-period",
            period,
        ]);
        if let Some(url) = stage.prometheus.as_deref() {
            command.args(["--prometheus", url]);
        }
        let log = std::env::temp_dir().join(format!("lifecycle-{}-{identity}-{listen}.log", stage.namespace));
        let process = Supervised::start(identity, &command, &log).unwrap();
        let mut operator = Self { process, listen, identity: identity.to_owned() };
        operator.until_alive().await;
        operator
    }

    async fn until_alive(&mut self) {
        until_within(Duration::from_secs(20), "the operator answers", async || {
            if self.process.exited().unwrap().is_some() {
                panic!("the operator has ended: {}", self.process.log_tail());
            }
            tokio::net::TcpStream::connect(&self.listen)
                .await
                .map_err(|error| (error, self.process.log_tail()))
        })
        .await;
    }

    /// Waits until it leads.
    pub(crate) async fn until_leading(&self, stage: &Stage) {
        until(&format!("{} leads", self.identity), async || {
            let lease = stage.api::<coordination::Lease>().get_opt("lifecycle-operator").await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            if holder.as_deref() == Some(&*self.identity) { Ok(()) } else { Err(holder) }
        })
        .await;
    }

    /// What it tells Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let mut connection = std::net::TcpStream::connect(&self.listen).unwrap();
        connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Is it the process that was started, all the while?
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.exited().unwrap().is_none()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// What it has logged last.
    pub(crate) fn log(&self) -> String {
        self.process.log_tail()
    }
}
