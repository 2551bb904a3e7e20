//! The arguments of the program.

use clap::{Parser, Subcommand};

use crate::command::{self, CommandArgs};
use crate::exit::Exit;
use crate::{crd, judge, operator, plan, rbac, run, simulate};

const EXAMPLES: &str = "\
Examples:
  lifecycle simulate examples/agent-canary.yaml
  lifecycle plan examples/agent-canary.yaml
  lifecycle run examples/local/canary-1.5.0.yaml --listen 127.0.0.1:8080

Exit status: 0 done (a rollout: the version that was asked for serves), 1 ended otherwise, waits
or was refused, 2 bad input, 3 a simulated rollout broke a property, 130 interrupted.";

/// Progressive delivery: rolling, blue-green, canary and recreate, with automatic rollback.
#[derive(Debug, Parser)]
#[command(name = "lifecycle", version, after_help = EXAMPLES, propagate_version = false, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    subcommand: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Simulate(simulate::SimulateArgs),
    Plan(plan::PlanArgs),
    Judge(judge::JudgeArgs),
    Run(run::RunArgs),
    /// Take no further step; what serves goes on serving
    Pause(CommandArgs),
    /// Go on after a pause
    Resume(CommandArgs),
    Promote(command::PromoteArgs),
    /// Send all traffic back to stable and stop the new revision
    Abort(CommandArgs),
    /// Try the revision that was rolled back once more
    Retry(CommandArgs),
    Rollback(command::RollbackArgs),
    Scale(command::ScaleArgs),
    Status(command::StatusArgs),
    Down(command::DownArgs),
    Operator(Box<operator::OperatorArgs>),
    Crd(crd::CrdArgs),
    Rbac(rbac::RbacArgs),
    #[command(hide = true)]
    Proxy(run::ProxyArgs),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn carry_out(self) -> anyhow::Result<Exit> {
        use lifecycle_core::machine::CommandKind;

        match self.subcommand {
            Sub::Simulate(args) => simulate::carry_out(args),
            Sub::Plan(args) => plan::carry_out(args),
            Sub::Judge(args) => judge::carry_out(args),
            Sub::Run(args) => run::carry_out(args),
            Sub::Pause(args) => command::give(CommandKind::Pause, args),
            Sub::Resume(args) => command::give(CommandKind::Resume, args),
            Sub::Promote(args) => command::promote(args),
            Sub::Abort(args) => command::give(CommandKind::Abort, args),
            Sub::Retry(args) => command::give(CommandKind::Retry, args),
            Sub::Rollback(args) => command::rollback(args),
            Sub::Scale(args) => command::scale(args),
            Sub::Status(args) => command::status(args),
            Sub::Down(args) => command::down(args),
            Sub::Operator(args) => operator::carry_out(*args),
            Sub::Crd(args) => crd::carry_out(args),
            Sub::Rbac(args) => rbac::carry_out(args),
            Sub::Proxy(args) => run::proxy(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
