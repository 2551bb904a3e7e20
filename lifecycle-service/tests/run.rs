//! `lifecycle run` when the machine does not play along. Nothing here needs an application.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const LIFECYCLE: &str = env!("CARGO_BIN_EXE_lifecycle");

/// A folder with a manifest that runs this command.
fn folder(command: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = format!(
        "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {{name: a}}\nspec:\n  version: 1.5.0\n  \
         progressDeadline: 2s\n  template: {{command: {command}}}\n"
    );
    fs::write(dir.path().join("agent.yaml"), manifest).expect("a manifest");
    dir
}

fn lifecycle(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(LIFECYCLE);
    command.current_dir(dir).args(args).env_remove("LIFECYCLE_STATE_DIR").output().expect("lifecycle starts")
}

fn one_line(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    stderr
}

#[test]
fn a_port_in_use_is_refused_in_one_line() {
    let dir = folder("[sleep, '60']");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let listen = taken.local_addr().expect("its address").to_string();
    let output = lifecycle(dir.path(), &["run", "agent.yaml", "--listen", &listen]);
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.starts_with(&format!("error: --listen {listen}: ")) && line.contains("in use"), "{line}");
}

#[test]
fn a_command_that_exits_at_once_fails_the_deployment_and_says_why() {
    let dir = folder("['false']");
    let output = lifecycle(dir.path(), &["run", "agent.yaml", "--listen", "127.0.0.1:0", "--output", "json"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("a line");
    assert_eq!((output.status.code(), &last["outcome"]), (Some(1), &"failed".into()), "{stdout}");
    let trouble = lines.iter().find(|line| line["name"] == "Trouble").expect("the trouble is told");
    assert!(trouble["message"].as_str().is_some_and(|message| message.contains("status 1")), "{trouble}");
    let down = lifecycle(dir.path(), &["down"]);
    assert_eq!(down.status.code(), Some(0), "{}", String::from_utf8_lossy(&down.stderr));
}

/// A limit of 0 bytes a file stands for a full disk.
#[test]
fn a_full_disk_is_told_by_the_name_of_the_file_and_starts_nothing() {
    let dir = folder("[sleep, '60']");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" run agent.yaml --listen 127.0.0.1:0";
    let output = Command::new("sh").current_dir(dir.path()).args(["-c", script, LIFECYCLE]).output();
    let output = output.expect("sh starts");
    let line = one_line(&output);
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains(".lifecycle/"), "{line}");
    let down = lifecycle(dir.path(), &["down"]);
    assert_eq!(down.status.code(), Some(0), "{}", String::from_utf8_lossy(&down.stderr));
}
