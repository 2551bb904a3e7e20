//! Carrying out commands: each id once, whenever it comes.

use std::sync::Arc;

use super::back;
use super::command::{Command, CommandKind};
use super::event::{BackReason, EventKind, PauseCause};
use super::follow;
use super::state::{Next, Phase};
use super::turn::Turn;
use crate::version::{RevisionNumber, Version};

/// Ids of commands that are remembered, newest last.
const REMEMBERED: usize = 8;

/// The highest number of replicas that a command may ask for.
const MAX_REPLICAS: u32 = 100_000;

type Refusal = String;

pub(super) fn commands(turn: &mut Turn<'_>) {
    let seen = turn.seen;
    for command in &seen.commands {
        if turn.state.seen_commands.contains(&command.id) {
            continue;
        }
        if turn.state.seen_commands.len() >= REMEMBERED {
            turn.state.seen_commands.remove(0);
        }
        turn.state.seen_commands.push(Arc::clone(&command.id));
        answer(turn, command);
    }
}

fn answer(turn: &mut Turn<'_>, Command { id, kind }: &Command) {
    let (id, command) = (Arc::clone(id), kind.clone());
    // the command is told before what it causes
    let at = turn.events.len();
    let told = match carry_out(turn, kind) {
        Ok(()) => EventKind::CommandDone { id, command },
        Err(why) => EventKind::CommandRefused { id, command, why: why.into() },
    };
    turn.tell(told);
    turn.events[at..].rotate_right(1);
}

fn carry_out(turn: &mut Turn<'_>, kind: &CommandKind) -> Result<(), Refusal> {
    match kind {
        CommandKind::Pause => {
            if turn.state.phase == Phase::Aborting {
                return Err("the rollout is on its way back, which is not paused".to_owned());
            }
            turn.pause(PauseCause::Command);
            Ok(())
        }
        CommandKind::Resume => {
            let approval = turn.state.paused == Some(PauseCause::Approval);
            if turn.state.paused.is_none() {
                return Err("the rollout is not paused".to_owned());
            }
            turn.resume();
            turn.state.progress.promoted |= approval;
            Ok(())
        }
        CommandKind::Promote => promote(turn, false),
        CommandKind::PromoteFull => promote(turn, true),
        CommandKind::Abort => match turn.state.phase {
            Phase::Progressing | Phase::Promoting => {
                back::go_back(turn, BackReason::AbortCommand, None);
                Ok(())
            }
            Phase::Aborting => {
                // an abort also ends what was to follow the way back
                turn.state.next = None;
                Ok(())
            }
            Phase::Healthy | Phase::Degraded => Err("no rollout is on its way".to_owned()),
        },
        CommandKind::Retry => retry(turn),
        CommandKind::Rollback(version) => rollback(turn, version.as_ref()),
        CommandKind::Scale(replicas) => {
            if !(1..=MAX_REPLICAS).contains(replicas) {
                return Err(format!("{replicas} is not a number of replicas from 1 to {MAX_REPLICAS}"));
            }
            follow::resize(turn, *replicas);
            Ok(())
        }
    }
}

fn promote(turn: &mut Turn<'_>, full: bool) -> Result<(), Refusal> {
    if turn.state.phase != Phase::Progressing {
        return Err("no rollout waits at a gate".to_owned());
    }
    turn.resume();
    turn.state.progress.promoted = true;
    turn.state.progress.full |= full;
    Ok(())
}

fn retry(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let seen = turn.seen;
    let Some(desired) = &seen.desired else { return Err("the spec could not be read".to_owned()) };
    let stable = turn.state.stable.and_then(|number| turn.state.revision(number));
    if stable.is_some_and(|revision| revision.hash == desired.hash) {
        return Err(format!("{} is stable already", desired.version));
    }
    match turn.state.phase {
        Phase::Healthy | Phase::Degraded if turn.state.progress.wrapping_up => {
            Err("the rollout is still running its last hooks".to_owned())
        }
        Phase::Healthy | Phase::Degraded => {
            turn.state.paused = None;
            follow::start_spec(turn, desired);
            Ok(())
        }
        Phase::Aborting => {
            turn.state.next = Some(Next::Spec);
            Ok(())
        }
        Phase::Progressing | Phase::Promoting => Err("the rollout is on its way".to_owned()),
    }
}

fn rollback(turn: &mut Turn<'_>, version: Option<&Version>) -> Result<(), Refusal> {
    let stable = turn.state.stable;
    let names_stable = match (version, stable.and_then(|number| turn.state.revision(number))) {
        (None, _) => true,
        (Some(version), Some(stable)) => stable.version == *version,
        (Some(_), None) => false,
    };
    match turn.state.phase {
        Phase::Progressing | Phase::Promoting if names_stable => {
            back::go_back(turn, BackReason::RollbackCommand, None);
            Ok(())
        }
        Phase::Progressing | Phase::Promoting => {
            let number = target(turn, version)?;
            back::go_back(turn, BackReason::RollbackCommand, Some(Next::Rollback(number)));
            Ok(())
        }
        Phase::Aborting if names_stable => {
            turn.state.next = None;
            Ok(())
        }
        Phase::Aborting => {
            turn.state.next = Some(Next::Rollback(target(turn, version)?));
            Ok(())
        }
        Phase::Healthy | Phase::Degraded => {
            if version.is_some() && names_stable {
                return Err(format!(
                    "{} is stable already",
                    version.map(ToString::to_string).unwrap_or_default()
                ));
            }
            if let (None, Phase::Degraded, Some(stable)) =
                (version, turn.state.phase, stable.and_then(|number| turn.state.revision(number)))
            {
                return Err(format!(
                    "{} serves already, the newest that was promoted healthy; name a version to go further back",
                    stable.version
                ));
            }
            let number = target(turn, version)?;
            if let Some(known) = stable.and_then(|stable| turn.known_mut(stable)) {
                known.left = true;
            }
            turn.state.paused = None;
            follow::rollback_to(turn, number);
            Ok(())
        }
    }
}

/// The newest revision that was promoted healthy before stable, or the one with this version.
fn target(turn: &Turn<'_>, version: Option<&Version>) -> Result<RevisionNumber, Refusal> {
    let candidates =
        || turn.state.revisions.iter().filter(|known| Some(known.revision.number) != turn.state.stable);
    let newest = candidates()
        .filter(|known| known.promoted > 0 && !known.failed)
        .filter(|known| version.map_or(!known.left, |version| known.revision.version == *version))
        .max_by_key(|known| known.promoted);
    match (newest, version) {
        (Some(known), _) => Ok(known.revision.number),
        (None, None) => Err("there is no previous revision that was promoted healthy".to_owned()),
        (None, Some(version)) => {
            let known: Vec<String> = candidates()
                .filter(|known| known.promoted > 0 && !known.failed)
                .map(|known| known.revision.version.to_string())
                .collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(format!("{version} was never promoted healthy here; known: {known}"))
        }
    }
}
