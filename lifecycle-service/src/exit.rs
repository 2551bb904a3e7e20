//! What the program's exit status says.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::input::BadInput;

/// Exit statuses, the same in every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done; for a rollout: the version that was asked for serves.
    Done = 0,
    /// The rollout ended otherwise or waits, a command was refused, or something outside failed.
    Failed = 1,
    /// A bad manifest, scenario or argument: nothing was changed.
    BadInput = 2,
    /// A simulated rollout broke a property.
    Violated = 3,
    /// Ctrl-C or SIGTERM; what serves goes on serving.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Says what went wrong in one line on stderr. Nobody reads on when a pipe is broken: that is no
/// failure.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    if error.chain().any(is_broken_pipe) {
        return Exit::Done;
    }
    let text = sentence(error).split_whitespace().collect::<Vec<_>>().join(" ");
    // There is nowhere to say that stderr is closed.
    let _ = writeln!(io::stderr(), "error: {text}");
    if error.chain().any(|cause| cause.is::<BadInput>()) { Exit::BadInput } else { Exit::Failed }
}

/// An error and its causes; a cause that was named already is not named again.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.contains(&cause) => said.to_owned(),
        said => format!("{said}: {cause}"),
    })
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    kind == Some(io::ErrorKind::BrokenPipe) || json == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_no_failure_and_a_bad_input_is_status_2() {
        let pipe = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert_eq!(report(&pipe), Exit::Done);
        assert_eq!(report(&anyhow::Error::from(BadInput::new("x")).context("reading")), Exit::BadInput);
        assert_eq!(report(&anyhow::anyhow!("a disk is full")), Exit::Failed);
    }

    #[test]
    fn a_cause_is_named_once() {
        let full = io::Error::other("no space left");
        let named = anyhow::Error::from(full).context("cannot write x: no space left; try again");
        assert_eq!(sentence(&named), "cannot write x: no space left; try again");
        let unnamed = anyhow::anyhow!("no space left").context("cannot write x").context("starting");
        assert_eq!(sentence(&unnamed), "starting: cannot write x: no space left");
    }
}
