//! Rates of false alarms, and whether they are what was promised.
//!
//! A row is too high when so many alarms or more would be seen with a probability below 1 % / (number of judged rows) if
//! the true rate were alpha: all judged rows together accuse an honest judge once in a hundred seeds at the most
//! (Bonferroni). The rows of all covered scenarios together are judged too: there the many rollouts are.

use statrs::distribution::{Beta, ContinuousCDF as _};
use statrs::function::beta::beta_reg;

use crate::scenario::Cell;

/// Probabilities of a false alarm that the judge is asked for.
pub(crate) const ALPHAS: [f64; 2] = [0.01, 0.001];

/// Probability that a table of an honest judge has a row that is too high.
const WRONG: f64 = 0.01;

/// One kind of rollouts at one alpha.
#[derive(Debug)]
pub(crate) struct Row {
    /// `None` of all covered ones.
    cell: Option<Cell>,
    alpha: f64,
    rollouts: u64,
    alarms: u64,
    /// The mean temper.
    eta: f64,
}

impl Row {
    pub(crate) const fn new(cell: Cell, alpha: f64, rollouts: u64, alarms: u64, eta: f64) -> Self {
        Self { cell: Some(cell), alpha, rollouts, alarms, eta }
    }

    fn is_covered(&self) -> bool {
        self.cell.is_none_or(|cell| cell.scenario.is_covered)
    }

    /// All covered rollouts at this alpha.
    fn of_all(rows: &[Self], alpha: f64) -> Self {
        let rows = || rows.iter().filter(move |row| row.alpha == alpha && row.is_covered());
        let rollouts = rows().map(|row| row.rollouts).sum();
        let eta = rows().map(|row| row.eta * row.rollouts as f64).sum::<f64>() / rollouts as f64;
        Self { cell: None, alpha, rollouts, alarms: rows().map(|row| row.alarms).sum(), eta }
    }

    fn rate(&self) -> f64 {
        self.alarms as f64 / self.rollouts as f64
    }

    /// The rate that is above the true one with 95 % confidence (Clopper and Pearson, Biometrika 1934).
    fn upper(&self) -> f64 {
        let (alarms, rest) = (self.alarms as f64, (self.rollouts - self.alarms) as f64);
        Beta::new(alarms + 1.0, rest).map_or(1.0, |distribution| distribution.inverse_cdf(0.95))
    }

    /// The probability of so many alarms or more if the true rate is alpha: the tail of the binomial distribution.
    fn chance(&self) -> f64 {
        match self.alarms {
            0 => 1.0,
            alarms => beta_reg(alarms as f64, (self.rollouts - alarms + 1) as f64, self.alpha),
        }
    }

    fn print(&self, judged: usize) -> bool {
        let is_kept = !self.is_covered() || self.chance() >= WRONG / judged as f64;
        let (scenario, shares, rps) = match &self.cell {
            Some(cell) => (cell.scenario.name, cell.shares.name, cell.rps.to_string()),
            None => ("all covered", "", String::new()),
        };
        let verdict = match (self.is_covered(), is_kept) {
            (false, _) => "not judged",
            (true, true) => "kept",
            (true, false) => "TOO HIGH",
        };
        println!(
            "{scenario:<24} {shares:<7} {rps:>5} {:>6.3} {:>6} {:>9} {:>6} {:>8.5} {:>8.5}  {verdict}",
            self.eta,
            self.alpha,
            self.rollouts,
            self.alarms,
            self.rate(),
            self.upper(),
        );
        is_kept
    }
}

/// Prints all rows; is every judged one what it may be?
pub(crate) fn print(rows: &[Row]) -> bool {
    println!(
        "{:<24} {:<7} {:>5} {:>6} {:>6} {:>9} {:>6} {:>8} {:>8}",
        "scenario", "share", "rps", "eta", "alpha", "rollouts", "alarms", "rate", "below"
    );
    let all = ALPHAS.map(|alpha| Row::of_all(rows, alpha));
    let judged = rows.iter().filter(|row| row.is_covered()).count() + all.len();
    // every row is printed, whatever came before
    let kept = rows.iter().chain(&all).filter(|row| row.print(judged)).count();
    let is_kept = kept == rows.len() + all.len();
    println!(
        "\nbelow: the true rate is, with 95 % confidence; too high: at most {WRONG} / {judged} likely at a rate of alpha"
    );
    is_kept
}
