//! Bad input, whatever it is, is one line that names the file and the field, exit status 2, and
//! nothing changed.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A manifest with these lines in its spec.
fn manifest(spec: &str) -> Vec<u8> {
    format!("apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {{name: a}}\nspec:\n{spec}")
        .into_bytes()
}

/// Where a good manifest would run, and what it would run.
const GOOD: &str = "  version: 1.5.0\n  replicas: 2\n  template: {command: [sh]}\n";

fn lifecycle(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lifecycle"))
        .current_dir(dir)
        .args(args)
        .env_remove("LIFECYCLE_STATE_DIR")
        .output()
        .expect("lifecycle starts")
}

/// The one line of an error, or what is wrong with it.
#[track_caller]
fn refused(output: &Output, what: &str) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{what}: {stderr}");
    assert!(output.stdout.is_empty(), "{what} printed {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(stderr.trim_end().lines().count(), 1, "{what}: {stderr}");
    assert!(stderr.len() < 500, "{what}: {} bytes", stderr.len());
    stderr.trim_end().strip_prefix("error: ").unwrap_or_else(|| panic!("{what}: {stderr}")).to_owned()
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// What the line says after the name of the file.
    says: &'static str,
}

fn cases() -> Vec<Case> {
    let spec = |name, spec: &str, says| Case { name, bytes: manifest(spec), says };
    let with = |name, line: &str, says| Case { name, bytes: manifest(&format!("{GOOD}  {line}\n")), says };
    let raw = |name, bytes: Vec<u8>, says| Case { name, bytes, says };
    vec![
        with("an unknown field", "replicaz: 3", "spec.replicaz: "),
        with("an unknown field of a section", "rolling: {maxSurgee: 1}", "spec.rolling.maxSurgee: "),
        with("a wrong unit", "drain: 5 parsecs", "spec.drain: "),
        with("a number without a unit", "drain: 5", "spec.drain: "),
        with("a negative duration", "progressDeadline: -10m", "spec.progressDeadline: "),
        with(
            "weights that fall",
            "canary: {steps: [{setWeight: 50}, {setWeight: 10}]}",
            "spec.canary.steps[1].setWeight: ",
        ),
        with("a weight above 100", "canary: {steps: [{setWeight: 120}]}", "spec.canary.steps[0].setWeight: "),
        with("zero surge and zero unavailable", "rolling: {maxSurge: 0, maxUnavailable: 0}", "spec.rolling"),
        with("a surge in words", "rolling: {maxSurge: some}", "spec.rolling.maxSurge: "),
        with("an unknown strategy", "strategy: yolo", "spec.strategy: "),
        with(
            "a check that is none",
            "analysis: {checks: [\"error_rate < 5 minutes\"]}",
            "spec.analysis.checks[0]: ",
        ),
        with("an unknown hook", "hooks: [{on: never, url: \"http://localhost/\"}]", "spec.hooks[0].on: "),
        spec("a version that is none", "  version: abc\n  replicas: 1\n", "spec.version: "),
        spec("a version without quotes", "  version: 1.10\n  replicas: 1\n", "spec.version: "),
        spec("no version", "  replicas: 1\n", "spec.version: "),
        spec("no replicas", "  version: 1.5.0\n  replicas: 0\n", "spec.replicas: "),
        spec("negative replicas", "  version: 1.5.0\n  replicas: -3\n", "spec.replicas: "),
        spec("replicas in words", "  version: 1.5.0\n  replicas: many\n", "spec.replicas: "),
        raw("an empty file", Vec::new(), ""),
        raw("only a comment", b"# nothing\n".to_vec(), ""),
        raw("10 MB", manifest(&format!("{GOOD}  agentId: {}\n", "a".repeat(10 << 20))), ""),
        raw(
            "deeply nested YAML",
            format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)).into_bytes(),
            "",
        ),
        raw(
            "deeply nested mappings",
            (0..2000).map(|n| " ".repeat(n) + "a:\n").collect::<String>().into_bytes(),
            "",
        ),
        raw("aliases that multiply", bomb(), ""),
        raw("no UTF-8", b"spec: \xff\xfe".to_vec(), ""),
        raw("no YAML", b"a: [b\nc: }".to_vec(), ""),
        raw("another kind", b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".to_vec(), ""),
        raw("two documents", [manifest(GOOD), b"---\n".to_vec(), manifest(GOOD)].concat(), ""),
    ]
}

/// A small text that would be billions of values.
fn bomb() -> Vec<u8> {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        text += &format!("a{n}: &a{n} [*a{m}, *a{m}]\n", m = n - 1);
    }
    text.into_bytes()
}

fn files() -> (TempDir, Vec<(Case, PathBuf)>) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = cases().into_iter().enumerate().map(|(n, case)| {
        let path = dir.path().join(format!("case-{n}.yaml"));
        fs::write(&path, &case.bytes).expect("a file");
        (case, path)
    });
    let files = files.collect();
    (dir, files)
}

#[test]
fn a_bad_manifest_is_refused_in_one_line_by_every_subcommand() {
    let (dir, files) = files();
    for (Case { name, says, .. }, path) in &files {
        let path = path.to_str().expect("a path");
        for subcommand in ["simulate", "plan", "run"] {
            let line = refused(&lifecycle(dir.path(), &[subcommand, path]), &format!("{subcommand}: {name}"));
            let problem = line.strip_prefix(&format!("{path}: ")).unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(problem.starts_with(says), "{subcommand}: {name}: {line}");
            assert!(problem.len() > says.len(), "{subcommand}: {name} says nothing: {line}");
        }
    }
    assert!(!dir.path().join(".lifecycle").exists(), "a refused run has left something behind");
}

#[test]
fn what_is_no_file_is_refused_by_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    for (path, says) in
        [("missing.yaml", "missing.yaml: no such file"), (".", ".: is a directory, not a file")]
    {
        for subcommand in ["simulate", "plan", "run"] {
            assert_eq!(refused(&lifecycle(dir.path(), &[subcommand, path]), path), says);
        }
    }
}

#[test]
fn a_good_manifest_is_not_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("good.yaml"), manifest(GOOD)).expect("a file");
    for subcommand in ["simulate", "plan"] {
        let output = lifecycle(dir.path(), &[subcommand, "good.yaml"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_bad_scenario_is_refused_with_its_field() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("good.yaml"), manifest(GOOD)).expect("a file");
    for (scenario, says) in [
        ("clusters: {}", "clusters"),
        ("cluster: {podStart: 20}", "cluster.podStart"),
        ("cluster: {podStart: 20 parsecs}", "cluster.podStart"),
        ("cluster: {router: magic}", "cluster.router"),
        ("versions: {abc: {errorRate: 1%}}", "versions"),
        ("versions: {\"1.5.0\": {errorRate: 200%}}", "versions"),
        ("versions: {\"1.5.0\": {ready: soon}}", "versions"),
        ("initial: {version: \"1.4.0\", replicas: 0}", "initial.replicas"),
        ("events: [{at: 5m}]", "events[0]"),
        ("events: [{at: -5m, command: pause}]", "events[0].at"),
        ("events: [{at: 5m, command: dance}]", "events[0].command"),
        ("events: [{at: 5m, fault: gremlins}]", "events[0].fault"),
        ("until: never", "until"),
        ("[", ""),
    ] {
        fs::write(dir.path().join("scenario.yaml"), scenario).expect("a file");
        let line = refused(
            &lifecycle(dir.path(), &["simulate", "good.yaml", "--scenario", "scenario.yaml"]),
            scenario,
        );
        let problem = line.strip_prefix("scenario.yaml: ").unwrap_or_else(|| panic!("{scenario}: {line}"));
        assert!(problem.starts_with(says), "{scenario}: {line}");
    }
    let missing = lifecycle(dir.path(), &["simulate", "good.yaml", "--scenario", "missing.yaml"]);
    assert_eq!(refused(&missing, "a missing scenario"), "missing.yaml: no such file");
}

#[test]
fn a_command_needs_a_state_directory_and_a_version() {
    let dir = tempfile::tempdir().expect("a directory");
    for subcommand in ["pause", "resume", "promote", "abort", "retry", "rollback", "status", "down"] {
        let line = refused(&lifecycle(dir.path(), &[subcommand]), subcommand);
        assert!(line.starts_with(".lifecycle: no such state directory"), "{line}");
    }
    let line = refused(&lifecycle(dir.path(), &["rollback", "--to-version", "abc"]), "rollback");
    assert!(line.starts_with("--to-version: \"abc\" is not a version"), "{line}");
    assert!(!dir.path().join(".lifecycle").exists());
}

#[test]
fn a_run_refuses_a_manifest_that_it_cannot_watch() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = refused(&lifecycle(dir.path(), &["run", "-"]), "run -");
    assert!(line.starts_with("-: `run` follows edits of its manifest"), "{line}");
    assert!(!dir.path().join(".lifecycle").exists());
}
