//! The program `lifecycle`: simulate, plan and run rollouts. Wiring only: what a rollout does is
//! decided in `lifecycle-core`.

mod cli;
mod command;
mod crd;
mod exit;
mod input;
mod judge;
mod operator;
mod output;
mod plan;
mod rbac;
mod run;
mod simulate;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::parse().carry_out() {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}
