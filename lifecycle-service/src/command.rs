//! Commands to a rollout on this machine, at any time.

mod standing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use lifecycle_core::machine::CommandKind;
use lifecycle_core::version::parse_version;

use crate::exit::Exit;
use crate::input::BadInput;
use crate::output::{Color, Output};
use crate::run::spool::{Answer, Spool};
use crate::run::{self, InUse, STATE_DIR};

/// A `run` that drives answers within its look at the commands; with one that does not, give up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct CommandArgs {
    /// The state directory of the `run`
    #[arg(long, value_name = "DIR", default_value = STATE_DIR, env = "LIFECYCLE_STATE_DIR")]
    state_dir: PathBuf,
    /// When no `run` is there to take the command, this drives the rollout itself, and shows it: as a
    /// timeline for people, or as one JSON object a line
    #[arg(long, default_value = "text")]
    output: Output,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

/// Pass the gate of this step, or every gate that is left
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// Every gate that is left
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    common: CommandArgs,
}

/// Go back to the version that was promoted before, or to a given one
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifecycle rollback\n  lifecycle rollback --to-version 1.4.0")]
pub(crate) struct RollbackArgs {
    /// A version that was promoted before [default: the newest other one]
    #[arg(long, value_name = "VERSION")]
    to_version: Option<String>,
    #[command(flatten)]
    common: CommandArgs,
}

/// Change the number of replicas, also in the middle of a rollout
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lifecycle scale 6")]
pub(crate) struct ScaleArgs {
    /// How many, 1 or more
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    replicas: u32,
    #[command(flatten)]
    common: CommandArgs,
}

/// `lifecycle promote`.
pub(crate) fn promote(args: PromoteArgs) -> anyhow::Result<Exit> {
    let PromoteArgs { full, common } = args;
    give(if full { CommandKind::PromoteFull } else { CommandKind::Promote }, common)
}

/// `lifecycle rollback`.
pub(crate) fn rollback(args: RollbackArgs) -> anyhow::Result<Exit> {
    let RollbackArgs { to_version, common } = args;
    let version = to_version.map(|text| parse_version(&text)).transpose();
    let version = version.map_err(|error| BadInput::new(format!("--to-version: {error}")))?;
    give(CommandKind::Rollback(version), common)
}

/// `lifecycle scale`.
pub(crate) fn scale(args: ScaleArgs) -> anyhow::Result<Exit> {
    let ScaleArgs { replicas, common } = args;
    give(CommandKind::Scale(replicas), common)
}

/// Hands a command to the `run` that drives this state directory. Without one, drives it itself until
/// nothing is left to do.
pub(crate) fn give(kind: CommandKind, args: CommandArgs) -> anyhow::Result<Exit> {
    let CommandArgs { state_dir, output, color } = args;
    known(&state_dir)?;
    let spool = Spool::in_dir(&state_dir).with_context(|| format!("cannot use {}", state_dir.display()))?;
    let id = spool.submit(kind).with_context(|| format!("cannot write to {}", state_dir.display()))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match run::carry_on(&state_dir, output, color) {
            Err(error) if error.is::<InUse>() => {}
            // The timeline has told everything else.
            driven => return driven.and_then(|exit| own_answer(&spool, &id, exit)),
        }
        if let Some(answer) = spool.answer_to(&id)? {
            return said(&answer);
        }
        if Instant::now() > deadline {
            spool.withdraw(&id);
            anyhow::bail!("the run that drives {} does not answer", state_dir.display());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// After driving it itself: a refusal is what counts, else that the rollout settled.
fn own_answer(spool: &Spool, id: &str, exit: Exit) -> anyhow::Result<Exit> {
    match (spool.answer_to(id)?, exit) {
        (_, Exit::Interrupted) => Ok(Exit::Interrupted),
        (Some(answer), _) if !answer.done => Err(anyhow::anyhow!("{}", answer.message)),
        _ => Ok(Exit::Done),
    }
}

fn said(answer: &Answer) -> anyhow::Result<Exit> {
    if !answer.done {
        return Err(anyhow::anyhow!("{}", answer.message));
    }
    writeln!(std::io::stdout(), "done: {}", answer.message)?;
    Ok(Exit::Done)
}

fn known(state_dir: &Path) -> Result<(), BadInput> {
    if state_dir.is_dir() {
        return Ok(());
    }
    Err(BadInput::in_file(state_dir, "no such state directory; `lifecycle run MANIFEST` makes one"))
}

const STATUS: &str = "\
Nothing is touched. While a `run` drives, this is what that one has shown last. Else processes and
proxy are looked at, and the phase may also be `stopped` (nothing runs), `interrupted` (a rollout
that nobody goes on with) or `unhealthy` (a replica or the proxy is missing).

Exit status: 0 shown, 2 nothing was run here.";

/// Show how the rollout stands, and what of it runs
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub(crate) struct StatusArgs {
    /// The state directory of the `run`
    #[arg(long, value_name = "DIR", default_value = STATE_DIR, env = "LIFECYCLE_STATE_DIR")]
    state_dir: PathBuf,
    /// A table for people, or one JSON object
    #[arg(long, default_value = "text")]
    output: Output,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

const DOWN: &str = "\
A `run` that drives has to be ended first, with Ctrl-C. Kept is which versions were promoted, so
that `rollback` works, and how many replicas ran: the next `run` starts these again before anything
else. --clean starts clean.

Exit status: 0 nothing runs any more, 1 a `run` drives or something could not be stopped, 2 there is
no such state directory.";

/// Stop every replica and the proxy: nothing serves after it
#[derive(Debug, Args)]
#[command(after_help = DOWN)]
pub(crate) struct DownArgs {
    /// The state directory of the `run`
    #[arg(long, value_name = "DIR", default_value = STATE_DIR, env = "LIFECYCLE_STATE_DIR")]
    state_dir: PathBuf,
    /// Also remove what is kept: history, logs, alerts, and the directory if nothing else is in it
    #[arg(long)]
    clean: bool,
}

/// `lifecycle status`.
pub(crate) fn status(args: StatusArgs) -> anyhow::Result<Exit> {
    let StatusArgs { state_dir, output, color } = args;
    known(&state_dir)?;
    let Some(standing) = run::runtime()?.block_on(run::standing(&state_dir))? else {
        return Err(
            BadInput::in_file(&state_dir, "nothing was run here yet; `lifecycle run MANIFEST` does").into()
        );
    };
    standing::write(&standing, run::now(), output, color)?;
    Ok(Exit::Done)
}

/// `lifecycle down`.
pub(crate) fn down(args: DownArgs) -> anyhow::Result<Exit> {
    let DownArgs { state_dir, clean } = args;
    known(&state_dir)?;
    let run::Down { unrecorded } = run::runtime()?.block_on(run::down(&state_dir, clean))?;
    let dir = state_dir.display();
    let kept = if clean {
        " and forgotten"
    } else {
        "; its history is kept for the next `run` (`lifecycle down --clean` forgets it)"
    };
    let mut out = std::io::stdout();
    writeln!(out, "everything in {dir} was stopped{kept}")?;
    if let Some(error) = unrecorded {
        writeln!(out, "that could not be recorded, which the next `run` finds out: {error}")?;
    }
    Ok(Exit::Done)
}
