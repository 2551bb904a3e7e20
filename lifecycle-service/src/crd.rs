//! `lifecycle crd`: the resource's definition, for `kubectl apply`.

use std::io::{self, Write as _};

use clap::Args;

use crate::exit::Exit;

const EXAMPLES: &str = "\
Example:
  lifecycle crd | kubectl apply --server-side -f -";

/// Print the definition of the resource AgentDeployment, for kubectl apply
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CrdArgs {}

/// Prints.
pub(crate) fn carry_out(_args: CrdArgs) -> anyhow::Result<Exit> {
    io::stdout().write_all(lifecycle_k8s::crd::yaml()?.as_bytes())?;
    Ok(Exit::Done)
}
