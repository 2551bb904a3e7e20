//! Runs a range of campaign seeds and prints every seed that breaks a property:
//! `soak [COUNT [FIRST]]`, a million from 0 when nothing is said. `soak --replay SEED` shows one.

use std::process::ExitCode;

use lifecycle_testkit::campaign::{Case, Summary};

/// Seeds between two lines of progress.
const BATCH: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |at: usize, default| words.get(at).map_or(Some(default), |word| word.parse().ok());
    if let ["--replay", seed] = words[..] {
        return seed.parse().map_or_else(|_| usage(), replay);
    }
    match (number(0, 1_000_000), number(1, 0)) {
        (Some(count), Some(first)) => soak(count, first),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: soak [COUNT [FIRST]] | soak --replay SEED");
    ExitCode::from(2)
}

fn soak(count: u64, first: u64) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let start = std::time::Instant::now();
    let mut all = Summary::default();
    let mut from = first;
    while from < first + count {
        let to = (from + BATCH).min(first + count);
        let part = |rest: u64| {
            std::thread::spawn(move || Summary::of((from..to).filter(|seed| seed % threads == rest)))
        };
        for handle in (0..threads).map(part).collect::<Vec<_>>() {
            match handle.join() {
                Ok(Ok(summary)) => all = all.and(summary),
                Ok(Err(why)) => eprintln!("{why}"),
                Err(_) => {
                    eprintln!("a case between {from} and {to} panicked");
                    return ExitCode::FAILURE;
                }
            }
        }
        from = to;
        eprintln!(
            "{} seeds, {} broken, {:.0} s",
            from - first,
            all.broken.len(),
            start.elapsed().as_secs_f64()
        );
    }
    for (seed, what) in &all.broken {
        println!("seed {seed}: {}", what.join("; "));
    }
    println!("{} ran, {} had no plan, outcomes {:?}", all.ran, all.without_plan, all.outcomes);
    println!("{:?}", all.sometimes);
    println!("{} passed, {} failed", all.ran - all.broken.len() as u64, all.broken.len());
    if all.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64) -> ExitCode {
    let case = match Case::of(seed) {
        Ok(case) => case,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    println!("{:#?}\n{:#?}", case.manifest.spec, case.scenario);
    let Some(mut simulation) = case.simulation() else {
        println!("no plan");
        return ExitCode::SUCCESS;
    };
    let outcome = simulation.run(&mut |line| println!("{}", serde_json::to_string(line).unwrap_or_default()));
    println!("{outcome:#?}");
    let state = simulation.cluster().record().map(|record| record.state);
    println!("stored {}", serde_json::to_string(&state).unwrap_or_default());
    ExitCode::SUCCESS
}
