//! Where the lines of a rollout go: a timeline for people, or one JSON object a line for programs.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::ValueEnum;
use lifecycle_core::report::Line;

use crate::text::Timeline;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs: one object a line
    Json,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Not at all
    Never,
}

impl Color {
    const fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }

    /// Is standard output to be coloured?
    pub(crate) fn is_wanted(self) -> bool {
        match self {
            Self::Auto => AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// Standard output, coloured by this choice.
    pub(crate) fn stdout(self) -> AutoStream<io::StdoutLock<'static>> {
        AutoStream::new(io::stdout().lock(), self.choice())
    }
}

/// Takes the lines of a rollout, in time order.
pub(crate) trait Sink {
    /// One line.
    fn line(&mut self, line: &Line) -> io::Result<()>;
    /// It is this late, whether or not a line says so.
    fn pass(&mut self, _at_ms: u64) -> io::Result<()> {
        Ok(())
    }
    /// Hands over what was written so far.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// No further line follows.
    fn close(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// One JSON object a line.
#[derive(Debug)]
pub(crate) struct JsonLines<W>(pub(crate) W);

impl<W: Write> Sink for JsonLines<W> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output in this form, for a simulated rollout.
pub(crate) fn sink(output: Output, color: Color) -> Box<dyn Sink> {
    match output {
        Output::Text => Box::new(Timeline::new(io::BufWriter::new(color.stdout())).checked()),
        Output::Json => Box::new(JsonLines(io::BufWriter::new(io::stdout().lock()))),
    }
}
