//! How often the sequential judge refuses a version that is no worse: `false_alarms [ROLLOUTS] [--untempered]`.
//!
//! It simulates that many rollouts (100,000) in the scenarios that its proof covers, as many of each, and prints how many
//! of them failed, which may be a share of alpha at the most. It ends with status 1 when one of them is significantly more
//! (see [`table`]). Noise that hits one arm alone is not covered: its rate is printed and not judged.
//!
//! Chance is seeded by scenario and number: the same figures every time, however many threads there are.
//! `--untempered` ignores how failures come in clumps: that has to end with status 1, so that the check can fail.

mod rollout;
mod scenario;
mod table;

use std::error::Error;
use std::process::ExitCode;

use rollout::Rollout;
use scenario::Cell;
use table::{ALPHAS, Row};

/// Any failure of a thread.
type Problem = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let mut rollouts = 100_000;
    let mut tempered = true;
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.parse()) {
            ("--untempered", _) => tempered = false,
            (_, Ok(number)) if number > 0 => rollouts = number,
            _ => {
                eprintln!("usage: false_alarms [ROLLOUTS] [--untempered]");
                return ExitCode::from(2);
            }
        }
    }
    match simulate(rollouts, tempered) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Is every rate what it may be?
fn simulate(rollouts: u64, tempered: bool) -> Result<bool, Problem> {
    let start = std::time::Instant::now();
    let cells = Cell::all();
    let covered = cells.iter().filter(|cell| cell.scenario.is_covered).count() as u64;
    let each = rollouts.div_ceil(covered);
    let mut rows = Vec::new();
    for (number, cell) in (0..).zip(cells) {
        let (alarms, eta) = of_cell(&cell, number, each, tempered)?;
        let of_alpha = |(alpha, alarms)| Row::new(cell, alpha, each, alarms, eta);
        rows.extend(ALPHAS.into_iter().zip(alarms).map(of_alpha));
    }
    let is_kept = table::print(&rows);
    eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    Ok(is_kept)
}

/// Alarms at each alpha, and the mean temper, of so many rollouts on all cores.
fn of_cell(cell: &Cell, number: u64, rollouts: u64, tempered: bool) -> Result<([u64; 2], f64), Problem> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let part = |rest: u64| {
        let mut sum = ([0; 2], 0);
        for seed in (rest..rollouts).step_by(threads as usize) {
            let rollout = Rollout::run(cell, number << 32 | seed, tempered)?;
            for (sum, alpha) in sum.0.iter_mut().zip(ALPHAS) {
                *sum += u64::from(rollout.most >= -alpha.ln());
            }
            // a whole number: sums of fractions would depend on the number of threads
            sum.1 += (rollout.eta * 1e9) as u64;
        }
        Ok::<_, Problem>(sum)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|rest| scope.spawn(move || part(rest))).collect();
        handles.into_iter().map(|handle| handle.join()).collect()
    });
    let mut sum = ([0; 2], 0);
    for of_thread in parts {
        let (alarms, eta) = of_thread.map_err(|_| "a thread panicked")??;
        sum.0.iter_mut().zip(alarms).for_each(|(sum, alarms)| *sum += alarms);
        sum.1 += eta;
    }
    Ok((sum.0, sum.1 as f64 / 1e9 / rollouts as f64))
}
