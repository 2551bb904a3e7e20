//! Commands by annotation: `<id> <command>`.

use lifecycle_core::machine::{Command, CommandKind};
use lifecycle_core::version::parse_version;

use super::Problem;
use crate::crd::CommandAnswer;

/// What is accepted, for people.
const ACCEPTED: &str = "write \"<id> <command>\" with a new id for each command; commands are pause, resume, promote, \
    promote-full, abort, retry, rollback, rollback VERSION";

/// Longest id.
const MAX_ID: usize = 63;

/// A command that cannot be understood: its id, what was asked, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misunderstood {
    pub(super) id: String,
    pub(super) command: String,
    pub(super) why: String,
}

impl Misunderstood {
    /// There is nothing that it could be about.
    pub(super) fn too_early(command: &Command) -> Self {
        let why = "no spec was accepted yet, so there is no rollout; give it again, with a new id, once there is one";
        Self { id: command.id.to_string(), command: command.kind.to_string(), why: why.to_owned() }
    }

    /// Each id is carried out once.
    pub(super) fn used(command: &Command, answered: Option<&CommandAnswer>) -> Self {
        let before = answered.filter(|answer| *answer.id == *command.id);
        let before = before.map_or_else(|| "used".to_owned(), |answer| format!("that of {}", answer.command));
        let why = format!("the id {} was {before} before; write a new one", command.id);
        Self { id: command.id.to_string(), command: command.kind.to_string(), why }
    }

    /// As it is told, like a command that is understood and refused.
    pub(super) fn problem(&self) -> Problem {
        let Self { id, command, why } = self;
        let reason = if command.is_empty() { String::new() } else { format!(" ({command})") };
        Problem::command(format!("{command} ({id}) refused: {why}{reason}").trim_start())
    }
}

/// Reads the text of the annotation.
pub(super) fn parse(text: &str) -> Result<Command, Misunderstood> {
    let mut words = text.split_whitespace();
    let id = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let no = |why: String| {
        let id = id.chars().take(MAX_ID).collect();
        Misunderstood { id, command: words.join(" "), why }
    };
    if id.len() > MAX_ID {
        return Err(no(format!("the id has {} characters; at most {MAX_ID} are accepted", id.len())));
    }
    let kind = match words[..] {
        ["pause"] => CommandKind::Pause,
        ["resume"] => CommandKind::Resume,
        ["promote"] => CommandKind::Promote,
        ["promote-full"] => CommandKind::PromoteFull,
        ["abort"] => CommandKind::Abort,
        ["retry"] => CommandKind::Retry,
        ["rollback"] => CommandKind::Rollback(None),
        ["rollback", version] => {
            CommandKind::Rollback(Some(parse_version(version).map_err(|error| no(error.to_string()))?))
        }
        ["scale", ..] => return Err(no("replicas are changed in spec.replicas: kubectl scale".to_owned())),
        [] => return Err(no(format!("there is no command; {ACCEPTED}"))),
        _ => return Err(no(ACCEPTED.to_owned())),
    };
    Ok(Command::new(id, kind))
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::Version;

    use super::*;

    #[test]
    fn every_command_is_understood() {
        for (text, kind) in [
            ("1 pause", CommandKind::Pause),
            (" a-2   promote-full ", CommandKind::PromoteFull),
            ("x rollback", CommandKind::Rollback(None)),
            ("x rollback v1.4", CommandKind::Rollback(Some(Version::new(1, 4, 0)))),
        ] {
            assert_eq!(parse(text).map(|command| command.kind), Ok(kind), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_answered_with_what_is() {
        let long = format!("{} abort", "x".repeat(64));
        for (text, id, why) in [
            ("", "", "there is no command"),
            ("7", "7", "there is no command"),
            ("7 explode", "7", "write \"<id> <command>\""),
            ("7 abort now", "7", "write \"<id> <command>\""),
            ("7 rollback newest", "7", "is not a version"),
            ("7 scale 5", "7", "kubectl scale"),
            (&long, &"x".repeat(63), "the id has 64 characters"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.id, id, "{text}");
            assert!(error.why.contains(why), "{text}: {}", error.why);
        }
    }
}
