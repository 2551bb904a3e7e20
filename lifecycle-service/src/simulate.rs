//! `lifecycle simulate`: a manifest on a simulated cluster, in virtual time.

use std::path::PathBuf;

use clap::Args;
use lifecycle_core::backend::Splitting;
use lifecycle_core::report::OutcomeLine;
use lifecycle_core::spec::Manifest;
use lifecycle_testkit::simulate::{Scenario, Simulation};

use crate::exit::Exit;
use crate::input::{self, BadInput};
use crate::output::{self, Color, Output, Sink};

const EXAMPLES: &str = "\
Examples:
  lifecycle simulate examples/agent-canary.yaml
  lifecycle simulate examples/agent-canary.yaml --scenario examples/scenarios/bad-version.yaml
  lifecycle simulate examples/agent-canary.yaml --scenario examples/scenarios/bad-version.yaml --explain
  lifecycle simulate examples/agent-canary.yaml --scenario examples/scenarios/faults.yaml --seed 7
  sed s/1.5.0/1.6.0/ examples/agent-canary.yaml | lifecycle simulate -
  lifecycle simulate examples/agent-rolling.yaml --output json | jq 'select(.kind == \"outcome\")'

Exit status: 0 whatever the outcome, 2 for a bad manifest or scenario, 3 when a property of a
rollout was violated.";

/// Roll out on a simulated cluster in virtual time: the same machine and driver as in production,
/// hours in milliseconds, the same seed gives the same bytes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// The manifest; - reads it from standard input
    manifest: PathBuf,
    /// What happens: cluster, versions, events, faults [default: a healthy new version]
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Another course of chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A timeline for people, or one JSON object a line
    #[arg(long, default_value = "text")]
    output: Output,
    /// Tell what every look said about every check, and why there was none
    ///
    /// What was compared, the numbers, the bound, over which time, and what it takes to decide; at the end all
    /// looks of each check in one row. With --output json each is a line of the kind "look", which there is not
    /// without this flag: check, verdict (Pass, Fail, Waiting, NoData, Inconclusive, Error, or Uncounted),
    /// message, countedMs.
    #[arg(long)]
    explain: bool,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

/// Simulates and prints.
pub(crate) fn carry_out(args: SimulateArgs) -> anyhow::Result<Exit> {
    let SimulateArgs { manifest: path, scenario, seed, output, explain, color } = args;
    let text = input::read_or_stdin(&path)?;
    let manifest = Manifest::from_yaml(&text).map_err(|error| BadInput::in_file(&path, error))?;
    let scenario = match &scenario {
        Some(path) => {
            Scenario::from_yaml(&input::read(path)?).map_err(|error| BadInput::in_file(path, error))?
        }
        None => Scenario::default_for(&manifest.spec),
    };
    let simulation =
        Simulation::new(&manifest.spec, &scenario, seed).map_err(|error| BadInput::in_file(&path, error))?;
    let simulation = if explain { simulation.explained() } else { simulation };
    let outcome = run(simulation, &mut *output::sink(output, color))?;
    Ok(if outcome.violations.is_empty() { Exit::Done } else { Exit::Violated })
}

/// Simulates a healthy new version with this router.
pub(crate) fn healthy(manifest: &Manifest, splitting: Splitting, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut scenario = Scenario::default_for(&manifest.spec);
    scenario.cluster.splitting = splitting;
    let simulation = Simulation::new(&manifest.spec, &scenario, 0).map_err(BadInput::new)?;
    run(simulation, sink)?;
    Ok(())
}

/// Runs to the end. Once a line cannot be written, no other is.
fn run(mut simulation: Simulation, sink: &mut dyn Sink) -> anyhow::Result<OutcomeLine> {
    let mut written = Ok(());
    let outcome = simulation.run(&mut |line| {
        if written.is_ok() {
            written = sink.line(line);
        }
    });
    written.and_then(|()| sink.close())?;
    Ok(outcome)
}
