//! What a suite found.

use std::fmt;

use thiserror::Error;

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The backend keeps this part of the contract.
    Passed,
    /// It does not, and what was seen.
    Failed(String),
    /// The bench or the backend cannot do what the case needs, and why.
    NotApplicable(String),
}

/// One case of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// What the contract asks for.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// Every case of a suite, in the order in which they ran.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Which suite: the name of the trait.
    pub suite: &'static str,
    /// Every case of it.
    pub cases: Vec<Case>,
}

/// A backend does not keep its contract.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("{} of {} cases failed\n{report}", .report.failed().count(), .report.cases.len())]
#[non_exhaustive]
pub struct Nonconformance {
    /// Every case.
    pub report: Report,
}

/// The same as for people, so that `unwrap` in a test shows every case on a line of its own.
impl fmt::Debug for Nonconformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Report {
    pub(super) const fn new(suite: &'static str) -> Self {
        Self { suite, cases: Vec::new() }
    }

    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed(_)))
    }

    /// The cases that could not be run.
    pub fn not_applicable(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::NotApplicable(_)))
    }

    /// The report itself when no case failed.
    ///
    /// # Errors
    /// At least one case failed, or none passed at all.
    pub fn verify(self) -> Result<Self, Nonconformance> {
        let passed = self.cases.iter().any(|case| case.outcome == Outcome::Passed);
        if passed && self.failed().next().is_none() { Ok(self) } else { Err(Nonconformance { report: self }) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.suite)?;
        for Case { name, outcome } in &self.cases {
            let name = name.replace('_', " ");
            match outcome {
                Outcome::Passed => writeln!(f, "  passed          {name}")?,
                Outcome::Failed(message) => writeln!(f, "  FAILED          {name}: {message}")?,
                Outcome::NotApplicable(why) => writeln!(f, "  not applicable  {name}: {why}")?,
            }
        }
        Ok(())
    }
}
