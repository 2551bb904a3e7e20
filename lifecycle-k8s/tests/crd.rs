//! The definition of the resource: it is what the types say, it has the fields that core reads, and its defaults
//! are core's.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use lifecycle_core::spec::{Manifest, SpecError};
use lifecycle_k8s::crd::{self, AgentDeployment};
use lifecycle_k8s::names;
use lifecycle_k8s::rbac::{Install, rules};
use lifecycle_k8s::status::Phase;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use support::refused::rows;
use support::{manifest, specs};

/// The schema of the spec.
fn schema() -> Value {
    let definition = serde_json::to_value(crd::definition()).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn the_files_are_what_the_program_prints() {
    for (file, checked_in, printed, command) in [
        ("crd/agentdeployment.yaml", include_str!("../crd/agentdeployment.yaml"), crd::yaml(), "crd"),
        (
            "rbac/cluster.yaml",
            include_str!("../rbac/cluster.yaml"),
            Install::new("lifecycle-system").yaml(),
            "rbac",
        ),
        (
            "rbac/namespace.yaml",
            include_str!("../rbac/namespace.yaml"),
            Install::new("shop").watching("shop").yaml(),
            "rbac --namespace shop --watch-namespace shop",
        ),
    ] {
        assert!(
            checked_in == printed.unwrap(),
            "{file} is out of date: cargo run -p lifecycle-service -- {command} > lifecycle-k8s/{file}"
        );
    }
}

/// Where a mapping stands in a spec: its fields, or the items of a list.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Item,
}

/// Every mapping of the schema with fixed fields, and their names. A template is not ours.
fn mappings(schema: &Value, path: &[Step], found: &mut Vec<(Vec<Step>, BTreeSet<String>)>) {
    let under = |step: Step| [path, &[step]].concat();
    if let Some(fields) = schema["properties"].as_object() {
        found.push((path.to_vec(), fields.keys().cloned().collect()));
        for (name, field) in fields.iter().filter(|(name, _)| *name != "template") {
            mappings(field, &under(Step::Field(name.clone())), found);
        }
    }
    if schema["items"].is_object() {
        mappings(&schema["items"], &under(Step::Item), found);
    }
}

/// A spec that has this mapping here; what must be written on the way is.
fn spec_with(path: &[Step], mapping: Value) -> Value {
    match path {
        [] => mapping,
        [Step::Item, rest @ ..] => json!([spec_with(rest, mapping)]),
        [Step::Field(name), rest @ ..] => {
            let mut spec = json!({name: spec_with(rest, mapping)});
            if name == "canaryScale" {
                spec["setWeight"] = 10.into();
            }
            spec
        }
    }
}

#[test]
fn the_schema_has_exactly_the_fields_that_core_reads() {
    let mut found = Vec::new();
    mappings(&schema(), &[], &mut found);
    assert_eq!(found.len(), 14, "spec, its sections, and what is in lists");
    for (path, fields) in found {
        let mut spec = spec_with(&path, json!({"zzzzzzzzzzzzzzzzzzzz": 1}));
        spec["version"] = "1.5.0".into();
        let error = Manifest::from_value(manifest(&spec)).unwrap_err().problem;
        let known =
            error.strip_prefix("no such field: accepted are ").unwrap_or_else(|| panic!("{path:?}: {error}"));
        let known: BTreeSet<String> = known.split(", ").map(ToOwned::to_owned).collect();
        assert_eq!(known, fields, "{path:?}");
    }
}

/// What the API server does to a value: a null is dropped, and defaults are put in.
fn with_defaults(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let written = fields.iter().filter(|(_, value)| !value.is_null());
            let mut made: Map<_, _> = written
                .map(|(name, value)| (name.clone(), with_defaults(&schema["properties"][name], value)))
                .collect();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = field.get("default") {
                    made.entry(name.clone()).or_insert_with(|| with_defaults(field, default));
                }
            }
            Value::Object(made)
        }
        Value::Array(items) => items.iter().map(|item| with_defaults(&schema["items"], item)).collect(),
        other => other.clone(),
    }
}

/// The same by way of the types.
fn by_the_types(spec: &Value) -> Result<Manifest, SpecError> {
    serde_json::from_value::<AgentDeployment>(manifest(spec)).unwrap().manifest()
}

#[test]
fn every_default_is_core_s() {
    let sections = json!({
        "version": "1.5.0", "healthCheck": {}, "liveness": {}, "rolling": {}, "blueGreen": {}, "canary": {},
        "traffic": {}, "analysis": {},
    });
    let written = with_defaults(&schema(), &sections);
    assert_eq!(written["replicas"], 1);
    assert_eq!(written["canary"]["steps"][1], json!({"setWeight": 50, "bake": "1h"}));
    assert_eq!(written["analysis"].get("checks"), None, "they are the strategy's own");
    assert_eq!(written["blueGreen"].get("keepFor"), None, "it depends on scaleDownAfter");
    let bare = Manifest::from_value(manifest(&json!({"version": "1.5.0"}))).unwrap();
    assert_eq!(by_the_types(&written).unwrap(), bare);
}

#[test]
fn what_was_stored_under_another_definition_is_read_and_refused_by_name() {
    for (field, value, problem) in [
        ("strategy", json!("shadow"), "spec.strategy: \"shadow\" is not a strategy"),
        ("replicas", json!(5_000_000_000_i64), "spec.replicas: 5000000000 is not a whole number"),
        ("drain", json!("1 day"), "spec.drain: \"1 day\""),
        ("hooks", json!([{"on": "teatime", "url": "x"}]), "spec.hooks[0].on: \"teatime\" is not a point"),
        ("canary", json!({"steps": [{"setWeight": 500}]}), "spec.canary.steps[0].setWeight: 500 is not"),
    ] {
        let mut spec = json!({"version": "1.5.0"});
        spec[field] = value;
        let error = by_the_types(&spec).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn what_kubernetes_keeps_beside_the_spec_is_not_looked_at() {
    let mut object = manifest(&json!({"version": "1.5.0"}));
    object["metadata"]["namespace"] = "edge".into();
    object["metadata"]["somethingNew"] = json!({"a": 1});
    object["status"] = json!({"phase": "healthy", "rollout": "{}", "somethingElse": true});
    let read: AgentDeployment = serde_json::from_value(object).unwrap();
    assert_eq!(&*read.manifest().unwrap().namespace, "edge");
}

#[test]
fn the_document_names_whatever_the_operator_shows_and_may_do() {
    let document = include_str!("../../docs/kubernetes.md");
    let definition = serde_json::to_value(crd::definition()).unwrap();
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let status = &root["status"]["properties"];
    let fields = status.as_object().unwrap().keys();
    let parts =
        ["stable", "lastDecision", "lastCommand"].map(|part| status[part]["properties"].as_object().unwrap());
    let words = fields.chain(parts.into_iter().flat_map(Map::keys)).cloned();
    let phases = Phase::ALL.map(|phase| phase.name().to_owned());
    let conditions = names::condition::ALL.map(ToOwned::to_owned);
    let resources = rules().into_iter().filter_map(|rule| rule.resources).flatten();
    for word in words.chain(phases).chain(conditions).chain(resources) {
        assert!(document.contains(&format!("`{word}`")), "{word} is not in docs/kubernetes.md");
    }
}

/// Every string literal of a source text that is followed by one that begins with `spec`: the first two columns of
/// core's table of refused specs.
fn rows_of(source: &'static str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(begin) = rest.find('"') {
        let (between, after) = (&rest[..begin], &rest[begin + 1..]);
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => match letters.next().unwrap().1 {
                    'n' => text.push('\n'),
                    letter => text.push(letter),
                },
                (_, letter) => text.push(letter),
            }
        };
        literals.push((between, text));
        rest = &after[end + 1..];
    }
    let in_a_row = |pair: &&[(&str, String)]| {
        let (between, path) = &pair[1];
        between.trim() == "," && (path.starts_with("spec.") || path.starts_with("spec["))
    };
    literals.windows(2).filter(in_a_row).map(|pair| pair[0].1.clone()).collect()
}

#[test]
fn every_row_of_core_s_table_of_refused_specs_is_in_ours() {
    let theirs = rows_of(include_str!("../../lifecycle-core/src/spec/tests/refused.rs"));
    assert!(theirs.len() > 90, "{} rows", theirs.len());
    let ours = rows();
    for fields in theirs {
        let written = fields.replace('\n', "\\n");
        assert!(
            ours.iter().any(|row| row.fields == written),
            "tests/support/refused.txt does not say who refuses: {written}"
        );
    }
}

#[test]
fn every_row_of_our_table_is_refused_by_core() {
    for row in rows() {
        let text = format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {}}}",
            row.spec()
        );
        Manifest::from_yaml(&text).expect_err(row.fields);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_types_and_the_defaults_change_no_meaning(spec in specs()) {
        let meant = Manifest::from_value(manifest(&spec));
        prop_assert_eq!(&by_the_types(&spec), &meant);
        let stored = with_defaults(&schema(), &spec);
        match (&by_the_types(&stored), &meant) {
            (Ok(stored), Ok(meant)) => prop_assert_eq!(stored, meant),
            (stored, meant) => prop_assert!(stored.is_err() && meant.is_err(), "{:?} {:?}", stored, meant),
        }
    }
}
