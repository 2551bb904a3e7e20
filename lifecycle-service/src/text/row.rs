//! One row of the timeline: where the traffic goes, and who could take it.

use std::io::{self, Write};

use anstyle::Style;
use lifecycle_core::report::{GroupLine, Status, WirePhase};

use super::{BAD, BOLD, CARE, DIM, GOOD, MARGIN, NEW};

/// Cells of the weight's bar.
const BAR: usize = 20;
/// Columns of the phase and step.
const PHASE: usize = 15;
/// Columns of one replica group.
const GROUP: usize = 15;

/// What the columns are.
pub(super) fn head(out: &mut impl Write) -> io::Result<()> {
    let (bar, phase, group) = (BAR + 7, PHASE + 1, GROUP + 1);
    writeln!(
        out,
        "{DIM}{time:>width$}  {traffic:<bar$}{step:<phase$}{stable:<group$}canary{DIM:#}",
        width = MARGIN - 2,
        time = "time",
        traffic = "traffic to the canary",
        step = "phase and step",
        stable = "stable ready",
    )
}

/// Does `next` say something that people want a row for, after `shown`?
///
/// Replicas that become ready one by one are not; that the last one did is.
pub(super) fn is_news(shown: &Status, next: &Status) -> bool {
    let course = |s: &Status| (s.phase, s.step, s.weight, s.retiring.len());
    let wishes =
        |s: &Status| [&s.stable, &s.canary].map(|g| g.as_ref().map(|g| (g.version.clone(), g.desired)));
    let whole = |s: &Status| [&s.stable, &s.canary].map(|g| g.as_ref().is_none_or(|g| g.ready >= g.desired));
    course(shown) != course(next) || wishes(shown) != wishes(next) || whole(shown) != whole(next)
}

/// The row, without its time; with this word `instead` of the phase's own.
pub(super) fn write(out: &mut impl Write, status: &Status, instead: Option<&str>) -> io::Result<()> {
    traffic(out, status)?;
    let (name, style) = phase(status.phase);
    let name = instead.unwrap_or(name);
    let step = if status.step > 0 { format!(" {}/{}", status.step, status.steps) } else { String::new() };
    write!(out, "{style}{:<PHASE$}{style:#}", format!("{name}{step}"))?;
    let old = status.retiring.iter().map(|old| (format!("{} {} left", old.version, old.ready), DIM));
    let groups = [cell(status.stable.as_ref()), cell(status.canary.as_ref())].into_iter().chain(old);
    // No spaces at the end: each cell brings those that it needs before it.
    let mut missing = 1;
    for (text, style) in groups {
        write!(out, "{:missing$}{style}{text}{style:#}", "")?;
        missing = GROUP.saturating_sub(text.chars().count()) + 1;
    }
    writeln!(out)
}

/// The canary's share as a bar. Without a canary there is none to share with.
fn traffic(out: &mut impl Write, status: &Status) -> io::Result<()> {
    if status.canary.is_none() {
        return write!(out, "{DIM}{:<width$}{DIM:#}", destination(status), width = BAR + 7);
    }
    let cells = (status.weight as usize * BAR).div_ceil(100).min(BAR);
    let (full, rest) = ("█".repeat(cells), "░".repeat(BAR - cells));
    write!(out, "{NEW}{full}{NEW:#}{DIM}{rest}{DIM:#} {BOLD}{:>4}%{BOLD:#} ", status.weight)
}

/// Where the traffic goes, in words.
pub(crate) fn destination(status: &Status) -> String {
    match &status.stable {
        _ if status.canary.is_some() => format!("{}% to the canary", status.weight),
        Some(stable) if stable.ready > 0 => format!("all to {}", stable.version),
        _ if status.retiring.iter().any(|old| old.ready > 0) => "to older replicas".to_owned(),
        _ => "no replica is ready".to_owned(),
    }
}

fn cell(group: Option<&GroupLine>) -> (String, Style) {
    let Some(group) = group else { return ("-".to_owned(), DIM) };
    let style = if group.ready < group.desired { CARE } else { Style::new() };
    (format!("{} {}/{}", group.version, group.ready, group.desired), style)
}

/// A person's word for a phase.
pub(crate) const fn phase_word(wire: WirePhase) -> &'static str {
    phase(wire).0
}

/// The word for a phase, and how it looks.
const fn phase(phase: WirePhase) -> (&'static str, Style) {
    match phase {
        WirePhase::Pending => ("pending", DIM),
        WirePhase::Progressing => ("progressing", NEW),
        WirePhase::Paused => ("paused", CARE),
        WirePhase::Promoting => ("promoting", GOOD),
        WirePhase::Aborting => ("going back", BAD),
        WirePhase::Healthy => ("healthy", GOOD),
        WirePhase::Degraded => ("degraded", CARE),
        _ => ("?", DIM),
    }
}
