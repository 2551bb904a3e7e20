//! The pages on manifests and scenarios have every field and every word that the readers accept, and
//! the defaults that they show are the defaults.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lifecycle_core::spec::{Manifest, SpecError, document};
use lifecycle_testkit::simulate::{Scenario, Simulation};
use serde_json::{Value, json};

/// No field and no word of any reader.
const NONSENSE: &str = "zzzzzzzz";

/// Where errors list what they accept.
const ACCEPTED: &str = "accepted are ";

type Read = fn(Value) -> Result<(), SpecError>;

fn manifest(value: Value) -> Result<(), SpecError> {
    Manifest::from_value(value).map(drop)
}

fn scenario(value: Value) -> Result<(), SpecError> {
    Scenario::from_yaml(&value.to_string()).map(drop)
}

struct Page {
    text: String,
    documents: Vec<Value>,
}

impl Page {
    /// The page, with the documents in its blocks with this after the fence.
    fn open(name: &str, info: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let text = fs::read_to_string(path).expect("a page");
        let blocks = text.split("```").skip(1).step_by(2);
        let blocks = blocks.filter_map(|block| block.strip_prefix(info)?.strip_prefix('\n'));
        let documents = blocks.map(|block| document(block, "block").expect("YAML")).collect();
        Self { text, documents }
    }

    /// Does this word stand somewhere between backticks or in a block?
    fn shows(&self, word: &str) -> bool {
        let part_of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        // (a fence is three backticks: inside and outside still alternate)
        let code = self.text.split('`').skip(1).step_by(2);
        code.flat_map(|code| code.split(|c| !part_of_a_word(c))).any(|shown| shown == word)
    }
}

/// What the readers say about the documents of a page.
#[derive(Default)]
struct Accepted {
    /// Every field of every mapping, by its path without the places in lists.
    fields: BTreeSet<String>,
    /// Those of them that the documents write.
    written: BTreeSet<String>,
    /// Mappings whose keys are free.
    free: BTreeSet<String>,
    /// Every word that a list in an error names.
    words: BTreeSet<String>,
}

impl Accepted {
    fn of(page: &Page, read: Read) -> Self {
        let mut accepted = Self::default();
        for document in &page.documents {
            read(document.clone()).expect("what the page shows is read");
            accepted.walk(document, read, "", "", document);
        }
        accepted
    }

    /// Looks at the value at this JSON pointer, and at everything below it.
    fn walk(&mut self, document: &Value, read: Read, pointer: &str, path: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                let listed = list(&refusal(document, read, pointer, |value| {
                    value[NONSENSE] = Value::Null;
                }));
                if listed.is_empty() {
                    self.free.insert(path.to_owned());
                }
                self.fields.extend(listed.iter().map(|name| join(path, name)));
                for (key, value) in map {
                    let below = join(path, if listed.is_empty() { "*" } else { key });
                    self.written.insert(below.clone());
                    let key = key.replace('~', "~0").replace('/', "~1");
                    self.walk(document, read, &format!("{pointer}/{key}"), &below, value);
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.walk(document, read, &format!("{pointer}/{at}"), &format!("{path}[]"), item);
                }
            }
            Value::String(_) => {
                let error = refusal(document, read, pointer, |value| *value = json!(NONSENSE));
                self.words.extend(list(&error));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What is said when the value at this pointer is changed; nothing when that is accepted.
fn refusal(document: &Value, read: Read, pointer: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut changed = document.clone();
    change(changed.pointer_mut(pointer).expect("a place in the document"));
    read(changed).map_or_else(|error| error.problem, |()| String::new())
}

/// The words in "accepted are a, b, c (or something else)".
fn list(problem: &str) -> Vec<String> {
    let Some((_, listed)) = problem.split_once(ACCEPTED) else { return Vec::new() };
    let listed = listed.split(" (").next().unwrap_or_default();
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    listed.split(", ").filter(is_word).map(str::to_owned).collect()
}

/// The page has every field and every word that the reader accepts, and writes all but these fields.
fn is_complete(page: &Page, read: Read, unwritten: &[&str], free: &[&str]) -> Accepted {
    let accepted = Accepted::of(page, read);
    for name in accepted.fields.iter().chain(&accepted.words) {
        let name = name.rsplit('.').next().unwrap_or(name);
        assert!(page.shows(name), "the page does not have {name}");
    }
    let missing: BTreeSet<&str> = accepted.fields.difference(&accepted.written).map(String::as_str).collect();
    assert_eq!(missing, unwritten.iter().copied().collect(), "fields that no block of the page writes");
    assert_eq!(accepted.free.iter().map(String::as_str).collect::<Vec<_>>(), free, "mappings of any keys");
    accepted
}

#[test]
fn the_page_on_manifests_has_every_field_and_every_word() {
    let page = Page::open("manifest.md", "yaml");
    let kubernetes = [
        "metadata.annotations",
        "metadata.creationTimestamp",
        "metadata.deletionGracePeriodSeconds",
        "metadata.deletionTimestamp",
        "metadata.finalizers",
        "metadata.generateName",
        "metadata.generation",
        "metadata.labels",
        "metadata.managedFields",
        "metadata.ownerReferences",
        "metadata.resourceVersion",
        "metadata.selfLink",
        "metadata.uid",
    ];
    let unwritten = [&kubernetes[..], &["status"]].concat();
    let free = ["spec.analysis.queries", "spec.template", "spec.template.*"];
    let accepted = is_complete(&page, manifest, &unwritten, &free);
    assert!(accepted.fields.len() > 70, "{:?}", accepted.fields);
    for word in ["post-phase", "p99_latency", "flagger", "enterprise", "continue", "blue-green"] {
        assert!(accepted.words.contains(word), "{word}: {:?}", accepted.words);
    }
    for comparison in ["`<`", "`<=`", "`>`", "`>=`"] {
        assert!(page.text.contains(comparison), "{comparison}");
    }
}

#[test]
fn the_page_on_scenarios_has_every_field_and_every_word() {
    let page = Page::open("scenarios.md", "yaml scenario");
    let accepted = is_complete(&page, scenario, &[], &["hooks", "versions"]);
    assert!(accepted.fields.len() > 30, "{:?}", accepted.fields);
    for word in ["driver-crash", "promote-full", "replica-ratio", "never"] {
        assert!(accepted.words.contains(word), "{word}: {:?}", accepted.words);
    }
    for readiness in ["`after ", "`flapping "] {
        assert!(page.text.contains(readiness), "{readiness}");
    }
}

#[test]
fn the_defaults_that_the_pages_show_are_the_defaults() {
    let shown = Page::open("manifest.md", "yaml").documents[0].clone();
    let mut least = shown.clone();
    let kept = ["version", "replicas", "template", "hooks"];
    least["spec"].as_object_mut().expect("a spec").retain(|name, _| kept.contains(&&**name));
    least["spec"]["analysis"] = json!({"checks": shown["spec"]["analysis"]["checks"]});
    least["metadata"] = json!({"name": shown["metadata"]["name"]});
    assert_eq!(Manifest::from_value(shown), Manifest::from_value(least));

    let mut shown = Page::open("scenarios.md", "yaml scenario").documents[0]["cluster"].clone();
    shown.as_object_mut().expect("a cluster").remove("capacityRps").expect("no default");
    let read = Scenario::from_yaml(&json!({"cluster": shown}).to_string()).expect("a scenario");
    assert_eq!(read, Scenario::default());
}

#[test]
fn a_replica_that_starts_slowly_gets_what_the_page_says() {
    let page = Page::open("manifest.md", "yaml");
    let patient = page.documents.iter().find(|document| {
        document["spec"]["rolling"]["readinessAttempts"] != json!(3) && !document["spec"]["rolling"].is_null()
    });
    let outcome = |document: &Value, strategy: &str, ready: &str| {
        let mut document = document.clone();
        document["spec"]["strategy"] = json!(strategy);
        let manifest = Manifest::from_value(document).expect("a manifest");
        let text = format!(
            "{{versions: {{{}: {{ready: after {ready}}}}}, initial: {{version: 1.4.0, replicas: 1}}}}",
            manifest.spec.version()
        );
        let scenario = Scenario::from_yaml(&text).expect("a scenario");
        Simulation::new(&manifest.spec, &scenario, 0).expect("a simulation").run(&mut |_| {}).outcome
    };
    let least = json!({
        "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": "a"},
        "spec": {"version": "1.5.0"},
    });
    for strategy in ["rolling", "recreate"] {
        assert_eq!(outcome(&least, strategy, "30s"), "promoted", "{strategy}");
        assert_eq!(outcome(&least, strategy, "31s"), "rolledBack", "{strategy}");
        assert_eq!(outcome(patient.expect("an example"), strategy, "2m"), "promoted", "{strategy}");
    }
    for strategy in ["canary", "blue-green"] {
        assert_eq!(outcome(&least, strategy, "9m"), "promoted", "{strategy}");
        assert_eq!(outcome(&least, strategy, "11m"), "rolledBack", "{strategy}");
    }
}
