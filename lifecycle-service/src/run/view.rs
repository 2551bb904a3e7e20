//! What a person or a program sees of a rollout that is on its way.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;

use lifecycle_core::machine::State;
use lifecycle_core::plan::Plan;
use lifecycle_core::report::{Line, Status};

use super::live::Live;
use crate::exit::Exit;
use crate::output::{Color, JsonLines, Output, Sink};
use crate::text::Timeline;

/// A [`Sink`] that is also shown every moment in between.
pub(super) trait View: Sink {
    /// How things stand, after each tick.
    fn moment(&mut self, plan: &Plan, state: &State, status: &Status);
    /// It is over, for this run.
    fn part(&mut self, exit: Exit, left: Left) -> io::Result<()>;
}

/// The view for this output: live on a terminal.
pub(super) fn view(output: Output, color: Color) -> Box<dyn View> {
    match output {
        Output::Json => Box::new(Plain { sink: JsonLines(io::stdout().lock()), says_farewell: false }),
        Output::Text if io::stdout().is_terminal() && io::stderr().is_terminal() => {
            Box::new(Live::new(color))
        }
        Output::Text => Box::new(Plain { sink: Timeline::new(color.stdout()), says_farewell: true }),
    }
}

/// Lines, and nothing between them.
struct Plain<S> {
    sink: S,
    says_farewell: bool,
}

impl<S: Sink> Sink for Plain<S> {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.sink.line(line)
    }

    fn pass(&mut self, at_ms: u64) -> io::Result<()> {
        self.sink.pass(at_ms)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn close(&mut self) -> io::Result<()> {
        self.sink.close()
    }
}

impl<S: Sink> View for Plain<S> {
    fn moment(&mut self, _plan: &Plan, _state: &State, _status: &Status) {}

    fn part(&mut self, exit: Exit, left: Left) -> io::Result<()> {
        self.sink.close()?;
        if self.says_farewell {
            writeln!(io::stdout(), "{}", farewell(exit, left))?;
        }
        Ok(())
    }
}

/// What is left behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Where the proxy listens.
    pub(super) listening: SocketAddr,
    /// Does a replica take requests?
    pub(super) serves: bool,
}

/// The last words: what is left behind, and what can be done about it.
pub(super) fn farewell(exit: Exit, Left { listening, serves }: Left) -> String {
    match (exit, serves) {
        (Exit::Interrupted, true) => format!(
            "\n  interrupted: everything goes on serving at http://{listening}; a second `run` goes on from here"
        ),
        (Exit::Interrupted, false) => format!(
            "\n  interrupted: what was started goes on, behind http://{listening}; a second `run` goes on from here"
        ),
        (_, true) => format!("\n  serving at http://{listening} until `lifecycle down`"),
        (_, false) => {
            format!("\n  no replica is ready: http://{listening} refuses requests; `lifecycle down` stops it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_that_it_serves_when_nothing_does() {
        let listening: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        for exit in [Exit::Failed, Exit::Interrupted] {
            assert!(!farewell(exit, Left { listening, serves: false }).contains("serving"));
            assert!(
                farewell(exit, Left { listening, serves: true }).contains("serving at http://127.0.0.1:8080")
            );
        }
    }
}
