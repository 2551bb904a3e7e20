//! How long a bad canary serves until it is left: `time_to_rollback [RUNS]`, 2,000 runs a row when nothing is said.
//!
//! Every run is a whole rollout by the production machine and driver on the simulated cluster; time counts from the first
//! traffic of the canary, at 10 %, to the decision to go back. Stable fails in 0.1 % of its requests, a look is taken every
//! 10 s. It ends with status 1 when a median is above the one of `bound`, or above 1.8 times that with all defaults.

use std::process::ExitCode;

use lifecycle_core::backend::{Counted, Reading, Signal};
use lifecycle_core::driver::Tick;
use lifecycle_core::machine::{Arm, EventKind, State};
use lifecycle_core::spec::Manifest;
use lifecycle_core::time::Timestamp;
use lifecycle_testkit::simulate::{Scenario, Simulation, Watch};

/// Requests a second, errors of the canary, and what the same takes elsewhere: seconds and failed requests.
const ROWS: [(u32, &str, [&str; 4]); 5] = [
    (50, "1%", ["660 s, 34", "480 s, 25", "600 s, 24", "110 s, 6"]),
    (500, "0.3%", ["missed", "missed", "300 s, 52", "120 s, 19"]),
    (500, "1%", ["660 s, 324", "480 s, 235", "300 s, 150", "20 s, 9"]),
    (500, "5%", ["360 s, 900", "240 s, 600", "300 s, 750", "10 s, 25"]),
    (5000, "1%", ["660 s, 3278", "480 s, 2365", "300 s, 1498", "10 s, 49"]),
];

/// How many times as long it may take with all defaults.
const ALL: f64 = 1.8;

/// One check, one gate, and failures that are known to be independent.
const ONE: &str =
    "{strategy: canary, version: 1.5.0, replicas: 10, canary: {steps: [{setWeight: 10, bake: 30m}]},
    analysis: {sequential: {alpha: 0.01, eta: 1}, checks: ['error_rate <= 1x stable']}}";

/// Three steps, three checks, alpha split over them, and the temper measured.
const DEFAULTS: &str =
    "{strategy: canary, version: 1.5.0, replicas: 10, analysis: {sequential: {alpha: 0.01}}}";

fn main() -> ExitCode {
    let runs = match std::env::args().nth(1).map_or(Ok(2000), |runs| runs.parse::<u64>()) {
        Ok(runs) if runs > 0 => runs,
        _ => {
            eprintln!("usage: time_to_rollback [RUNS]");
            return ExitCode::from(2);
        }
    };
    println!(
        "median of {runs} runs: seconds, failed requests of the canary; [5 %, 95 %] of the seconds; missed runs"
    );
    println!(
        "| traffic, canary errors | Flagger 60 s x5, <99 % | Argo 60 s, limit 3 | Kayenta every 5 min | bound | \
         one check, one gate, eta 1 | all defaults |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut late = Vec::new();
    for (rps, errors, [flagger, argo, kayenta, bound]) in ROWS {
        let columns = [ONE, DEFAULTS].map(|spec| measure(spec, rps, errors, runs));
        let [one, all] = match columns {
            [Ok(one), Ok(all)] => [one, all],
            [Err(why), _] | [_, Err(why)] => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        };
        let most = bound.split(' ').next().and_then(|seconds| seconds.parse::<u64>().ok()).unwrap_or(0);
        if one.0 > most || all.0 as f64 > most as f64 * ALL {
            late.push(format!("{rps} rps, {errors}"));
        }
        let (one, all) = (one.1, all.1);
        println!("| {rps} rps, {errors} | {flagger} | {argo} | {kayenta} | {bound} | {one} | {all} |");
    }
    if late.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("later than the bound: {}", late.join("; "));
    ExitCode::FAILURE
}

/// One cell of the table: the median of the seconds, and all of it.
fn measure(spec: &str, rps: u32, errors: &str, runs: u64) -> Result<(u64, String), String> {
    let manifest = format!(
        "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {spec}}}"
    );
    let manifest = Manifest::from_yaml(&manifest).map_err(|error| error.to_string())?;
    let scenario = format!(
        "{{cluster: {{podStart: 20s, trafficRps: {rps}, router: weighted}}, versions: {{'1.4.0': {{errorRate: 0.1%}}, \
         '1.5.0': {{errorRate: {errors}}}}}, initial: {{version: 1.4.0, replicas: 10}}}}"
    );
    let scenario = Scenario::from_yaml(&scenario).map_err(|error| error.to_string())?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let part = |rest: u64| {
        let (manifest, scenario) = (manifest.clone(), scenario.clone());
        std::thread::spawn(move || -> Result<Vec<Bad>, String> {
            let mut all = Vec::new();
            for seed in (0..runs).filter(|seed| seed % threads == rest) {
                let mut bad = Bad::default();
                let simulation = Simulation::new(&manifest.spec, &scenario, seed);
                let outcome = simulation.map_err(|error| error.to_string())?.run_with(&mut bad);
                if let Some(broken) = outcome.violations.first() {
                    return Err(format!("seed {seed}: {broken}"));
                }
                all.push(bad);
            }
            Ok(all)
        })
    };
    let mut all = Vec::new();
    for handle in (0..threads).map(part).collect::<Vec<_>>() {
        all.extend(handle.join().map_err(|_| "a run panicked".to_owned())??);
    }
    Ok(summary(&all))
}

fn summary(all: &[Bad]) -> (u64, String) {
    let mut seconds: Vec<u64> = all.iter().map(Bad::seconds).collect();
    let mut failed: Vec<u64> = all.iter().map(|bad| bad.failed).collect();
    seconds.sort_unstable();
    failed.sort_unstable();
    let of = |sorted: &[u64], percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    let shown = |seconds: u64| if seconds == u64::MAX { "never".to_owned() } else { seconds.to_string() };
    let missed = seconds.iter().filter(|seconds| **seconds == u64::MAX).count();
    let text = format!(
        "{} s, {} [{}, {}] {missed}",
        shown(of(&seconds, 50)),
        of(&failed, 50),
        shown(of(&seconds, 5)),
        shown(of(&seconds, 95))
    );
    (of(&seconds, 50), text)
}

/// What became of one bad canary.
#[derive(Debug, Default)]
struct Bad {
    /// Its first traffic.
    begun: Option<Timestamp>,
    /// The decision to go back.
    left: Option<Timestamp>,
    /// Requests that failed in between, as they were counted.
    failed: u64,
}

impl Bad {
    /// To the nearest second; never is the largest number.
    fn seconds(&self) -> u64 {
        match (self.begun, self.left) {
            (Some(begun), Some(left)) => (left.as_millis() - begun.as_millis() + 500) / 1000,
            _ => u64::MAX,
        }
    }
}

impl Watch for Bad {
    fn ticked(&mut self, at: Timestamp, tick: &Tick, _state: &State) {
        for event in &tick.events {
            match event.kind {
                EventKind::WeightReached { .. } => {
                    self.begun.get_or_insert(at);
                }
                EventKind::GoingBack { .. } => {
                    self.left.get_or_insert(at);
                }
                _ => {}
            }
        }
        // (the first check that asks for requests is the one that counts them)
        let increase = tick.observation.health.iter().find_map(|said| match &said.reading {
            Ok(Reading::Increase(increase)) if said.arm == Arm::Canary && said.signal == Signal::Requests => {
                increase.counted.as_ref()
            }
            _ => None,
        });
        if let Some(Counted::Requests(counts)) = increase {
            self.failed += counts.failed;
        }
    }
}
