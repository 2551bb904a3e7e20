//! What the documents show is what happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every document of the project.
fn documents() -> Vec<PathBuf> {
    let markdown = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect::<Vec<_>>()
    };
    let documents = [markdown(&root()), markdown(&root().join("docs"))].concat();
    assert!(documents.len() >= 6, "{documents:?}");
    documents
}

/// The fenced blocks of a document with this after the fence.
fn blocks(document: &Path, info: &str) -> Vec<String> {
    let text = fs::read_to_string(document).expect("a document");
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(after), None) => open = Some((after == info, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, block)| block))
            }
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

fn lifecycle(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lifecycle")).current_dir(root()).args(args).output();
    let output = output.expect("lifecycle starts");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_manifest_and_scenario_in_the_documents_is_understood() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut manifests, mut scenarios) = (0, 0);
    for document in documents() {
        for manifest in blocks(&document, "yaml") {
            let path = dir.path().join(format!("manifest-{manifests}.yaml"));
            fs::write(&path, manifest).expect("a file");
            lifecycle(&["plan", path.to_str().expect("a path")]);
            manifests += 1;
        }
        for scenario in blocks(&document, "yaml scenario") {
            let path = dir.path().join(format!("scenario-{scenarios}.yaml"));
            fs::write(&path, scenario).expect("a file");
            lifecycle(&[
                "simulate",
                "examples/agent-canary.yaml",
                "--scenario",
                path.to_str().expect("a path"),
            ]);
            scenarios += 1;
        }
    }
    assert!(manifests >= 1 && scenarios >= 1);
}

#[test]
fn every_example_is_understood() {
    let mut understood = 0;
    for folder in ["examples", "examples/local"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "yaml") {
                lifecycle(&["plan", path.to_str().expect("a path")]);
                understood += 1;
            }
        }
    }
    assert!(understood >= 15, "{understood}");
}

#[test]
fn the_readme_shows_what_simulate_prints() {
    let shown = blocks(&root().join("README.md"), "text");
    let scenario = "examples/scenarios/bad-version.yaml";
    let printed = lifecycle(&["simulate", "examples/agent-canary.yaml", "--scenario", scenario]);
    assert!(shown.contains(&printed), "put this into the README:\n{printed}");
}

#[test]
fn every_file_that_the_documents_name_is_there() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.contains("://") && !link.starts_with('#')).map(str::to_owned);
        let beside = document.parent().expect("a folder");
        for link in links {
            assert!(beside.join(&link).exists(), "{} links to {link}", document.display());
        }
        for command in blocks(&document, "console") {
            for word in command.split_whitespace().filter(|word| word.starts_with("examples/")) {
                assert!(root().join(word).is_file(), "{} runs {word}", document.display());
            }
        }
    }
}

/// Commands of a document with the text below them, which is what they print.
fn shown_runs(document: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(document).expect("a document");
    let after = text.split("```console\n").skip(1);
    let run = after.filter_map(|after| {
        let (command, rest) = after.split_once("\n```\n")?;
        let (printed, _) = rest.strip_prefix("\n```text\n")?.split_once("```")?;
        Some((command.to_owned(), printed.to_owned()))
    });
    run.collect()
}

#[test]
fn the_page_on_analysis_shows_what_the_program_prints() {
    let page = root().join("docs/analysis.md");
    let runs = shown_runs(&page);
    assert!(runs.len() >= 2, "{runs:?}");
    for (command, shown) in runs {
        let arguments = command.strip_prefix("cargo run --release -- ").expect("the program");
        let printed = lifecycle(&arguments.split_whitespace().collect::<Vec<_>>());
        assert_eq!(shown, printed, "put this below {command}:\n{printed}");
    }
    // what takes minutes is at least there
    let justfile = fs::read_to_string(root().join("justfile")).expect("the recipes");
    let commands = blocks(&page, "console");
    let recipes =
        commands.iter().filter_map(|command| command.strip_prefix("just ")?.split_whitespace().next());
    for recipe in recipes {
        let named = |line: &str| line.strip_prefix(recipe).is_some_and(|rest| rest.starts_with([' ', ':']));
        assert!(justfile.lines().any(named), "there is no recipe {recipe}");
    }
}
