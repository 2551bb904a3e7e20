//! Texts that are empty, broken, huge, deep or made to hurt.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn check(text: &str, parts: &[&str]) {
    let error = refusal(text);
    for part in parts {
        assert!(error.contains(part), "{part:?} in: {error}");
    }
}

#[test]
fn an_empty_text_is_named_as_such() {
    for text in ["", " \n\t\n", "# only a comment\n", "---\n", "---\n...\n", "~", "null", "\u{feff}"] {
        check(text, &["manifest: the text is empty, where one manifest is expected"]);
    }
}

#[test]
fn several_documents_are_refused() {
    let one = manifest("version: 1.5.0");
    check(&format!("{one}---\n{one}"), &["several documents, where one manifest is expected"]);
}

#[test]
fn broken_text_is_refused_with_its_line() {
    check(&format!("{HEAD}spec:\n  version: 1.5.0\n  canary: {{steps: [\n"), &["line ", "is not YAML"]);
    check(&format!("{HEAD}spec:\n\tversion: 1.5.0\n"), &["line ", "is not YAML"]);
    check(&format!("{HEAD}spec: *nowhere\n"), &["line 4", "is not YAML"]);
    check(&format!("{HEAD}spec: {{version: !custom x}}\n"), &["spec.version", "line 4", "is not YAML"]);
    check("{\"apiVersion\": \"enis.andaon.com/v1\",", &["line ", "is not YAML"]);
    check("a: \u{0}b", &["is not YAML"]);
    check("? [a, b]\n: c\n", &["is not YAML"]);
}

#[test]
fn a_key_that_is_written_twice_is_named_with_its_path() {
    check(&manifest("version: 1.5.0, replicas: 1, replicas: 2"), &["spec.replicas: is written twice"]);
    check(
        &manifest("version: 1.5.0, template: {a: [{b: 1, b: 1}]}"),
        &["spec.template.a[0].b: is written twice"],
    );
    check("{\"kind\": \"a\", \"kind\": \"b\"}", &["kind: is written twice"]);
    check(&format!("{HEAD}spec: {{version: 1.5.0}}\nspec: {{version: 1.5.0}}"), &["spec: is written twice"]);
}

#[test]
fn a_key_that_yaml_does_not_read_as_text_is_refused() {
    let template = |key: &str| manifest(&format!("version: 1.5.0, template: {{{key}: 1}}"));
    for (key, read) in [("1.10", "1.1"), ("1e3", "1000.0"), ("-0.5", "-0.5")] {
        check(
            &template(key),
            &[&format!(
                "spec.template: the key {read} is read as a number, and a number cannot tell 1.10 from 1.1: quote it"
            )],
        );
    }
    for key in ["8080", "-1", "true"] {
        check(
            &template(key),
            &[&format!("spec.template: the key {key} is not read as text: quote it, like \"{key}\"")],
        );
    }
    check(&template("~"), &["spec.template: a key is empty"]);
    check("1.10: x", &["manifest: the key 1.1 is read as a number"]);
    for (key, text) in
        [("\"1.10\"", "1.10"), ("'8080'", "8080"), ("1.5.0", "1.5.0"), ("on", "on"), ("007", "007")]
    {
        let read = document(&format!("{{{key}: 1}}"), "test");
        assert_eq!(read, Ok(json!({text: 1})), "{key}");
        let block = document(&format!("{key}: 1"), "test");
        assert_eq!(block, Ok(json!({text: 1})), "{key}");
    }
}

#[test]
fn a_text_over_one_mebibyte_is_refused_before_it_is_read() {
    let mut text = manifest("version: 1.5.0");
    text.push_str(&"#".repeat(10 << 20));
    let bytes = text.len();
    check(&text, &[&format!("manifest: {bytes} bytes of text are more than 1048576 (1 MiB)")]);
    // It would not even have been YAML.
    check(&"[".repeat(MAX_TEXT_BYTES + 1), &["bytes of text are more than"]);
    text.truncate(MAX_TEXT_BYTES);
    assert!(Manifest::from_yaml(&text).is_ok(), "exactly the limit is read");
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    let deep = 150_000;
    let (open, close) = ("[".repeat(deep), "]".repeat(deep));
    check(&manifest(&format!("version: 1.5.0, template: {{a: {open}{close}}}")), &["deep"]);
    check(&manifest(&format!("version: 1.5.0, template: {}", "{a: ".repeat(deep))), &["deep"]);
    check(&open, &["deep"]);
    check(
        &format!("{}1{}", "{\"a\":".repeat(deep), "}".repeat(deep)),
        &["a.a.a", "nested more than 64 levels deep"],
    );
    let mut block = format!("{HEAD}spec:\n");
    for level in 1..1000 {
        let _ = writeln!(block, "{}a:", " ".repeat(level));
    }
    check(&block, &["deep"]);
    check(&format!("{HEAD}spec:\n  {}1\n", "- ".repeat(deep)), &["deep"]);
    check(&"? ".repeat(deep), &[]);
}

#[test]
fn nesting_up_to_the_limit_is_read_and_one_more_is_not() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(document(&nested(MAX_DEPTH), "list").is_ok());
    assert!(
        document(&nested(MAX_DEPTH + 1), "list")
            .unwrap_err()
            .to_string()
            .contains("more than 64 levels deep")
    );
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(document(&objects(MAX_DEPTH), "list").is_ok());
    assert!(
        document(&objects(MAX_DEPTH + 1), "list")
            .unwrap_err()
            .to_string()
            .contains("more than 64 levels deep")
    );
}

#[test]
fn a_value_is_held_to_the_same_depth() {
    let mut template = json!(1);
    for _ in 0..100 {
        template = json!({"a": template});
    }
    let value = json!({
        "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "a"},
        "spec": {"version": "1.5.0", "template": template},
    });
    let error = Manifest::from_value(value).unwrap_err().to_string();
    assert_eq!(error, "spec.template.a: is nested more than 64 levels deep");
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{aliases}]");
    }
    check(&text, &["too large once its aliases are put in place"]);
    check("a: &a [*a]\n", &[]);
}

#[test]
fn long_and_strange_values_are_repeated_in_part() {
    let long = "x".repeat(500_000);
    check(
        &manifest(&format!("version: 1.5.0, strategy: {long}")),
        &["spec.strategy: \"xxx", "...", "is not a strategy"],
    );
    check(&manifest(&format!("version: 1.5.0, drain: {long}")), &["spec.drain: "]);
    check(&manifest(&format!("version: {long}")), &["spec.version: "]);
    check(
        &manifest(&format!("version: 1.5.0, analysis: {{checks: [\"error_rate < 1{long}\"]}}")),
        &["spec.analysis.checks[0]", "at most 200 characters"],
    );
    check(&manifest(&format!("version: 1.5.0, \"{}\": 1", &long[..900])), &["spec[\"xxx", "no such field"]);
    let json = format!("{{\"apiVersion\": \"a\", \"{long}\": 1}}");
    check(&json, &["[\"xxx", "no such field"]);
    check(&manifest("version: 1.5.0, strategy: \"a\\nb\\u0007\""), &["\"a\\nb\\u{7}\""]);
    check(&manifest("version: \"\u{1f980}\""), &["is not a version"]);
}

#[test]
fn a_deserializer_is_held_to_the_same_rules() {
    let read = |text: &str| serde_json::from_str::<Manifest>(text).expect_err(text).to_string();
    let with = |spec: &str| {
        format!(
            r#"{{"apiVersion": "{API_VERSION}", "kind": "{KIND}", "metadata": {{"name": "a"}}, "spec": {{{spec}}}}}"#
        )
    };
    let nested = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    for (text, wanted) in [
        (with(r#""version": 1.10"#), "spec.version: 1.1 is read as a number"),
        (
            with(r#""version": "1.5.0", "canary": {"steps": [{"setWeight": 120}]}"#),
            "spec.canary.steps[0].setWeight: 120",
        ),
        (with(r#""version": "1.5.0", "version": "1.6.0""#), "spec.version: is written twice"),
        (with(&format!(r#""version": "1.5.0", "template": {nested}"#)), "spec.template.a.a"),
        ("[]".to_owned(), "manifest: a list is not a manifest"),
    ] {
        let error = read(&text);
        assert!(error.starts_with(wanted), "{error}");
    }
    let good = with(r#""version": "1.5.0", "replicas": 3"#);
    let manifest: Manifest = serde_json::from_str(&good).unwrap();
    assert_eq!(manifest, Manifest::from_yaml(&good).unwrap());
    let value: serde_json::Value = serde_json::from_str(&good).unwrap();
    assert_eq!(serde_json::from_value::<Manifest>(value).unwrap(), manifest);
    let yaml: Manifest = serde_saphyr::from_str(&super::manifest("version: 1.5.0, replicas: 3")).unwrap();
    assert_eq!(yaml, Manifest::from_yaml(&super::manifest("version: 1.5.0, replicas: 3")).unwrap());
}

/// Some value that a field might be given by mistake.
fn odd_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        any::<i32>().prop_map(|value| json!(f64::from(value) / 8.0)),
        "[ -~]{0,12}".prop_map(|value| json!(value)),
        "[0-9]{1,22}(h|m|s|ms|%|x)?".prop_map(|value| json!(value)),
        ".{0,8}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            Just("steps".to_owned()),
            Just("setWeight".to_owned()),
            Just("maxSurge".to_owned()),
            "[a-z]{1,6}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

const FIELDS: [&str; 19] = [
    "agentId",
    "version",
    "strategy",
    "replicas",
    "tier",
    "healthCheck",
    "liveness",
    "template",
    "adopt",
    "rolling",
    "blueGreen",
    "canary",
    "traffic",
    "analysis",
    "hooks",
    "drain",
    "progressDeadline",
    "revisionHistoryLimit",
    "paused",
];

proptest! {
    #[test]
    fn any_value_in_any_field_is_read_or_refused_on_one_line(field in proptest::sample::select(&FIELDS[..]), value in odd_value()) {
        let mut manifest = json!({
            "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "a"}, "spec": {"version": "1.5.0"},
        });
        manifest["spec"][field] = value.clone();
        let read = Manifest::from_value(manifest.clone());
        if let Err(error) = &read {
            let line = error.to_string();
            prop_assert!(line.starts_with(&format!("spec.{field}")), "{}", line);
            prop_assert!(!line.contains('\n') && line.len() < 600, "{}", line);
        }
        // The same by way of text: JSON is YAML.
        let text = serde_json::to_string(&manifest).unwrap();
        prop_assert_eq!(&Manifest::from_yaml(&text), &read);
    }

    #[test]
    fn any_text_is_read_or_refused_on_one_line(text in "[\\[\\]{}:,&*!|>'\"%@` a-z0-9\\n#?-]{0,80}") {
        for text in [text.clone(), format!("{HEAD}spec: {text}"), format!("{HEAD}spec:\n  version: 1.5.0\n  template: {text}")] {
            if let Err(error) = Manifest::from_yaml(&text) {
                let line = error.to_string();
                prop_assert!(!line.contains('\n') && line.len() < 600, "{}", line);
            }
        }
    }
}
