//! Prometheus' own engine on series that are written down: `promtool test rules` needs no time to pass.

use std::fmt::Write as _;
use std::process::Command;

use super::support::program::program;

/// Series every 15 s and what a query gives on them.
#[derive(Debug, Default)]
pub(super) struct Document {
    series: String,
    queries: String,
}

impl Document {
    /// With this series: its name, its labels beside those of the replica, and its values as promtool writes them: `1+2x3` is
    /// 1 3 5 7, `_` no sample, `stale` the end of a series.
    pub(super) fn series(&mut self, instance: &str, name: &str, labels: &str, values: &str) {
        let replica =
            format!(r#"namespace="default",agent="edge",revision="aaa",job="j",instance="{instance}""#);
        self.line(&format!("{name}{{{replica}{labels}}}"), values);
    }

    /// With a series of which all labels are written out.
    pub(super) fn line(&mut self, series: &str, values: &str) {
        writeln!(self.series, "      - {{series: '{series}', values: '{values}'}}").unwrap();
    }

    /// With this query at this time, and what it must give: labels beside those of the arm, and values.
    pub(super) fn expects(&mut self, seconds: i64, promql: &str, expected: &[(String, f64)]) {
        let arm = r#"namespace="default",agent="edge",revision="aaa""#;
        let expected = expected.iter().map(|(labels, value)| (format!("{arm}{labels}"), *value));
        self.expects_series(seconds, promql, &expected.collect::<Vec<_>>());
    }

    /// With this query at this time, and what it must give: all labels, and values.
    pub(super) fn expects_series(&mut self, seconds: i64, promql: &str, expected: &[(String, f64)]) {
        let query = format!("      - eval_time: {seconds}s\n        expr: '{promql}'\n        exp_samples:");
        writeln!(self.queries, "{query}").unwrap();
        for (labels, value) in expected {
            writeln!(self.queries, "          - {{labels: '{{{labels}}}', value: {value}}}").unwrap();
        }
    }

    /// With this query at this time, which must give this number without labels.
    pub(super) fn expects_bare(&mut self, seconds: i64, promql: &str, expected: f64) {
        let query =
            format!("      - eval_time: {seconds}s\n        expr: '{promql}'\n        exp_samples:\n");
        writeln!(self.queries, "{query}          - {{labels: '{{}}', value: {expected}}}").unwrap();
    }

    /// What promtool says is wrong; empty when nothing is.
    pub(super) fn checked(&self) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "evaluation_interval: 15s\ntests:\n  - interval: 15s\n    input_series:\n{}    promql_expr_test:\n{}",
            self.series, self.queries
        );
        std::fs::write(file.path(), text).unwrap();
        let output = Command::new(program("promtool", "prometheus"))
            .args(["test", "rules"])
            .arg(file.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let (_, said) = said.split_once("FAILED").unwrap_or(("", ""));
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        // the queries are long: what matters are the times and the numbers
        let tail = |line: &str| line.rsplit_once("\", time: ").map_or(line, |(_, time)| time).to_owned();
        said.lines().map(tail).collect::<Vec<_>>().join("\n")
    }
}

/// The label that tells apart what one question asks for.
pub(super) fn count(which: &str) -> String {
    format!(r#",lifecycle_count="{which}""#)
}

/// What this gives without these parts, or with no other ones.
pub(super) fn parts(promql: &str, keep: bool, which: &[&str]) -> String {
    let parts = which
        .iter()
        .map(|which| format!(r#"label_replace(vector(0), "lifecycle_count", "{which}", "", "")"#));
    let operator = if keep { "and" } else { "unless" };
    format!("({promql}) {operator} on (lifecycle_count) ({})", parts.collect::<Vec<_>>().join(" or "))
}
