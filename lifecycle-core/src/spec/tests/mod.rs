//! The manifest, field by field.

mod accepted;
mod hostile;
mod refused;

use super::*;

const HEAD: &str = "apiVersion: enis.andaon.com/v1\nkind: AgentDeployment\nmetadata: {name: edge-agent}\n";

/// A manifest with this spec, written in braces.
fn manifest(spec: &str) -> String {
    format!("{HEAD}spec: {{{spec}}}\n")
}

/// The spec of a manifest with a version and these fields.
fn spec(fields: &str) -> RolloutSpec {
    let text = manifest(&format!("version: 1.5.0, {fields}"));
    Manifest::from_yaml(&text).unwrap_or_else(|error| panic!("{fields}: {error}")).spec
}

/// The error of a text.
fn refusal(text: &str) -> String {
    let error = Manifest::from_yaml(text).expect_err(&text.chars().take(200).collect::<String>()).to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    assert!(error.len() < 600, "short: {error}");
    error
}
