//! The real kubectl.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const MISSING: &str = "kubectl is missing; install it with: apt-get install kubernetes-client";

/// Runs kubectl in a namespace: what it printed, or what it said when it failed.
pub(super) fn run(kubeconfig: &Path, namespace: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .args(["--namespace", namespace])
        .args(args)
        .output()
        .expect(MISSING);
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// `kubectl apply -f -`.
pub(super) fn apply(kubeconfig: &Path, namespace: Option<&str>, manifest: &str) {
    let mut kubectl = Command::new("kubectl");
    kubectl.env("KUBECONFIG", kubeconfig).args(["apply", "-f", "-"]);
    if let Some(namespace) = namespace {
        kubectl.args(["--namespace", namespace]);
    }
    let mut child =
        kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect(MISSING);
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "kubectl apply: {}\n{manifest}",
        String::from_utf8_lossy(&output.stderr)
    );
}
