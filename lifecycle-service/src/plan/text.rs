//! A plan for people.

use std::io::{self, Write};

use lifecycle_core::plan::{Hold, Mode, Plan};
use lifecycle_core::spec::Manifest;
use lifecycle_core::time::Millis;

use super::prediction::Prediction;
use crate::text::{BOLD, DIM, clock};

/// Columns of the labels.
const LABEL: usize = 12;

/// The whole plan.
pub(super) fn write(
    out: &mut impl Write,
    manifest: &Manifest,
    plan: &Plan,
    predicted: &Prediction,
) -> io::Result<()> {
    let (spec, n) = (&manifest.spec, manifest.spec.replicas());
    let heading = format!("{} {}", manifest.name, spec.version());
    writeln!(out, "{BOLD}{heading}{BOLD:#}: {}, {}\n", plan.strategy(), replicas(n))?;
    rules(out, plan, n)?;
    checks(out, plan)?;
    for hook in plan.hooks() {
        let failure = if hook.aborts { "a failure rolls back" } else { "a failure is only reported" };
        row(out, "hook", &format!("{} {} within {}, {failure}", hook.on, hook.url, hook.timeout))?;
    }
    steps(out, plan, n, predicted)?;
    retire(out, plan)?;
    let bakes = plan.steps().iter().fold(Millis::ZERO, |sum, hold| sum + hold.bake);
    match predicted.promoted_ms {
        Some(at) => writeln!(
            out,
            "\n  A healthy {} is promoted after {BOLD}{}{BOLD:#} ({bakes} of it in steps), simulated.",
            spec.version(),
            clock(at)
        ),
        None => writeln!(out, "\n  Not promoted without a person: {}.", predicted.otherwise),
    }
}

fn rules(out: &mut impl Write, plan: &Plan, n: u32) -> io::Result<()> {
    let traffic = match plan.mode() {
        Mode::Ratio => "the share of replicas is the share of traffic",
        Mode::Routed { dynamic_stable: false } => {
            "a router carries the weight; stable stays whole until promotion, going back is one route change"
        }
        Mode::Routed { dynamic_stable: true } => {
            "a router carries the weight; stable shrinks as the weight grows"
        }
        Mode::Exclusive => "old and new never run together: nothing serves in between",
        _ => "by a rule of its own",
    };
    row(out, "traffic", traffic)?;
    let limits = plan.limits(n);
    let ceiling = most(plan, n);
    let least = if plan.mode() == Mode::Exclusive { 0 } else { n.saturating_sub(limits.unavailable) };
    row(
        out,
        "replicas",
        &format!(
            "maxSurge {}, maxUnavailable {}: at least {least} available, at most {ceiling} in all",
            plan.surge(),
            plan.unavailable()
        ),
    )?;
    row(out, "drain", &format!("{} for the requests of a replica that is stopped", plan.drain()))?;
    let attempts =
        plan.readiness_attempts().map(|n| format!(", or when a new replica fails readiness {n} times"));
    let attempts = attempts.unwrap_or_default();
    row(
        out,
        "deadline",
        &format!("rolled back after {} without progress{attempts}", plan.progress_deadline()),
    )
}

/// The most replicas that are asked for at any time. Also after a last step below 100 % the whole canary
/// stands beside stable: promotion brings it to its size before stable goes.
fn most(plan: &Plan, n: u32) -> u32 {
    let steps = plan.steps().iter().map(|hold| hold.size.of(n));
    steps.chain([n]).map(|canary| plan.ceiling(n, canary)).max().unwrap_or(n)
}

fn checks(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    let analysis = plan.analysis();
    if analysis.checks.is_empty() {
        return row(out, "checks", "none: readiness and hooks are the gate");
    }
    let text = format!(
        "every {} over the last {}, from {} requests on each side",
        analysis.interval, analysis.window, analysis.min_requests
    );
    row(out, "checks", &text)?;
    analysis.checks.iter().try_for_each(|check| row(out, "", &check.to_string()))
}

fn steps(out: &mut impl Write, plan: &Plan, n: u32, predicted: &Prediction) -> io::Result<()> {
    writeln!(
        out,
        "\n  {DIM}{:>4}  {:>7}  {:>9}  {:>9}  {:<24}  predicted{DIM:#}",
        "step", "weight", "new", "for", "passes by"
    )?;
    for (i, hold) in plan.steps().iter().enumerate() {
        let times = predicted.steps.iter().find(|times| times.step == i + 1);
        let times = match times.map(|times| (times.from_ms, times.until_ms)) {
            Some((from, Some(until))) => format!("{} to {}", clock(from), clock(until)),
            Some((from, None)) => format!("from {}", clock(from)),
            None => "-".to_owned(),
        };
        writeln!(
            out,
            "  {:>4}  {:>7}  {:>9}  {:>9}  {:<24}  {times}",
            i + 1,
            hold.weight.to_string(),
            hold.size.of(n),
            hold.bake.to_string(),
            gate(plan, hold),
        )?;
    }
    Ok(())
}

/// What lets a step pass.
fn gate(plan: &Plan, hold: &Hold) -> String {
    let measured = if hold.gate && !plan.analysis().checks.is_empty() { "checks" } else { "readiness" };
    if hold.approval { format!("{measured} and a promote") } else { measured.to_owned() }
}

fn retire(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    let retire = plan.retire();
    let since = if retire.from_switch { "the switch" } else { "promotion" };
    if !matches!(plan.mode(), Mode::Routed { .. }) {
        return Ok(());
    }
    writeln!(out)?;
    row(out, "afterwards", &format!("the old revision is scaled to 0 {} after {since}", retire.after))?;
    if retire.keep > retire.after {
        row(out, "", &format!("and kept for a rollback until {} after {since}", retire.keep))?;
    }
    if plan.page_on_rollback() {
        row(out, "", "a rollback wakes somebody up")?;
    }
    Ok(())
}

fn row(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {DIM}{label:<LABEL$}{DIM:#}{text}")
}

fn replicas(n: u32) -> String {
    if n == 1 { "1 replica".to_owned() } else { format!("{n} replicas") }
}
