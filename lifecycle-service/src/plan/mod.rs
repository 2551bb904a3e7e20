//! `lifecycle plan`: what a manifest will do, before it does.

mod prediction;
mod text;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lifecycle_core::backend::Splitting;
use lifecycle_core::spec::Manifest;
use lifecycle_core::strategy::{self, PlanContext};
use serde_json::json;

use crate::exit::Exit;
use crate::input::{self, BadInput};
use crate::output::{Color, Output};
use prediction::Prediction;

const EXAMPLES: &str = "\
Examples:
  lifecycle plan examples/agent-canary.yaml
  lifecycle plan examples/agent-canary.yaml --router replica-ratio
  lifecycle plan examples/agent-blue-green.yaml --output json

Exit status: 0 done, 2 bad input.";

/// Show what a manifest will do: its steps, limits and checks, and when each step is over if the
/// new version is healthy (taken from a simulated rollout)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// The manifest; - reads it from standard input
    manifest: PathBuf,
    /// What splits the traffic
    #[arg(long, default_value = "weighted")]
    router: Router,
    /// How the plan is written; json gives times in milliseconds
    #[arg(long, default_value = "text")]
    output: Output,
    /// When text is coloured
    #[arg(long, default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Router {
    /// A router carries any weight
    Weighted,
    /// A Service that only switches: the share of replicas is the share of traffic
    ReplicaRatio,
}

/// Compiles, predicts and prints.
pub(crate) fn carry_out(args: PlanArgs) -> anyhow::Result<Exit> {
    let PlanArgs { manifest: path, router, output, color } = args;
    let text = input::read_or_stdin(&path)?;
    let manifest = Manifest::from_yaml(&text).map_err(|error| BadInput::in_file(&path, error))?;
    let splitting = match router {
        Router::Weighted => Splitting::Weighted,
        Router::ReplicaRatio => Splitting::Switch,
    };
    let target = strategy::compile(&manifest.spec, &PlanContext::new(Some(splitting)))
        .map_err(|error| BadInput::in_file(&path, error))?;
    let prediction = Prediction::of(&manifest, splitting)?;
    let mut out = color.stdout();
    match output {
        Output::Text => text::write(&mut out, &manifest, &target.plan, &prediction)?,
        Output::Json => {
            let plan = json!({
                "name": manifest.name,
                "version": manifest.spec.version().to_string(),
                "replicas": manifest.spec.replicas(),
                "plan": &*target.plan,
                "predicted": prediction,
            });
            serde_json::to_writer_pretty(&mut out, &plan)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}
