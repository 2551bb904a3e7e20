//! One rollout target on this machine: a state directory, a proxy's address, and the program
//! `lifecycle` that drives it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The program under test.
const LIFECYCLE: &str = env!("CARGO_BIN_EXE_lifecycle");
/// Whatever is waited for comes within this time, or never.
const DEADLINE: Duration = Duration::from_secs(120);

/// A rollout target; everything it started is stopped when it is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    dir: TempDir,
    /// Where its proxy listens.
    pub(crate) listen: SocketAddr,
}

impl Site {
    /// Nothing deployed yet.
    pub(crate) fn new() -> Self {
        let app = Path::new(LIFECYCLE).with_file_name("agent-app");
        assert!(
            app.is_file(),
            "{} is missing; build it with: cargo build --release -p lifecycle-examples --bin agent-app",
            app.display()
        );
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
        Self { dir: tempfile::tempdir().expect("a directory"), listen: free.expect("a free port") }
    }

    /// A manifest of examples/local.
    pub(crate) fn example(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/local").join(format!("{name}.yaml"))
    }

    /// A manifest of examples/local with other text in some places.
    pub(crate) fn edited(&self, name: &str, edits: &[(&str, &str)]) -> PathBuf {
        let text = std::fs::read_to_string(Self::example(name)).expect("an example");
        let text = edits.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{name} has no {from:?}");
            text.replace(from, to)
        });
        let path = self.dir.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).expect("a manifest");
        path
    }

    /// Starts `lifecycle run`. It and what it starts are told of a file that must not grow as of a full
    /// disk, by an error and not by a signal.
    pub(crate) fn run(&self, manifest: &Path) -> Driver {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", LIFECYCLE, "run"])
            .arg(manifest)
            .arg("--state-dir")
            .arg(self.state_dir())
            .args(["--listen", &self.listen.to_string(), "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("lifecycle starts");
        let stdout = child.stdout.take().expect("its output");
        Driver { child, lines: BufReader::new(stdout).lines(), seen: Vec::new() }
    }

    /// Runs a manifest to its end.
    pub(crate) async fn deploy(&self, manifest: &Path) -> Ended {
        self.run(manifest).ended().await
    }

    /// The answer of another subcommand: its exit status, output and errors.
    pub(crate) fn say(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = StdCommand::new(LIFECYCLE).args(args).arg("--state-dir").arg(self.state_dir()).output();
        let output = output.expect("lifecycle starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Stops everything, and sees that nothing is left.
    pub(crate) fn down(self) {
        let (code, _, errors) = self.say(&["down"]);
        assert_eq!(code, Some(0), "down: {errors}");
        assert!(std::net::TcpStream::connect(self.listen).is_err(), "the proxy still listens");
    }

    /// Where everything is that must survive.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The process of the proxy.
    pub(crate) fn proxy(&self) -> u32 {
        let recorded = std::fs::read(self.state_dir().join("proxy/process.json")).expect("a proxy");
        let recorded: Value = serde_json::from_slice(&recorded).expect("JSON");
        recorded["process"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.state_dir().is_dir() {
            // After a failed test; a passed one is down already.
            self.say(&["down"]);
        }
    }
}

/// A running `lifecycle run`.
#[derive(Debug)]
pub(crate) struct Driver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<Value>,
}

/// How a `lifecycle run` ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) code: Option<i32>,
    /// Its last line.
    pub(crate) outcome: Value,
    /// All of them.
    pub(crate) lines: Vec<Value>,
}

impl Driver {
    /// Waits for a line that is like this.
    pub(crate) async fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let found = async {
            while let Some(line) = self.next().await {
                if is_it(&line) {
                    return true;
                }
            }
            false
        };
        let found = timeout(DEADLINE, found).await;
        assert_eq!(found.ok(), Some(true), "{what} was never seen in\n{}", self.transcript());
    }

    /// SIGKILL, as a crash: no chance to say goodbye.
    pub(crate) async fn kill(mut self) {
        assert!(
            self.child.try_wait().expect("its status").is_none(),
            "it has ended before it could be killed"
        );
        self.child.kill().await.expect("killed");
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = self.pid().to_string();
        let sent = StdCommand::new("kill").args(["-INT", &pid]).status().expect("kill starts");
        assert!(sent.success(), "SIGINT could not be sent");
    }

    /// Every line so far.
    pub(crate) fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let rest = async { while self.next().await.is_some() {} };
        let over = timeout(DEADLINE, rest).await.is_ok();
        assert!(over, "it has not ended after\n{}", self.transcript());
        let status = self.child.wait().await.expect("its status");
        let outcome = self.seen.last().cloned().unwrap_or_default();
        assert_eq!(outcome["kind"], "outcome", "the last of\n{}", self.transcript());
        Ended { code: status.code(), outcome, lines: self.seen }
    }

    async fn next(&mut self) -> Option<Value> {
        let line = self.lines.next_line().await.expect("its output")?;
        let line: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"));
        self.seen.push(line.clone());
        Some(line)
    }

    fn transcript(&self) -> String {
        self.seen.iter().map(|line| format!("{line}\n")).collect()
    }
}
