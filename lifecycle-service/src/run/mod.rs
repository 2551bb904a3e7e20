//! `lifecycle run`: a manifest on this machine, with real processes behind a real proxy.

mod accept;
mod course;
mod files;
mod live;
mod signals;
pub(crate) mod spool;
mod tally;
mod verdict;
mod view;
mod watch;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::exit::Exit;
use crate::input::{self, BadInput};
use crate::output::{Color, Output};
use accept::Accepted;
pub(crate) use course::now;
use course::{Course, Until};
use spool::Spool;
use watch::Watch;
use world::World;
pub(crate) use world::{Down, InUse, Standing, down, standing};

/// Where the state of a rollout target is kept unless said otherwise.
pub(crate) const STATE_DIR: &str = ".lifecycle";
/// The manifest that was accepted last, in the state directory.
const KEPT_MANIFEST: &str = "manifest.yaml";

const EXAMPLES: &str = "\
Examples:
  lifecycle run examples/local/canary-1.4.0.yaml       first deployment, at http://127.0.0.1:8080
  lifecycle run examples/local/canary-1.5.0.yaml       rolls 1.5.0 out beside it
  lifecycle run agent.yaml --output json | jq .kind    for programs
  lifecycle run agent.yaml --supervise                 goes on restarting what dies, until Ctrl-C

The replicas and the proxy are processes of their own: when this program ends, is interrupted by
Ctrl-C or is killed, everything goes on serving, and a second `run` goes on from where it was. The
manifest may be edited while it runs; an edit that is wrong is reported and ignored. Give commands
from another terminal: pause, resume, promote, abort, retry, rollback, scale, status. `down` stops
everything.

A version that was rolled back is not tried again by itself: `lifecycle retry` does. One that comes
while the rollout is paused waits for `lifecycle resume`.

Exit status: 0 the version of the manifest serves, 1 rolled back, aborted, failed or waiting to be
resumed, 2 bad input, 130 interrupted before the end. With --supervise, Ctrl-C after the end of the
rollout gives the rollout's own 0 or 1.";

/// Roll out on this machine: real processes behind a reverse proxy
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The manifest, a file: it is watched for edits
    manifest: PathBuf,
    /// Where everything that must survive is kept; one directory a rollout target
    #[arg(long, value_name = "DIR", default_value = STATE_DIR, env = "LIFECYCLE_STATE_DIR")]
    state_dir: PathBuf,
    /// Where the proxy takes requests [default: where it did before, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Go on after the rollout has ended: restart what dies, follow the manifest
    #[arg(long)]
    supervise: bool,
    /// A timeline for people (live on a terminal), or one JSON object a line
    #[arg(long, default_value = "text")]
    output: Output,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

/// Runs the manifest.
pub(crate) fn carry_out(args: RunArgs) -> anyhow::Result<Exit> {
    let RunArgs { manifest: path, state_dir, listen, supervise, output, color } = args;
    if input::is_stdin(&path) {
        return Err(BadInput::new(
            "-: `run` follows edits of its manifest, so it needs a file; `plan` and `simulate` read standard input",
        )
        .into());
    }
    let text = input::read(&path)?;
    let accepted = accept::accept(&text).map_err(|error| BadInput::in_file(&path, error))?;
    let watch = Watch::new(&path, text);
    let until = if supervise { Until::Interrupted } else { Until::Settled };
    runtime()?.block_on(async {
        let world = World::open(&state_dir, listen, &accepted).await?;
        drive(world, &state_dir, accepted, Some(watch), until, output, color).await
    })
}

/// Drives the manifest that was run last in this state directory, until nothing is left to do but
/// for a person.
///
/// # Errors
/// [`InUse`] when a `run` does that already.
pub(crate) fn carry_on(state_dir: &Path, output: Output, color: Color) -> anyhow::Result<Exit> {
    let kept = state_dir.join(KEPT_MANIFEST);
    let text = input::read(&kept).with_context(|| format!("nothing was run in {}", state_dir.display()))?;
    let accepted = accept::accept(&text).map_err(|error| BadInput::in_file(&kept, error))?;
    runtime()?.block_on(async {
        let world = World::open(state_dir, None, &accepted).await?;
        drive(world, state_dir, accepted, None, Until::AtRest, output, color).await
    })
}

async fn drive(
    world: World,
    state_dir: &Path,
    accepted: Accepted,
    watch: Option<Watch>,
    until: Until,
    output: Output,
    color: Color,
) -> anyhow::Result<Exit> {
    let driver = world.driver(&accepted).await?;
    let spool = Spool::in_dir(state_dir).with_context(|| format!("cannot use {}", state_dir.display()))?;
    Course::new(world, driver, spool, watch, view::view(output, color), &accepted).go(until).await
}

/// One thread: driving waits far more than it works.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The reverse proxy of `run`; not for people
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Its configuration, written by `run`
    config: PathBuf,
}

/// Serves until it is told to stop.
pub(crate) fn proxy(args: ProxyArgs) -> anyhow::Result<Exit> {
    let ProxyArgs { config } = args;
    world::serve_proxy(&config)?;
    Ok(Exit::Done)
}
