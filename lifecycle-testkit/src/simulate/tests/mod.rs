//! Whole runs, and scenarios that are refused.

mod explained;
mod faults;
mod read;
mod runs;
mod sequential;

use lifecycle_core::report::{Line, LineKind, OutcomeLine, Status};
use lifecycle_core::spec::{Manifest, RolloutSpec};
use lifecycle_core::version::Version;

use super::*;

/// The spec of a manifest with these fields.
fn spec(fields: &str) -> RolloutSpec {
    let text = format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: agent}}, spec: {{{fields}}}}}"
    );
    Manifest::from_yaml(&text).unwrap().spec
}

/// 1.4.0 serves on ten replicas, and then this.
fn scenario(rest: &str) -> Scenario {
    Scenario::from_yaml(&format!("{{initial: {{version: 1.4.0, replicas: 10}}, {rest}}}")).unwrap()
}

/// Every line of the run of this spec in this scenario, and how it ended.
fn lines(fields: &str, scenario: &Scenario) -> (Vec<Line>, OutcomeLine) {
    let mut lines = Vec::new();
    let mut simulation = Simulation::new(&spec(fields), scenario, 0).unwrap();
    let outcome = simulation.run(&mut |line| lines.push(line.clone()));
    (lines, outcome)
}

fn outcome(fields: &str, rest: &str) -> OutcomeLine {
    lines(fields, &scenario(rest)).1
}

/// Every status, with its time in milliseconds.
fn statuses(lines: &[Line]) -> Vec<(u64, &Status)> {
    lines
        .iter()
        .filter_map(|line| match &line.kind {
            LineKind::Status(status) => Some((line.at_ms, status)),
            _ => None,
        })
        .collect()
}

/// The names of every event, with its time in milliseconds.
fn events(lines: &[Line]) -> Vec<(u64, &str)> {
    lines
        .iter()
        .filter_map(|line| match &line.kind {
            LineKind::Event { name, .. } => Some((line.at_ms, *name)),
            _ => None,
        })
        .collect()
}

const STRATEGIES: [&str; 4] = ["rolling", "blue-green", "canary", "recreate"];

fn ten(strategy: &str) -> String {
    format!("version: 1.5.0, strategy: {strategy}, replicas: 10")
}
