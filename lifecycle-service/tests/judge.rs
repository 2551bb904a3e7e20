//! `lifecycle judge` as people and programs call it: the contract of its input and output, and every row of the tables.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The program with this on its standard input.
fn judge(args: &[&str], text: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle"));
    command.arg("judge").args(args).env_remove("CLICOLOR_FORCE");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("lifecycle starts");
    // (a file that is too large is not read to its end)
    let _ = child.stdin.take().expect("its input").write_all(text);
    child.wait_with_output().expect("its output")
}

#[track_caller]
fn accepted(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn lines(input: &Value) -> Vec<Value> {
    let text = accepted(judge(&["-", "--output", "json"], input.to_string().as_bytes()));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The one line of an error.
#[track_caller]
fn refused(text: &[u8]) -> String {
    let output = judge(&["-", "--output", "json"], text);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let shown = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
    assert_eq!(output.status.code(), Some(2), "{shown}: {stderr}");
    assert!(output.stdout.is_empty(), "{shown} printed {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(stderr.lines().count(), 1, "{shown}: {stderr}");
    assert!(stderr.len() < 400, "{shown}: {stderr}");
    stderr.trim_end().strip_prefix("error: ").unwrap_or_else(|| panic!("{shown}: {stderr}")).to_owned()
}

/// The rows of a table of this kind: their id, what is given and what is wanted.
fn rows(file: &str, kind: &str) -> Vec<(String, Value, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lifecycle-core/tests/vectors").join(file);
    let table: Value = serde_json::from_slice(&std::fs::read(path).expect("a table")).expect("JSON");
    let cases = table["cases"].as_array().expect("cases").iter().filter(|case| case["kind"] == kind);
    let rows: Vec<_> = cases
        .map(|case| (case["id"].as_str().expect("an id").to_owned(), case["in"].clone(), case["out"].clone()))
        .collect();
    assert!(!rows.is_empty(), "there is no {kind}");
    rows
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

/// `1`, `1/2`.
fn share(value: &Value) -> f64 {
    let text = value.as_str().expect("a share");
    let (part, whole) = text.split_once('/').unwrap_or((text, "1"));
    part.parse::<f64>().expect("a number") / whole.parse::<f64>().expect("a number")
}

#[track_caller]
fn assert_e(line: &Value, ln_e: f64, id: &str) {
    assert!((number(&line["logE"]) - ln_e).abs() <= 1e-9 * ln_e.abs().max(1.0), "{id}: {line} is not {ln_e}");
    match line["e"].as_f64() {
        Some(e) => assert!((e / ln_e.exp() - 1.0).abs() < 1e-6, "{id}: {line}"),
        None => assert!(ln_e > 709.0, "{id}: {line}"),
    }
}

/// Verdicts of so many looks, with a first failure, or none.
#[track_caller]
fn assert_verdicts(lines: &[Value], alarm: Option<u64>, otherwise: &str, id: &str) {
    for (at, line) in (0..).zip(lines) {
        assert_eq!(line["look"], at, "{id}");
        let verdict = if alarm.is_some_and(|alarm| at >= alarm) { "fail" } else { otherwise };
        assert_eq!(line["verdict"], verdict, "{id} at look {at}");
    }
}

#[test]
fn the_rows_of_the_sequential_tables_have_their_e_and_their_alarm() {
    for (id, given, out) in rows("stats-sequential.json", "grid-s") {
        let alpha = if id.ends_with('1') { "0.05" } else { "0.01" };
        let input = json!({"judge": "sequential", "alpha": number(&json!(alpha.parse::<f64>().expect("a number"))),
            "eta": share(&given["eta"]), "r0": given["r0"], "looks": given["looks"]});
        let (lines, wanted) = (lines(&input), out["ln_e"].as_array().expect("a list"));
        assert_eq!(lines.len(), wanted.len(), "{id}");
        for (line, wanted) in lines.iter().zip(wanted) {
            assert_e(line, number(wanted), &id);
        }
        assert_verdicts(&lines, out["alarm_look"][alpha].as_u64(), "continue", &id);
    }
}

#[test]
fn the_rows_of_the_histogram_tables_have_their_e_and_their_alarm() {
    for (id, given, out) in rows("stats-sequential.json", "histogram") {
        let input = json!({"judge": "bucket", "alpha": 0.01, "eta": share(&given["eta"]), "r0": given["r0"],
            "le": given["le"], "bounds": given["used_bounds"], "looks": given["looks"]});
        let (lines, wanted) = (lines(&input), out["ln_e"].as_array().expect("a list"));
        assert_eq!(lines.len(), wanted.len(), "{id}");
        for (line, wanted) in lines.iter().zip(wanted) {
            assert_e(line, number(wanted), &id);
        }
        assert_verdicts(&lines, out["alarm_look"]["0.01"].as_u64(), "continue", &id);
    }
}

#[test]
fn the_rows_of_the_objective_tables_have_their_e_however_they_are_cut_into_looks() {
    for (id, given, out) in rows("stats-sequential.json", "slo-grid") {
        if given["grid"] != "slo8" {
            continue;
        }
        let (x, n) = (given["x"].as_u64().expect("a count"), given["n"].as_u64().expect("a count"));
        for looks in [json!([[x, n]]), json!([[x / 2, n / 2], [0, 0], [x - x / 2, n - n / 2]])] {
            let lines = lines(&json!({"judge": "slo", "alpha": 0.01, "p0": given["p0"], "looks": looks}));
            assert_e(&lines[lines.len() - 1], number(&out["ln_e"]), &id);
        }
    }
}

#[test]
fn the_rows_of_the_early_pass_tables_pass_at_their_look() {
    for (id, given, out) in rows("stats-sequential.json", "early-pass") {
        for beta in ["0.1", "0.05", "0.01"] {
            let input = json!({"judge": "sequential", "alpha": 1e-300, "eta": share(&given["eta"]),
                "rmax": given["rmax"], "beta": beta.parse::<f64>().expect("a number"), "looks": given["looks"]});
            let passed = out["pass_look"][beta].as_u64();
            for (at, line) in (0..).zip(lines(&input)) {
                let verdict = if passed.is_some_and(|passed| at >= passed) { "pass" } else { "continue" };
                assert_eq!(line["verdict"], verdict, "{id} at look {at}, beta {beta}");
            }
        }
    }
}

#[test]
fn the_rows_of_the_mann_whitney_tables_have_their_interval_and_class() {
    for (id, given, out) in rows("stats-mannwhitney.json", "interval") {
        let mut input = given;
        input["judge"] = json!("mannwhitney");
        let line = lines(&input).remove(0);
        for (name, wanted) in [
            ("lower", &out["exact"]["lower"]),
            ("upper", &out["exact"]["upper"]),
            ("estimate", &out["hodges_lehmann"]),
        ] {
            let (is, wanted) = (number(&line[name]), number(wanted));
            assert!((is - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{id}: {name} {is} is not {wanted}");
        }
    }
    for (id, given, out) in rows("stats-mannwhitney.json", "classify") {
        let input = json!({"judge": "mannwhitney", "confidence": given["confidence"], "tolerance": given["tolerance"],
            "direction": given["direction"], "effect": given["effect_measure"], "allowed": given["allowed"],
            "canary": given["canary"], "baseline": given["baseline"]});
        let label = out["label_exact"].as_str().or(out["label"].as_str()).expect("a label");
        let line = lines(&input).remove(0);
        assert_eq!(line["class"], label.replace('-', ""), "{id}");
        assert_eq!(line["lower"].is_null(), label == "no-data", "{id}: {line}");
    }
}

#[test]
fn a_line_has_these_fields_and_no_others() {
    let look = accepted(judge(
        &["-", "--output", "json"],
        br#"{"judge": "sequential", "alpha": 0.01, "eta": 1, "r0": 1, "looks": [[0, 0, 0, 0], [0, 50, 2, 4950]]}"#,
    ));
    assert_eq!(look.lines().next(), Some(r#"{"look":0,"e":1.0,"logE":0.0,"verdict":"continue"}"#));
    let compared = accepted(judge(
        &["-", "--output", "json"],
        br#"{"judge": "mannwhitney", "confidence": 0.95, "tolerance": 0.25,
            "canary": [10, 20, 30, 40], "baseline": [1, 2, 3, 4]}"#,
    ));
    assert_eq!(compared, "{\"lower\":6.0,\"upper\":39.0,\"estimate\":22.5,\"class\":\"high\"}\n");
    let unknown = accepted(judge(
        &["-", "--output", "json"],
        br#"{"judge": "mannwhitney", "canary": [], "baseline": [1]}"#,
    ));
    assert_eq!(unknown, "{\"lower\":null,\"upper\":null,\"estimate\":null,\"class\":\"nodata\"}\n");
}

#[test]
fn defaults_are_what_help_says() {
    let looks = json!([[9, 1250, 4, 3750], [20, 1250, 4, 3750]]);
    let short = lines(&json!({"judge": "sequential", "looks": looks}));
    assert_eq!(
        short,
        lines(&json!({"judge": "sequential", "alpha": 0.01, "eta": 1, "r0": 1, "looks": looks}))
    );
    assert_ne!(short, lines(&json!({"judge": "sequential", "eta": 0.5, "looks": looks})));
    let samples = json!({"judge": "mannwhitney", "canary": [1, 2, 5, 7], "baseline": [1, 1, 2, 3]});
    let mut long = samples.clone();
    for (name, value) in
        [("confidence", json!(0.98)), ("tolerance", json!(0.25)), ("direction", json!("either"))]
    {
        long[name] = value;
    }
    assert_eq!(lines(&samples), lines(&long));
}

#[test]
fn a_failure_stays_and_wins_over_a_pass_and_e_goes_beyond_a_double() {
    let good = json!([0, 100_000, 900, 900_000]);
    let bad = json!([90_000, 100_000, 900, 900_000]);
    let lines = lines(&json!({"judge": "sequential", "rmax": 2, "beta": 0.05,
        "looks": [[0, 0, 0, 0], good, bad, good, good, good]}));
    let verdicts: Vec<&str> = lines.iter().map(|line| line["verdict"].as_str().expect("a word")).collect();
    assert_eq!(verdicts, ["continue", "pass", "fail", "fail", "fail", "fail"]);
    assert!(lines[2]["e"].is_null() && number(&lines[2]["logE"]) > 1e4, "{}", lines[2]);
}

#[test]
fn the_bounds_of_a_histogram_are_given_or_chosen_before_or_all() {
    let looks = json!([{"canary": [10, 60, 99, 100], "stable": [700, 850, 880, 900]}]);
    let with = |field: &str, value: Value| {
        let mut input = json!({"judge": "bucket", "le": [0.1, 0.5, 1], "looks": looks});
        input[field] = value;
        lines(&input)
    };
    // of 900 requests before, 850 (94.4 %) were within 0.5, and 899 (99.9 %) within 1
    assert_eq!(with("before", json!([700, 850, 899, 900])), with("bounds", json!([0.5])));
    assert_eq!(with("alpha", json!(0.01)), with("bounds", json!([0.1, 0.5, 1])));
    assert_ne!(with("bounds", json!([0.5])), with("bounds", json!([0.1, 0.5, 1])));
}

#[test]
fn text_is_narrow_and_says_what_the_numbers_are() {
    let input = json!({"judge": "sequential", "rmax": 2, "beta": 0.05,
        "looks": [[0, 50_000, 0, 4950], [9, 1250, 4, 3_750], [1_000_000, 1_000_000_000, 4, 1_000_000_000_000_u64]]});
    let text = accepted(judge(&["-"], input.to_string().as_bytes()));
    for says in [
        "alpha 0.01, eta 1: fails at E 100.0 or more",
        "9 of 1250",
        "4 of 3750",
        "verdict",
        "fails at look 2",
    ] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 130), "{text}");
    assert!(!text.contains('\u{1b}'), "a pipe has no colour");
    let input =
        json!({"judge": "mannwhitney", "canary": [20, 22, 21, 25, 30], "baseline": [1, 2.2, 1.1, 2.5, 3]});
    let text = accepted(judge(&["-", "--color", "always"], input.to_string().as_bytes()));
    for says in ["5 samples, mean 23.6", "20, from 17", "12.0408 ratio of the means", "high", "\u{1b}["] {
        assert!(text.contains(says), "{says:?} is not in\n{text}");
    }
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/judge/sequential.json");
    let from_file = accepted(judge(&[path.to_str().expect("a path")], b""));
    assert_eq!(from_file, accepted(judge(&["-"], &std::fs::read(&path).expect("an example"))));
    assert!(from_file.contains("fails at look"), "{from_file}");
    let missing = judge(&["missing.json"], b"");
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&missing.stderr), "error: missing.json: no such file\n");
}

#[test]
fn the_examples_of_help_are_accepted() {
    let help = accepted(judge(&["--help"], b""));
    let mut seen = 0;
    for (at, _) in help.match_indices("{\"judge\": ") {
        let mut reader = serde_json::Deserializer::from_str(&help[at..]).into_iter::<Value>();
        lines(&reader.next().expect("an example").expect("JSON"));
        seen += 1;
    }
    assert_eq!(seen, 7, "{help}");
}

#[test]
fn what_cannot_be_judged_is_refused_with_its_place() {
    let look = |look: &str| {
        format!("{{\"judge\": \"sequential\", \"looks\": [[0,1,0,1],[0,1,0,1],[0,1,0,1],{look}]}}")
    };
    let with = |fields: &str| format!("{{\"judge\": \"sequential\", \"looks\": [[0,1,0,1]], {fields}}}");
    let slo = |fields: &str| format!("{{\"judge\": \"slo\", {fields}}}");
    let bucket = |fields: &str| format!("{{\"judge\": \"bucket\", {fields}}}");
    let samples = |fields: &str| format!("{{\"judge\": \"mannwhitney\", {fields}}}");
    for (text, says) in [
        (look("[0,1,0]"), "looks[3]: a list of 3 is not a look: write [canary failed,"),
        (look("[0,1,0,1,0]"), "looks[3]: a list of 5 is not a look: "),
        (look("[5,3,0,1]"), "looks[3]: 5 of 3 requests have failed: "),
        (look("[0,1,5,3]"), "looks[3]: 5 of 3 requests have failed: "),
        (look("[-1,3,0,1]"), "looks[3][0]: -1 is not a whole number from 0 to 9007199254740992"),
        (look("[0.5,3,0,1]"), "looks[3][0]: 0.5 is not a whole number from 0 to"),
        (look("[0,1e300,0,1]"), "looks[3][1]: 1e+300 is not a whole number from 0 to"),
        (look("[0,18446744073709551615,0,1]"), "looks[3][1]: 18446744073709551615 is not a whole number"),
        (look("[0,NaN,0,1]"), "looks[3][1]: \"NaN\" is not a whole number"),
        (look("[0,\"many\",0,1]"), "looks[3][1]: \"many\" is not a whole number"),
        (look("[0,null,0,1]"), "looks[3][1]: nothing is not a whole number"),
        (look("7"), "looks[3]: 7 is not a list"),
        (with("\"alpha\": 0"), "alpha: 0 is not a probability above 0 and below 1"),
        (with("\"alpha\": 1"), "alpha: 1 is not a probability above 0 and below 1"),
        (with("\"alpha\": \"low\""), "alpha: \"low\" is not a probability"),
        (with("\"eta\": 0"), "eta: 0 is not accepted; the temper is above 0 and at most 1"),
        (with("\"eta\": 1.5"), "eta: 1.5 is not accepted; "),
        (with("\"eta\": NaN"), "eta: \"NaN\" is not a number"),
        (with("\"r0\": 0.9"), "r0: 0.9 is not accepted; "),
        (with("\"r0\": 1e999"), "r0: "),
        (with("\"alpah\": 0.1"), "alpah: no such field: did you mean alpha?"),
        (with("\"p0\": 0.1"), "p0: no such field"),
        (with("\"rmax\": 2"), "beta: is missing: an early pass needs both"),
        (with("\"beta\": 0.1"), "rmax: is missing: an early pass needs both"),
        (with("\"rmax\": 1, \"beta\": 0.1"), "rmax: 1 is not accepted; "),
        (with("\"judge\": \"slo\""), "standard input: judge: is written twice"),
        ("{\"looks\": [[0,1,0,1]]}".to_owned(), "judge: is missing: write \"judge\": \"sequential\""),
        (
            "{\"judge\": \"magic\"}".to_owned(),
            "judge: \"magic\" is not a judge: accepted are sequential, slo, bucket,",
        ),
        ("{\"judge\": \"sequential\"}".to_owned(), "looks: is missing: write \"looks\": [["),
        ("{\"judge\": \"sequential\", \"looks\": []}".to_owned(), "looks: is empty: write \"looks\": [["),
        ("{\"judge\": \"sequential\", \"looks\": 3}".to_owned(), "looks: 3 is not a list"),
        ("[1, 2]".to_owned(), "object: a list is not a mapping"),
        ("{\"judge\": \"sequential\", \"looks\": [[".to_owned(), "standard input: "),
        (String::new(), "standard input: is empty, where one document is expected"),
        (slo("\"looks\": [[1, 2]]"), "p0: is missing: write \"p0\": 0.01"),
        (slo("\"p0\": 1, \"looks\": [[1, 2]]"), "p0: 1 is not a probability above 0 and below 1"),
        (
            slo("\"p0\": 0.1, \"looks\": [[1, 2, 3, 4]]"),
            "looks[0]: a list of 4 is not a look: write [failed, requests]",
        ),
        (slo("\"p0\": 0.1, \"looks\": [[1, 2], [3, 2]]"), "looks[1]: 3 of 2 requests have failed: "),
        (bucket("\"looks\": []"), "le: is missing: write \"le\": [0.1, 0.5]"),
        (bucket("\"le\": [], \"looks\": []"), "le: these are not the finite bounds of a histogram"),
        (bucket("\"le\": [2, 1], \"looks\": []"), "le: these are not the finite bounds of a histogram"),
        (
            bucket("\"le\": [1, 2], \"bounds\": [3], \"looks\": []"),
            "bounds[0]: 3 is not one of the bounds in le",
        ),
        (bucket("\"le\": [1, 2], \"bounds\": [], \"looks\": []"), "bounds: write at least one bound of le"),
        (bucket("\"le\": [1], \"before\": [1, 2], \"looks\": []"), "before: no bound has 90 % to 99 %"),
        (
            bucket("\"le\": [1], \"bounds\": [1], \"before\": [19, 20], \"looks\": []"),
            "before: bounds are given already",
        ),
        (
            bucket("\"le\": [1], \"looks\": [{\"canary\": [1, 2]}]"),
            "looks[0].stable: is missing: write \"looks\"",
        ),
        (
            bucket("\"le\": [1], \"looks\": [{\"canary\": [1, 2], \"stable\": [1]}]"),
            "looks[0].stable: these are 1 counts: write 2,",
        ),
        (
            bucket("\"le\": [1], \"looks\": [{\"canary\": [3, 2], \"stable\": [1, 1]}]"),
            "looks[0].canary[0]: 3 is more than the next count, 2",
        ),
        (samples("\"canary\": [1]"), "baseline: is missing: write \"baseline\": [20, 22]"),
        (samples("\"canary\": [1, \"x\"], \"baseline\": [1]"), "canary[1]: \"x\" is not a number"),
        (samples("\"canary\": [1, null], \"baseline\": [1]"), "canary[1]: nothing is not a number"),
        (samples("\"canary\": [1, NaN], \"baseline\": [1]"), "canary[1]: \"NaN\" is not a number"),
        (
            samples("\"canary\": [1e301], \"baseline\": [1]"),
            "canary[0]: 1e+301 is not a number from -1e300 to 1e300",
        ),
        (samples("\"confidence\": 1, \"canary\": [1], \"baseline\": [1]"), "confidence: 1 is not accepted; "),
        (samples("\"tolerance\": -1, \"canary\": [1], \"baseline\": [1]"), "tolerance: -1 is not accepted; "),
        (
            samples("\"direction\": \"up\", \"canary\": [1], \"baseline\": [1]"),
            "direction: \"up\" is not a direction: accepted are ",
        ),
        (
            samples("\"allowed\": {\"increase\": 2}, \"canary\": [1], \"baseline\": [1]"),
            "allowed.decrease: is missing: ",
        ),
    ] {
        let line = refused(text.as_bytes());
        assert!(line.starts_with(says), "{text}\n  {line}\n  {says}");
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let looks = "[0,1,0,1],".repeat(200_000);
    let line = refused(format!("{{\"judge\": \"sequential\", \"looks\": [{looks}[0,1,0,1]]}}").as_bytes());
    assert!(line.starts_with("standard input: is larger than 1 MiB"), "{line}");
    let deep = format!("{{\"judge\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    refused(deep.as_bytes());
    // 10,000 samples in each arm are no problem
    let values: Vec<f64> = (0..10_000).map(|n| f64::from(n % 977)).collect();
    let line = lines(&json!({"judge": "mannwhitney", "canary": values, "baseline": values})).remove(0);
    assert_eq!((&line["class"], &line["estimate"]), (&json!("pass"), &json!(0.0)));
}
