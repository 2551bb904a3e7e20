//! A rollout as a timeline that people read: one row whenever what they watch has changed, every
//! decision with its reason below it, and how it ended.

mod event;
mod looks;
mod row;
mod summary;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use lifecycle_core::report::{Line, LineKind, Status, WirePhase};

pub(crate) use row::{destination, phase_word};

use crate::output::Sink;
use looks::Looks;

/// No line is longer than this.
pub(crate) const WIDTH: usize = 100;
/// Columns before the text of a line: the time and its margin.
const MARGIN: usize = 10;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const CARE: Style = AnsiColor::Yellow.on_default();
const NEW: Style = AnsiColor::Cyan.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();

/// Writes the timeline, line by line as the rollout goes.
///
/// Of all that people watch within one second only the last is a row, below what was decided in it.
#[derive(Debug)]
pub(crate) struct Timeline<W> {
    out: W,
    /// Were the properties of a rollout checked?
    checked: bool,
    begun: bool,
    /// The newest status of a second that may not be over yet.
    pending: Option<(u64, Status)>,
    shown: Option<Status>,
    /// The second that the last line was about.
    second: Option<u64>,
    /// Was a rollout on its way?
    active: bool,
    /// What the looks said, where they are told.
    looks: Looks,
}

impl<W: Write> Timeline<W> {
    /// An empty timeline of a real rollout.
    pub(crate) const fn new(out: W) -> Self {
        Self {
            out,
            checked: false,
            begun: false,
            pending: None,
            shown: None,
            second: None,
            active: false,
            looks: Looks::new(),
        }
    }

    /// Of one whose properties were checked, which the end tells.
    pub(crate) const fn checked(mut self) -> Self {
        self.checked = true;
        self
    }

    fn show_pending(&mut self) -> io::Result<()> {
        let Some((at, status)) = self.pending.take() else { return Ok(()) };
        if self.shown.as_ref().is_some_and(|shown| !row::is_news(shown, &status)) {
            return Ok(());
        }
        self.time(at)?;
        row::write(&mut self.out, &status, None)?;
        self.shown = Some(status);
        Ok(())
    }

    /// The time, once for all lines of one second.
    fn time(&mut self, at: u64) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            row::head(&mut self.out)?;
        }
        if self.second == Some(at / 1000) {
            return write!(self.out, "{:MARGIN$}", "");
        }
        self.second = Some(at / 1000);
        write!(self.out, "{:>width$}  ", clock(at), width = MARGIN - 2)
    }
}

impl<W: Write> Sink for Timeline<W> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.pass(line.at_ms)?;
        match &line.kind {
            LineKind::Status(status) => {
                self.active |=
                    !matches!(status.phase, WirePhase::Pending | WirePhase::Healthy | WirePhase::Degraded)
                        && status.canary.is_some();
                self.pending = Some((line.at_ms, status.clone()));
                Ok(())
            }
            LineKind::Event { name, .. } if !event::is_shown(name) => Ok(()),
            // the look before it says the same, and more
            LineKind::Event { name: "Measured", .. } if self.looks.are_told() => Ok(()),
            LineKind::Look { check, verdict, message, .. } => {
                self.looks.add(line.at_ms, check, verdict, message);
                self.time(line.at_ms)?;
                looks::write(&mut self.out, check, verdict, message)
            }
            LineKind::Event { name, reason, message } => {
                self.time(line.at_ms)?;
                event::write(&mut self.out, name, reason, message)
            }
            LineKind::Outcome(outcome) => {
                self.show_pending()?;
                let at = self.active.then_some(line.at_ms);
                summary::write(&mut self.out, at, outcome, &self.looks.rows(), self.checked)
            }
            _ => Ok(()),
        }
    }

    fn pass(&mut self, at_ms: u64) -> io::Result<()> {
        if self.pending.as_ref().is_some_and(|(at, _)| at / 1000 < at_ms / 1000) {
            self.show_pending()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn close(&mut self) -> io::Result<()> {
        self.show_pending()?;
        self.out.flush()
    }
}

impl Timeline<Vec<u8>> {
    /// What was written since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

/// One row by itself, under its head, with this word `instead` of the phase's own.
pub(crate) fn status(out: &mut impl Write, status: &Status, instead: Option<&str>) -> io::Result<()> {
    row::head(out)?;
    write!(out, "{:MARGIN$}", "")?;
    row::write(out, status, instead)
}

/// An outcome in a person's words.
pub(crate) fn outcome_word(outcome: &str) -> &str {
    summary::outcome_word(outcome).0
}

/// `1:02:03`, hours without an end.
pub(crate) fn clock(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests;
