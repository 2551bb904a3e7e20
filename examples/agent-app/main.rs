//! A small HTTP application to roll out: it says which version it is, fails and delays as many
//! requests as it is told to, gets ready when it is told to, and stops the way a good service does.
//!
//! ```text
//! agent-app --port 8080 --version 1.5.0 --error-rate 20% --latency-p50 80ms --latency-p95 200ms
//! ```

mod app;
mod args;
mod metrics;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match serve::serve(args::Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
