//! One decision in the timeline.

use std::io::{self, Write};

use anstyle::Style;
use textwrap::{Options, WordSplitter};

use super::{BAD, CARE, DIM, GOOD, MARGIN, NEW, WIDTH};

/// Columns of an event's mark and name.
const NAME: usize = 17;

/// Is this a decision that the rows do not show already?
pub(super) fn is_shown(name: &str) -> bool {
    !matches!(name, "Scaled" | "WeightSet" | "WeightReached")
}

/// The event, without its time; long messages go on below.
pub(super) fn write(out: &mut impl Write, name: &str, reason: &str, message: &str) -> io::Result<()> {
    let (mark, style) = mark(name, reason);
    let text =
        if says_reason(name, reason, message) { format!("{reason}: {message}") } else { message.to_owned() };
    let indent = MARGIN + NAME + 3;
    // A path or an address stays whole, so that it can be copied.
    let whole_words =
        Options::new(WIDTH - indent).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(&text, whole_words);
    write!(out, "{style}{mark} {name:<NAME$}{style:#} ")?;
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            write!(out, "{:indent$}", "")?;
        }
        writeln!(out, "{line}")?;
    }
    if lines.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

/// Does the reason say what neither the mark nor the message says?
fn says_reason(name: &str, reason: &str, message: &str) -> bool {
    let marked = matches!(
        (name, reason),
        ("Measured", "Pass" | "Fail") | ("HookEnded" | "CommandDone" | "CommandRefused" | "StartedAgain", _)
    );
    !(marked || reason.is_empty() || reason == name || message.starts_with(reason))
}

fn mark(name: &str, reason: &str) -> (char, Style) {
    match name {
        "RolloutStarted" | "Resumed" => ('▶', NEW),
        "StepStarted" | "HookStarted" => ('•', Style::new()),
        "GatePassed" | "Promoted" => ('✓', GOOD),
        "GateOverruled" => ('✓', CARE),
        "GoingBack" | "WentBack" => ('↩', BAD),
        "Paused" => ('‖', CARE),
        "CommandDone" | "Resized" | "ManifestApplied" | "StartedAgain" => ('›', NEW),
        "CommandRefused" => ('✗', CARE),
        "Alerted" | "Stuck" | "Trouble" | "BackendTrouble" | "ManifestIgnored" | "FaultInjected" => {
            ('!', CARE)
        }
        "Measured" | "HookEnded" => match reason {
            "Pass" | "Passed" => ('✓', GOOD),
            "Fail" | "Failed" => ('✗', BAD),
            _ => ('?', CARE),
        },
        _ => ('·', DIM),
    }
}
