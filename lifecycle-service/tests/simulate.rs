//! The contract of `lifecycle simulate` and `lifecycle plan`: what they print, and their exit status.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn lifecycle(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle"));
    command.args(args).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("CLICOLOR");
    command
}

#[track_caller]
fn run(subcommand: &str, manifest: &str, args: &[&str]) -> String {
    let manifest = example(manifest);
    let output = lifecycle(&[subcommand]).arg(manifest).args(args).output().expect("lifecycle starts");
    let Output { status, stdout, stderr } = output;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    String::from_utf8(stdout).expect("text")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The last line of a simulation.
#[track_caller]
fn outcome(manifest: &str, args: &[&str]) -> Value {
    let all = lines(&run("simulate", manifest, &[&["--output", "json"], args].concat()));
    let last = all.last().expect("a line").clone();
    assert_eq!(last["kind"], "outcome");
    assert_eq!(last["violations"], serde_json::json!([]), "{manifest} {args:?}");
    last
}

#[test]
fn every_example_is_promoted() {
    for strategy in ["canary", "rolling", "blue-green", "recreate"] {
        let outcome = outcome(&format!("agent-{strategy}.yaml"), &[]);
        assert_eq!(
            (&outcome["outcome"], &outcome["version"]),
            (&"promoted".into(), &"1.5.0".into()),
            "{strategy}"
        );
        let refused = outcome["requests"]["refused"].as_u64().expect("a number");
        assert_eq!(refused == 0, strategy != "recreate", "{strategy} refused {refused}");
    }
}

#[test]
fn the_default_canary_takes_its_two_hours() {
    let end = outcome("agent-canary.yaml", &[])["atMs"].as_u64().expect("a time");
    let two_hours = 2 * 3600 * 1000;
    assert!((two_hours..two_hours + 600_000).contains(&end), "{end}");
}

#[test]
fn a_bad_version_is_rolled_back_with_status_0() {
    let scenario = example("scenarios/bad-version.yaml");
    let outcome = outcome("agent-canary.yaml", &["--scenario", scenario.to_str().expect("a path")]);
    assert_eq!(
        (&outcome["outcome"], &outcome["version"]),
        (&"rolledBack".into(), &"1.4.0".into()),
        "{outcome}"
    );
    assert!(outcome["reason"].as_str().is_some_and(|reason| reason.contains("error_rate")), "{outcome}");
}

#[test]
fn a_healthy_version_is_promoted_on_a_bad_day() {
    let scenario = example("scenarios/faults.yaml");
    let outcome = outcome("agent-canary.yaml", &["--scenario", scenario.to_str().expect("a path")]);
    assert_eq!(
        (&outcome["outcome"], &outcome["version"]),
        (&"promoted".into(), &"1.5.0".into()),
        "{outcome}"
    );
}

#[test]
fn json_is_one_object_a_line_in_time_order() {
    let all = lines(&run("simulate", "agent-canary.yaml", &["--output", "json"]));
    let times: Vec<u64> = all.iter().map(|line| line["atMs"].as_u64().expect("atMs")).collect();
    assert!(times.is_sorted(), "{times:?}");
    for line in &all {
        let fields: &[&str] = match line["kind"].as_str() {
            Some("status") => &["phase", "step", "steps", "weight", "stable", "canary", "retiring"],
            Some("event") => &["name", "reason", "message"],
            Some("outcome") => {
                &["outcome", "reason", "version", "requests", "minAvailable", "maxTotal", "violations"]
            }
            kind => panic!("{kind:?}"),
        };
        assert!(fields.iter().all(|field| line.get(field).is_some()), "{line}");
    }
    assert_eq!(all.iter().filter(|line| line["kind"] == "outcome").count(), 1);
    let weights: Vec<&Value> = all.iter().filter_map(|line| line.get("weight")).collect();
    assert!([0, 10, 50, 100].iter().all(|w| weights.iter().any(|weight| **weight == *w)), "{weights:?}");
}

#[test]
fn looks_are_lines_of_their_own_and_only_where_they_are_asked_for() {
    let scenario = example("scenarios/bad-version.yaml");
    let args = ["--scenario", scenario.to_str().expect("a path"), "--output", "json"];
    let plain = run("simulate", "agent-canary.yaml", &args);
    let told = run("simulate", "agent-canary.yaml", &[&args[..], &["--explain"]].concat());
    let (looks, others): (Vec<&str>, Vec<&str>) =
        told.lines().partition(|line| line.contains(r#""kind":"look""#));
    assert_eq!(others, plain.lines().collect::<Vec<_>>(), "the rest is the same to the byte");
    let looks = lines(&looks.join("\n"));
    let failed = looks.iter().find(|look| look["verdict"] == "Fail").expect("one that failed");
    let message =
        "error_rate 2.106% is not < 1% (21 of 997 requests) in 19s; failure 1 of the 1 that fail it";
    let wanted = serde_json::json!({"atMs": failed["atMs"], "kind": "look", "check": "error_rate < 1%",
        "verdict": "Fail", "message": message, "countedMs": failed["countedMs"]});
    assert_eq!(*failed, wanted);
    assert!(failed["countedMs"].as_u64().is_some_and(|ms| (19_000..20_000).contains(&ms)), "{failed}");
    assert!(looks.iter().any(|look| look["verdict"] == "Uncounted" && look["countedMs"].is_null()));
}

#[test]
fn an_explained_timeline_is_as_narrow_and_ends_with_every_check() {
    let scenario = example("scenarios/slightly-bad-version.yaml");
    let args = ["--scenario", scenario.to_str().expect("a path"), "--explain"];
    let text = run("simulate", "agent-canary-sequential.yaml", &args);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(text.matches("Measured          error_rate <= 1x stable: error_rate").count(), 11, "{text}");
    for says in [
        "NotMeasured       error_rate <= 1x stable: what comes from now on counts",
        "check       error_rate <= 1x stable: 11 looks, 10 Pass, 1 Fail; the last at 0:02:10:",
        "check       no_critical_alerts: 12 looks, 12 Pass; the last at 0:02:10: 0 critical alerts fire",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let scenario = example("scenarios/faults.yaml");
    let with = |seed: &str| {
        let args = ["--scenario", scenario.to_str().expect("a path"), "--output", "json", "--seed", seed];
        run("simulate", "agent-rolling.yaml", &args)
    };
    assert_eq!(with("7"), with("7"));
    assert_ne!(with("7"), with("8"));
}

#[test]
fn the_timeline_is_narrow_and_says_what_happened() {
    let text = run("simulate", "agent-canary.yaml", &[]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(!text.contains('\u{1b}'), "a pipe has no colour");
    for says in [
        "progressing 2/3",
        "██████████░░░░░░░░░░   50%",
        "GatePassed",
        "promoted: 1.5.0 serves, all done after 2:0",
        "all held",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
}

#[test]
fn colour_is_a_choice() {
    let text = run("simulate", "agent-rolling.yaml", &["--color", "always"]);
    assert!(text.contains("\u{1b}["), "{text}");
    let never = lifecycle(&["simulate", "--color", "never"]).arg(example("agent-rolling.yaml")).output();
    assert!(!never.expect("lifecycle starts").stdout.contains(&0x1b));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = lifecycle(&["simulate", "--output", "json"])
        .arg(example("agent-rolling.yaml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lifecycle starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("its status").code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_plan_predicts_when_each_step_is_over() {
    let plan: Value =
        serde_json::from_str(&run("plan", "agent-canary.yaml", &["--output", "json"])).expect("JSON");
    let steps = plan["predicted"]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 3, "{plan}");
    for (step, bake_ms) in steps.iter().zip([1_800_000, 3_600_000, 1_800_000]) {
        let took = step["untilMs"].as_u64().expect("an end") - step["fromMs"].as_u64().expect("a start");
        assert!((bake_ms..bake_ms + 120_000).contains(&took), "{step} takes {took}");
    }
    assert!(plan["predicted"]["promotedMs"].as_u64() >= Some(7_200_000), "{plan}");
}

#[test]
fn a_plan_shows_its_steps_limits_and_checks() {
    let text = run("plan", "agent-canary.yaml", &[]);
    for says in [
        "edge-agent 1.5.0: canary, 10 replicas",
        "at least 10 available, at most 20 in all",
        "error_rate < 1%",
        "50%",
        "is promoted after 2:0",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    let ratio = run("plan", "agent-canary.yaml", &["--router", "replica-ratio"]);
    assert!(ratio.contains("the share of replicas is the share of traffic"), "{ratio}");
    assert!(ratio.contains("at most 11 in all"), "{ratio}");
}

/// "At most N in all" is kept, and is no more than is needed, wherever the last step stops.
#[test]
fn a_plan_promises_as_many_replicas_as_a_rollout_takes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("agent.yaml");
    for (spec, most) in [
        ("strategy: canary\n  canary: {steps: [{setWeight: 10, bake: 1m}]}", 20),
        ("strategy: canary\n  canary: {steps: [{setWeight: 20, bake: 1m}, {setWeight: 100, bake: 1m}]}", 20),
        ("strategy: canary\n  canary: {steps: [{setWeight: 10, canaryScale: {replicas: 12}, bake: 1m}]}", 22),
        ("strategy: rolling\n  rolling: {maxSurge: 3}", 13),
        ("strategy: blue-green", 20),
        ("strategy: recreate", 10),
    ] {
        let manifest = format!(
            "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {{name: a}}\nspec:\n  \
             version: 1.5.0\n  replicas: 10\n  {spec}\n"
        );
        std::fs::write(&path, manifest).expect("a manifest");
        let file = path.to_str().expect("a path");
        let simulated = outcome(file, &[]);
        assert_eq!(simulated["maxTotal"], most, "{spec}");
        let plan = run("plan", file, &[]);
        assert!(plan.contains(&format!("at most {most} in all")), "{spec}\n{plan}");
    }
}

#[test]
fn a_dash_reads_the_manifest_from_standard_input() {
    let text = std::fs::read(example("agent-rolling.yaml")).expect("an example");
    for subcommand in ["simulate", "plan"] {
        let piped = |text: &[u8]| {
            let mut child = lifecycle(&[subcommand, "-"]);
            let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut child = child.expect("lifecycle starts");
            child.stdin.take().expect("its input").write_all(text).expect("it reads");
            child.wait_with_output().expect("its output")
        };
        let output = piped(&text);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            String::from_utf8(output.stdout).expect("text"),
            run(subcommand, "agent-rolling.yaml", &[])
        );
        let refused = piped(b"kind: Pod");
        let line = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{line}");
        assert!(line.starts_with("error: standard input: apiVersion"), "{line}");
    }
}
