//! One look: what came since the one before, and what it adds up to.

use super::question::{Of, Question};
use super::rules::Sequential;
use super::state::{EachBound, SequentialState};
use crate::analysis::{Bound, Measurement, MeasurementError};
use crate::backend::{Counted, Increase, Reading};
use crate::stats::{Alpha, Counts, EarlyPass, Evidence, Finite, GridTest, Look, ObjectiveTest};
use crate::time::Millis;

/// Nothing came for this long: there is no data. Shorter than that nothing is lost, because the next look counts it. Prometheus
/// scrapes once a minute unless it is told otherwise.
const QUIET: Millis = Millis::from_secs(60);

/// How one check is judged in one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequentialJudge {
    pub(crate) question: Question,
    pub(crate) rules: Sequential,
    /// This check's and this step's share of the rollout's alpha.
    pub(crate) alpha: Alpha,
    /// Does the step end with all traffic on the canary? Then stable has none at some time, and both tests are made.
    pub(crate) full: bool,
    /// Requests of the canary without which nothing passes.
    pub(crate) min_requests: u64,
}

/// What was counted of both arms since the look before.
type Answer<'a> = Option<&'a Result<Reading, String>>;

impl SequentialJudge {
    /// Takes a look into account; `None` when it says nothing new. `stable` is asked for while it serves, and
    /// `None` while it does not.
    pub(crate) fn look(
        &self,
        state: &mut SequentialState,
        canary: Answer<'_>,
        stable: Option<Answer<'_>>,
        since: Millis,
    ) -> Option<Measurement> {
        let increases = match (increase(canary), stable.map(increase)) {
            (Ok(canary), None) => (canary, None),
            (Ok(canary), Some(Ok(stable))) => (canary, Some(stable)),
            (Err(missing), _) | (_, Some(Err(missing))) => {
                state.passes_uncounted(since);
                return Some(missing);
            }
        };
        let (canary, stable) = increases;
        if stable.is_some_and(|stable| stable.until != canary.until) {
            state.passes_uncounted(since);
            return Some(Measurement::Error(MeasurementError::DifferentTimes));
        }
        let before = state.mark.replace(canary.until)?;
        let silent = std::mem::take(&mut state.silent) + since;
        if canary.until < before {
            return Some(Measurement::Error(MeasurementError::ClockWentBack));
        }
        let counted = match (&canary.counted, stable.map(|stable| &stable.counted)) {
            (Some(canary), None) => (canary, None),
            (Some(canary), Some(Some(stable))) => (canary, Some(stable)),
            _ => return Some(Measurement::Error(MeasurementError::CounterReset)),
        };
        if let Counted::Durations(histogram) = counted.0 {
            state.bounds_of_number(self.question, histogram);
            if let Some(no_bound) = state.no_bound {
                return Some(Measurement::Error(MeasurementError::NoBound(no_bound)));
            }
        }
        let wrong_kind = Some(Measurement::Error(MeasurementError::WrongKind));
        let Some(ours) = state.counts(self.question, counted.0, |bound| bound.canary_us) else {
            return wrong_kind;
        };
        let theirs = match counted.1 {
            None => None,
            Some(counted) => match state.counts(self.question, counted, |bound| bound.stable_us) {
                Some(theirs) => Some(theirs),
                None => return wrong_kind,
            },
        };
        let is_empty = |counts: &[Counts]| counts.first().is_none_or(|counts| counts.requests == 0);
        if is_empty(&ours) || theirs.as_deref().is_some_and(is_empty) {
            // nothing came of one arm: the next look counts from where this one did
            (state.mark, state.silent) = (Some(before), silent);
            return (silent >= QUIET).then_some(Measurement::NoData);
        }
        state.counted += silent;
        let together = match theirs {
            Some(theirs) => self.compare(state, &ours, &theirs),
            None => {
                add(&mut state.alone, &ours);
                state.together()
            }
        };
        Some(self.weigh(state, together))
    }

    /// Answers with ln E of both arms at the same time.
    fn compare(&self, state: &mut SequentialState, ours: &[Counts], theirs: &[Counts]) -> f64 {
        add(&mut state.canary, ours);
        add(&mut state.stable, theirs);
        state.evidence.resize(ours.len(), Evidence::default());
        state.early.resize(ours.len(), Finite::default());
        let eta = state.eta();
        let test = match self.question.of {
            Of::Failures => GridTest::of_rates(self.question.tolerated(), eta),
            Of::Slow(_) => GridTest::of_latencies(self.question.tolerated(), eta),
        };
        // (a factor above the whole grid finds nothing)
        let Ok(test) = test else { return 0.0 };
        let looks = ours.iter().zip(theirs).map(|(ours, theirs)| Look::new(*ours, *theirs));
        if let Some(early) = self.rules.early_pass.and_then(|early| EarlyPass::new(early.ratio, eta).ok()) {
            for (sum, look) in state.early.iter_mut().zip(looks.clone()) {
                early.look(sum, look);
            }
        }
        test.looks(state.evidence.iter_mut().zip(looks))
    }

    /// What all looks of this step add up to.
    fn weigh(&self, state: &mut SequentialState, together: f64) -> Measurement {
        let share = self.share();
        let (alone, needed) = (self.alone(state, share), share.ln_needed());
        let ln_e = together.max(alone.unwrap_or_default());
        state.ln_e = Finite::new(ln_e).unwrap_or_default();
        state.ln_needed = Finite::new(needed).unwrap_or_default();
        state.failed |= ln_e >= needed;
        if let Some(early) = self.rules.early_pass {
            let needed = early.beta.ln_needed();
            state.certified |= !state.early.is_empty() && state.early.iter().all(|sum| sum.get() >= needed);
        }
        let total = state.total();
        let value = total.rate().and_then(Finite::new).unwrap_or_default();
        match state.failed {
            true => Measurement::Fail(value),
            false if total.requests < self.min_requests || alone.is_none() => Measurement::Waiting,
            false => Measurement::Pass(value),
        }
    }

    /// ln E of what the canary counted while stable had no traffic, against a number or what stable measured before; `None`
    /// when so little of stable is known that nothing could be found.
    fn alone(&self, state: &SequentialState, share: Alpha) -> Option<f64> {
        let eta = state.eta();
        let ln_e = |at: usize, counts: &Counts| {
            let rate = match self.question.objective() {
                Some(rate) => rate,
                None => {
                    let (base, tolerated) = (state.base.get(at)?, self.question.tolerated());
                    if base.rate()? * tolerated >= 1.0 {
                        // whatever fails is tolerated
                        return Some(0.0);
                    }
                    // (any one of the bounds may have been low by chance)
                    base.highest_rate(share.shared_by(state.alone.len()), eta)? * tolerated
                }
            };
            ObjectiveTest::new(rate, eta).ok().map(|test| test.ln_e(*counts))
        };
        let each: EachBound<Option<f64>> =
            state.alone.iter().enumerate().map(|(at, counts)| ln_e(at, counts)).collect();
        let nothing = !each.is_empty() && each.iter().all(Option::is_none);
        // (what cannot be tested beside what can is no evidence)
        (!nothing).then(|| crate::stats::ln_mean(each.iter().map(|ln_e| ln_e.unwrap_or_default())))
    }

    /// The share of this step's alpha of each of the tests that are made: of both arms at the same time, of the canary
    /// alone, and of what that is held against.
    fn share(&self) -> Alpha {
        let against_number = matches!(self.question.against, Bound::Value(_));
        let (relative, full) = (self.question.is_relative(), self.full);
        let parts = match (against_number, relative && full) {
            (true, _) => 1,
            // what stable measured may have been low by chance
            (false, false) if !relative => 2,
            (false, false) => 1,
            (false, true) => 3,
        };
        self.alpha.shared_by(parts)
    }
}

fn increase(answer: Answer<'_>) -> Result<&Increase, Measurement> {
    match answer {
        None | Some(Ok(Reading::NoData)) => Err(Measurement::NoData),
        Some(Err(_)) => Err(Measurement::Error(MeasurementError::SourceFailed)),
        Some(Ok(Reading::Increase(increase))) => Ok(increase),
        Some(Ok(_)) => Err(Measurement::Error(MeasurementError::WrongKind)),
    }
}

fn add(total: &mut EachBound<Counts>, counts: &[Counts]) {
    total.resize(counts.len(), Counts::default());
    for (total, counts) in total.iter_mut().zip(counts) {
        *total = total.and(*counts);
    }
}

impl SequentialState {
    /// What came in this time is counted by a later look, which counts from where the last one did.
    fn passes_uncounted(&mut self, since: Millis) {
        if self.mark.is_some() {
            self.silent += since;
        }
    }

    fn eta(&self) -> f64 {
        self.temper.map_or(1.0, |temper| temper.eta.get())
    }

    /// ln E of both arms at the same time: the mean over the bounds.
    pub(super) fn together(&self) -> f64 {
        crate::stats::ln_mean(self.evidence.iter().map(|evidence| evidence.ln_e()))
    }

    /// What the canary counted in this step, at the first bound.
    pub(super) fn total(&self) -> Counts {
        let first = |counts: &[Counts]| counts.first().copied().unwrap_or_default();
        first(&self.canary).and(first(&self.alone))
    }
}
