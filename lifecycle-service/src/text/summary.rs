//! How it ended.

use std::io::{self, Write};

use anstyle::Style;
use lifecycle_core::report::OutcomeLine;
use textwrap::{Options, WordSplitter};

use super::{BAD, BOLD, CARE, DIM, GOOD, WIDTH, clock};

/// Columns of the labels.
const LABEL: usize = 12;

/// The closing lines. Without a time: no rollout was on its way.
pub(super) fn write(
    out: &mut impl Write,
    at_ms: Option<u64>,
    outcome: &OutcomeLine,
    looks: &[String],
    checked: bool,
) -> io::Result<()> {
    let (word, style) = outcome_word(outcome.outcome);
    let is_on_its_way = matches!(outcome.outcome, "running" | "paused");
    let serving = match &outcome.version {
        Some(version) => format!("{version} serves"),
        None if is_on_its_way => "nothing is promoted yet".to_owned(),
        None => "nothing serves".to_owned(),
    };
    let when = match at_ms {
        Some(at_ms) if is_on_its_way => format!("so far {}", clock(at_ms)),
        Some(at_ms) => format!("all done after {}", clock(at_ms)),
        None => "nothing was started".to_owned(),
    };
    writeln!(out, "\n  {style}{word}{style:#}: {BOLD}{serving}{BOLD:#}, {when}")?;
    row(out, "reason", &outcome.reason, Style::new())?;
    looks.iter().try_for_each(|look| row(out, "check", look, Style::new()))?;
    let requests = &outcome.requests;
    if requests.total > 0 {
        let text = format!(
            "{} in all, {} failed{}, {} refused",
            grouped(requests.total),
            grouped(requests.failed),
            share(requests.failed, requests.total),
            grouped(requests.refused),
        );
        row(out, "requests", &text, if requests.refused > 0 { CARE } else { Style::new() })?;
    }
    if outcome.max_total > 0 {
        let text = format!(
            "never fewer than {} available, never more than {}",
            outcome.min_available, outcome.max_total
        );
        row(out, "replicas", &text, Style::new())?;
    }
    if checked && outcome.violations.is_empty() {
        return row(out, "properties", "all held", GOOD);
    }
    outcome.violations.iter().try_for_each(|violation| row(out, "VIOLATION", violation, BAD))
}

fn row(out: &mut impl Write, label: &str, text: &str, style: Style) -> io::Result<()> {
    let whole_words =
        Options::new(WIDTH - LABEL - 2).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    for (n, line) in textwrap::wrap(text, whole_words).iter().enumerate() {
        let label = if n == 0 { label } else { "" };
        writeln!(out, "  {DIM}{label:<LABEL$}{DIM:#}{style}{line}{style:#}")?;
    }
    Ok(())
}

/// An outcome in a person's words, and how it looks.
pub(super) fn outcome_word(outcome: &str) -> (&str, Style) {
    match outcome {
        "promoted" => ("promoted", GOOD),
        "rolledBack" => ("rolled back", BAD),
        "aborted" => ("aborted", BAD),
        "failed" => ("failed", BAD),
        "paused" => ("paused", CARE),
        other => (other, CARE),
    }
}

fn share(part: u64, all: u64) -> String {
    if part == 0 || all == 0 {
        return String::new();
    }
    // Shares are for reading: the loss of precision above 2^53 requests is fine.
    format!(" ({:.2}%)", part as f64 * 100.0 / all as f64)
}

/// `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (3_600_000, "3,600,000")] {
            assert_eq!(grouped(n), text);
        }
    }

    #[test]
    fn no_failure_has_no_share() {
        assert_eq!(share(0, 10), "");
        assert_eq!(share(1, 8), " (12.50%)");
    }
}
