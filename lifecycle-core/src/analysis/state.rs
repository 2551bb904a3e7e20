//! What is remembered of a check, and what it adds up to.

use serde::{Deserialize, Serialize};
use tinyvec::ArrayVec;

use super::judge::Measurement;
use super::plan::AnalysisPlan;
use super::sequential::SequentialState;
use crate::stats::Finite;

/// What is remembered of one check within a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct CheckState {
    /// Failed measurements.
    pub failures: u32,
    /// Inconclusive measurements.
    pub inconclusive: u32,
    /// Measurement errors in a row.
    pub errors: u32,
    /// Successes in a row.
    pub successes: u32,
    /// What the last look said; `None` before the first.
    pub last: Option<Measurement>,
    /// Stable's value in its last full window (or the baseline).
    pub reference: Option<Finite>,
    /// The last measurements, the newest last.
    #[serde(skip_serializing_if = "ArrayVec::is_empty")]
    history: ArrayVec<[Measurement; HISTORY]>,
    /// What the sequential judge remembers, where it judges this check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequential: Option<Box<SequentialState>>,
}

/// Measurements that are remembered (Argo Rollouts remembers as many).
pub const HISTORY: usize = 10;

/// What the measurements of a check add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Verdict {
    /// The last look passed, and no limit is exceeded.
    Successful,
    /// No limit is exceeded, and the last look was no pass.
    Running,
    /// More inconclusive measurements than are tolerated.
    Inconclusive,
    /// More measurement errors in a row than are tolerated.
    Error,
    /// More failures than are tolerated.
    Failed,
}

impl Verdict {
    /// The worse of two: failed, error, inconclusive, running, successful.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        self.max(other)
    }
}

impl CheckState {
    /// Takes one look into account. Waiting and having no data count neither way.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_core::analysis::{AnalysisPlan, CheckState, Finite, Measurement, Verdict};
    /// let plan = AnalysisPlan::default();
    /// let mut state = CheckState::default();
    /// state.record(Measurement::Pass(Finite::new(0.002).unwrap()), &plan);
    /// assert_eq!(state.verdict(&plan), Verdict::Successful);
    /// state.record(Measurement::Fail(Finite::new(0.031).unwrap()), &plan);
    /// assert_eq!(state.verdict(&plan), Verdict::Failed);
    /// ```
    pub fn record(&mut self, measurement: Measurement, plan: &AnalysisPlan) {
        self.last = Some(measurement);
        if self.history.len() >= HISTORY {
            self.history.rotate_left(1);
            self.history.pop();
        }
        self.history.push(measurement);
        match measurement {
            Measurement::Waiting | Measurement::NoData => {}
            Measurement::Pass(_) => {
                self.errors = 0;
                self.successes = self.successes.saturating_add(1);
                let enough = plan.consecutive_success_limit;
                if enough > 0 && self.successes >= enough {
                    self.failures = 0;
                }
            }
            Measurement::Fail(_) => {
                self.failures = self.failures.saturating_add(1);
                (self.errors, self.successes) = (0, 0);
            }
            Measurement::Inconclusive => {
                self.inconclusive = self.inconclusive.saturating_add(1);
                (self.errors, self.successes) = (0, 0);
            }
            Measurement::Error(_) => {
                self.errors = self.errors.saturating_add(1);
                self.successes = 0;
            }
        }
    }

    /// The last [`HISTORY`] measurements, the newest last.
    #[must_use]
    pub fn history(&self) -> &[Measurement] {
        &self.history
    }

    /// Forgets them: no verdict depends on them.
    pub fn forget_history(&mut self) {
        self.history.clear();
    }

    /// What the looks so far add up to.
    #[must_use]
    pub fn verdict(&self, plan: &AnalysisPlan) -> Verdict {
        // (evidence that is enough once stays so, whatever failures are tolerated)
        let proven = self.sequential.as_ref().is_some_and(|state| state.has_failed());
        if proven || self.failures > plan.failure_limit {
            Verdict::Failed
        } else if self.errors > plan.consecutive_error_limit {
            Verdict::Error
        } else if self.inconclusive > plan.inconclusive_limit {
            Verdict::Inconclusive
        } else if matches!(self.last, Some(Measurement::Pass(_))) {
            Verdict::Successful
        } else {
            Verdict::Running
        }
    }

    /// The state for the next step: nothing counted yet; kept are the reference, the last measurements, and what the
    /// sequential judge has fixed for the whole rollout.
    #[must_use]
    pub fn anew(&self) -> Self {
        let Self { reference, history, sequential, .. } = self;
        let sequential = sequential.as_ref().map(|state| Box::new(state.anew()));
        Self { reference: *reference, history: *history, sequential, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use tinyvec::array_vec;

    use super::super::judge::MeasurementError;
    use super::*;

    fn after(looks: &str, plan: &AnalysisPlan) -> Verdict {
        let mut state = CheckState::default();
        let value = Finite::new(1.0).unwrap();
        for look in looks.chars() {
            let measurement = match look {
                'p' => Measurement::Pass(value),
                'f' => Measurement::Fail(value),
                'w' => Measurement::Waiting,
                'n' => Measurement::NoData,
                'i' => Measurement::Inconclusive,
                'e' => Measurement::Error(MeasurementError::SourceFailed),
                other => panic!("no such look: {other}"),
            };
            state.record(measurement, plan);
        }
        state.verdict(plan)
    }

    #[test]
    fn with_the_default_limits_one_failure_fails_and_a_few_errors_do_not() {
        let plan = AnalysisPlan::default();
        for (looks, verdict) in [
            ("", Verdict::Running),
            ("w", Verdict::Running),
            ("n", Verdict::Running),
            ("p", Verdict::Successful),
            ("pw", Verdict::Running),
            ("pn", Verdict::Running),
            ("pf", Verdict::Failed),
            ("fpppp", Verdict::Failed),
            ("eeee", Verdict::Running),
            ("eeeee", Verdict::Error),
            ("eeeepeeee", Verdict::Running),
            ("eeeeieeee", Verdict::Running),
            ("eeeeweeee", Verdict::Error),
            ("iii", Verdict::Running),
            ("iiip", Verdict::Successful),
            ("ipipipi", Verdict::Inconclusive),
        ] {
            assert_eq!(after(looks, &plan), verdict, "{looks}");
        }
    }

    #[test]
    fn a_failure_wins_over_errors_and_errors_over_inconclusive_looks() {
        let plan = AnalysisPlan::default();
        assert_eq!(after("iiiieeeee", &plan), Verdict::Error);
        assert_eq!(after("iiiifeeeee", &plan), Verdict::Failed);
        assert_eq!(Verdict::Failed.worse(Verdict::Error), Verdict::Failed);
        assert_eq!(Verdict::Inconclusive.worse(Verdict::Error), Verdict::Error);
        assert_eq!(Verdict::Running.worse(Verdict::Successful), Verdict::Running);
    }

    #[test]
    fn enough_successes_in_a_row_forgive_tolerated_failures() {
        let mut plan = AnalysisPlan { failure_limit: 1, ..AnalysisPlan::default() };
        assert_eq!(after("fpppf", &plan), Verdict::Failed);
        plan.consecutive_success_limit = 3;
        for (looks, verdict) in [
            ("fpppf", Verdict::Running),
            ("fppf", Verdict::Failed),
            ("fpwnppf", Verdict::Running),
            ("fppepf", Verdict::Failed),
            ("fppipf", Verdict::Failed),
            ("ff", Verdict::Failed),
        ] {
            assert_eq!(after(looks, &plan), verdict, "{looks}");
        }
    }

    #[test]
    fn the_next_step_counts_anew_and_keeps_the_reference() {
        let mut state = CheckState { reference: Finite::new(0.2), ..CheckState::default() };
        state.record(Measurement::Inconclusive, &AnalysisPlan::default());
        let history = array_vec!([Measurement; HISTORY] => Measurement::Inconclusive);
        assert_eq!(
            state.anew(),
            CheckState { reference: Finite::new(0.2), history, ..CheckState::default() }
        );
    }

    #[test]
    fn the_last_ten_measurements_are_remembered() {
        let (plan, mut state) = (AnalysisPlan::default(), CheckState::default());
        for n in 0..25 {
            state.record(Measurement::Pass(Finite::new(f64::from(n)).unwrap()), &plan);
        }
        let values: Vec<f64> = state
            .history()
            .iter()
            .map(|said| match said {
                Measurement::Pass(value) => value.get(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, (15..25).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_state_survives_being_written_and_read() {
        let mut state = CheckState { reference: Finite::new(0.25), ..CheckState::default() };
        state.record(Measurement::Fail(Finite::new(0.031).unwrap()), &AnalysisPlan::default());
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<CheckState>(&text).unwrap(), state, "{text}");
    }
}
