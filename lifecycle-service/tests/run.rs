//! `lifecycle run` when the machine or the person does not play along, and what `status` and `down` say
//! then. Nothing here needs an application.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const LIFECYCLE: &str = env!("CARGO_BIN_EXE_lifecycle");
const RUN: [&str; 6] = ["run", "agent.yaml", "--listen", "127.0.0.1:0", "--output", "json"];

/// A folder with a manifest; whatever was started in it is stopped when it is dropped.
struct Folder(TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        if self.path().join(".lifecycle").is_dir() {
            lifecycle(self.path(), &["down"]);
        }
    }
}

impl Folder {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, name: &str, spec: &str) {
        let manifest = format!(
            "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {{name: {name}}}\nspec:\n  \
             version: 1.5.0\n  {spec}\n"
        );
        fs::write(self.path().join(file), manifest).expect("a manifest");
    }

    /// The exit status, and what was printed.
    fn say(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = lifecycle(self.path(), args);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("text"))
    }

    fn status(&self) -> Value {
        let (code, text) = self.say(&["status", "--output", "json"]);
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn start(&self, args: &[&str]) -> Child {
        Command::new(LIFECYCLE)
            .current_dir(self.path())
            .args(args)
            .env_remove("LIFECYCLE_STATE_DIR")
            .stdout(Stdio::piped())
            .spawn()
            .expect("lifecycle starts")
    }
}

/// A folder with a manifest that runs this command.
fn folder(command: &str) -> Folder {
    with_spec(&format!("progressDeadline: 2s\n  template: {{command: {command}}}"))
}

fn with_spec(spec: &str) -> Folder {
    let folder = Folder(tempfile::tempdir().expect("a directory"));
    folder.write("agent.yaml", "edge-agent", spec);
    folder
}

fn lifecycle(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(LIFECYCLE);
    command.current_dir(dir).args(args).env_remove("LIFECYCLE_STATE_DIR").output().expect("lifecycle starts")
}

/// On a disk without room: a limit of 0 bytes a file.
fn without_room(dir: &Path, args: &str) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" {args}");
    let output = Command::new("sh").current_dir(dir).args(["-c", &script, LIFECYCLE]).output();
    output.expect("sh starts")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success(), "{name} was not sent");
}

/// Reads what a run prints until a line is like this.
fn until(child: &mut Child, what: &str, is_it: impl Fn(&Value) -> bool) {
    let mut lines = BufReader::new(child.stdout.as_mut().expect("its output")).lines();
    let found =
        lines.by_ref().any(|line| is_it(&serde_json::from_str(&line.expect("a line")).expect("JSON")));
    assert!(found, "{what} was never printed");
}

fn one_line(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    stderr
}

fn outcome(stdout: &str) -> Value {
    let last: Value = serde_json::from_str(stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["kind"], "outcome", "{stdout}");
    last
}

fn reason(outcome: &Value) -> &str {
    outcome["reason"].as_str().expect("a reason")
}

#[test]
fn a_port_in_use_is_refused_in_one_line_and_leaves_nothing_behind() {
    let dir = folder("[sleep, '60']");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let listen = taken.local_addr().expect("its address").to_string();
    let output = lifecycle(dir.path(), &["run", "agent.yaml", "--listen", &listen]);
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.starts_with(&format!("error: --listen {listen}: ")), "{line}");
    assert_eq!((line.matches("in use").count(), line.matches("error: ").count()), (1, 1), "{line}");
    assert!(!dir.path().join(".lifecycle").exists(), "a state directory was left");
}

#[test]
fn a_command_that_exits_at_once_fails_the_deployment_and_says_why() {
    let dir = folder("['false']");
    let (code, stdout) = dir.say(&RUN);
    let last = outcome(&stdout);
    assert_eq!((code, &last["outcome"]), (Some(1), &"failed".into()), "{stdout}");
    assert!(stdout.contains(r#""name":"Trouble""#), "{stdout}");
    let (why, log) = reason(&last).split_once("; log: ").expect("where the log is");
    assert!(why.contains("exited with status 1"), "{why}");
    assert!(Path::new(log).is_file(), "{log:?} is no file");

    // A second run starts nothing, and does not claim that it has.
    let (code, stdout) = dir.say(&RUN);
    let last = outcome(&stdout);
    let begins =
        "1.5.0 failed before (a new replica failed its readiness verdict 3 times: exited with status 1";
    let ends = "); `lifecycle retry` tries it again, or change the manifest";
    let says = reason(&last);
    assert!(code == Some(1) && says.starts_with(begins) && says.ends_with(ends), "{stdout}");
    let (code, text) = dir.say(&["run", "agent.yaml"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("failed: nothing serves, nothing was started"), "{text}");
    assert!(text.contains("no replica is ready") && !text.contains("serving at"), "{text}");
}

#[test]
fn a_full_disk_is_told_by_the_name_of_the_file_and_starts_nothing() {
    let dir = folder("[sleep, '60']");
    let output = without_room(dir.path(), "run agent.yaml --listen 127.0.0.1:0");
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains(".lifecycle/"), "{line}");
    assert_eq!(line.matches("File too large").count(), 1, "{line}");
    assert!(!dir.path().join(".lifecycle").exists(), "a state directory was left");
}

#[test]
fn a_manifest_that_says_paused_waits_and_says_how_it_starts() {
    let dir = with_spec("paused: true\n  template: {command: [sleep, '60']}");
    let (code, stdout) = dir.say(&RUN);
    let last = outcome(&stdout);
    let says = "the spec says paused; 1.5.0 waits, `lifecycle resume` starts it";
    assert_eq!((code, &last["outcome"], reason(&last)), (Some(1), &"paused".into(), says), "{stdout}");
    assert!(!stdout.contains("RolloutStarted"), "{stdout}");
    let (_, text) = dir.say(&["run", "agent.yaml"]);
    assert!(text.contains("paused: nothing is promoted yet, nothing was started"), "{text}");
}

#[test]
fn another_name_in_the_same_state_directory_is_refused() {
    let dir = with_spec("paused: true\n  template: {command: [sleep, '60']}");
    assert_eq!(dir.say(&RUN).0, Some(1));
    dir.write("other.yaml", "billing", "template: {command: [sleep, '60']}");
    let output = lifecycle(dir.path(), &["run", "other.yaml"]);
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.contains("belongs to edge-agent, not to billing"), "{line}");
    assert!(line.contains("--state-dir") && line.contains("lifecycle down --clean"), "{line}");

    let (code, text) = dir.say(&["down"]);
    assert!(code == Some(0) && text.contains("`lifecycle down --clean` forgets it"), "{text}");
    assert_eq!(dir.say(&["run", "other.yaml"]).0, Some(2), "it is kept after down");
    assert_eq!(dir.say(&["down", "--clean"]).0, Some(0));
    assert!(!dir.path().join(".lifecycle").exists(), "something was kept");
}

#[test]
fn a_hook_that_cannot_be_called_is_refused_before_anything_moves() {
    let dir = with_spec("hooks: [{on: smoke, url: 'https://x/'}]\n  template: {command: [sleep, '60']}");
    let output = lifecycle(dir.path(), &["run", "agent.yaml", "--listen", "127.0.0.1:0"]);
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.contains("spec.hooks[0].url: ") && line.contains("speaks no https"), "{line}");
    assert!(!dir.path().join(".lifecycle").exists(), "something has moved");
}

/// Of a first deployment that never gets ready: who drives it, and what is left of it.
#[test]
fn status_says_who_drives_and_what_still_runs() {
    let dir = with_spec("template: {command: [sleep, '60']}");
    let mut run = dir.start(&RUN);
    until(&mut run, "a replica", |line| line["canary"]["desired"] == 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while dir.status()["canary"]["desired"] != 1 {
        assert!(Instant::now() < deadline, "{}", dir.status());
    }
    let status = dir.status();
    assert_eq!((&status["phase"], &status["driver"]), (&"progressing".into(), &run.id().into()), "{status}");
    assert_eq!(status["proxy"]["answers"], true, "{status}");
    let (code, line) = dir.say(&["down"]);
    assert_eq!(code, Some(1), "{line}");
    assert!(line.contains(&format!("process {} drives", run.id())) && line.contains("Ctrl-C"), "{line}");

    signal(&run, "-KILL");
    run.wait().expect("its end");
    let status = dir.status();
    assert_eq!(
        (&status["phase"], &status["outcome"]),
        (&"interrupted".into(), &"interrupted".into()),
        "{status}"
    );
    assert_eq!(status["driver"], Value::Null, "{status}");
    let (_, text) = dir.say(&["status"]);
    assert!(text.contains("interrupted: step 1; `lifecycle run MANIFEST` goes on"), "{text}");
    assert!(text.contains("driven by   nobody"), "{text}");

    let output = without_room(dir.path(), "down");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("was stopped") && said.contains("could not be recorded"), "{said}");
    let status = dir.status();
    assert_eq!((&status["phase"], &status["proxy"]["pid"]), (&"stopped".into(), &Value::Null), "{status}");
    let (_, text) = dir.say(&["status"]);
    assert!(text.contains("stopped") && text.contains("no request is taken"), "{text}");
}

/// `--supervise` goes on until Ctrl-C, which before the end of the rollout is an interruption.
#[test]
fn the_end_of_a_supervised_run_has_the_exit_status_of_its_rollout() {
    for (deadline, seen, code) in [("2s", "WentBack", 1), ("10m", "RolloutStarted", 130)] {
        let dir = with_spec(&format!("progressDeadline: {deadline}\n  template: {{command: ['false']}}"));
        let mut run = dir.start(&[&RUN[..], &["--supervise"]].concat());
        until(&mut run, seen, |line| line["name"] == seen);
        signal(&run, "-INT");
        assert_eq!(run.wait().expect("its end").code(), Some(code), "{seen}");
    }
}
