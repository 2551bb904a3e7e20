//! What the sequential judge remembers of a check: so many numbers, however many looks.

use serde::{Deserialize, Serialize};
use tinyvec::{ArrayVec, array_vec};

use super::question::{Of, Question, SlowBeyond, slower};
use super::temper::Temper;
use crate::analysis::NoBound;
use crate::backend::{Counted, Histogram, Mark, Reading};
use crate::stats::{Counts, Evidence, Finite};
use crate::time::Millis;

/// The most bounds that are tested: those that are near each other say the same, and each costs as much as a check of
/// failed requests.
pub(super) const MOST: usize = 4;

/// One of each bound that is tested, without a heap: a state is copied with every step.
pub(super) type EachBound<T> = ArrayVec<[T; MOST]>;

/// What the sequential judge remembers of a check.
///
/// What is measured of stable before the first look is kept from step to step; the evidence begins anew with each, so that
/// what begins to go wrong with more traffic is found as fast as at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SequentialState {
    /// Fixed before the first look of the rollout.
    pub temper: Option<Temper>,
    /// Fixed before the first look of the rollout; none but for latencies.
    pub(super) bounds: EachBound<SlowBeyond>,
    /// Why there are none where there have to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) no_bound: Option<NoBound>,
    /// What stable counted when it last had traffic, by bound.
    pub(super) base: EachBound<Counts>,
    /// Up to when was counted.
    pub(crate) mark: Option<Mark>,
    /// Was the first look of this step asked for?
    pub(crate) asked: bool,
    /// Of what both arms counted at the same time, by bound.
    pub(super) evidence: EachBound<Evidence>,
    /// ln L of the early pass, by bound.
    pub(super) early: EachBound<Finite>,
    /// Counted in this step while both had traffic, by bound: of the canary, of stable.
    pub(super) canary: EachBound<Counts>,
    pub(super) stable: EachBound<Counts>,
    /// Counted in this step of the canary alone, by bound.
    pub(super) alone: EachBound<Counts>,
    /// ln E: the evidence by the last look.
    pub(super) ln_e: Finite,
    /// ln(1 / alpha) of this check in this step.
    pub(super) ln_needed: Finite,
    /// How long was counted in this step.
    pub counted: Millis,
    /// For how long nothing was counted, because nothing came or nobody could say what did.
    pub(super) silent: Millis,
    /// Was there ever evidence enough? Then it stays so.
    pub(super) failed: bool,
    /// Is a certain ratio ruled out?
    pub certified: bool,
}

impl SequentialState {
    /// The state for the next step.
    pub(crate) fn anew(&self) -> Self {
        let Self { temper, bounds, no_bound, base, stable, .. } = self;
        let requests = |counts: &[Counts]| counts.first().map_or(0, |counts| counts.requests);
        // (of fewer requests less is known, and the canary is held against the highest rate that is to be reckoned with)
        let base = if requests(stable) > requests(base) { stable } else { base };
        Self { temper: *temper, bounds: *bounds, no_bound: *no_bound, base: *base, ..Self::default() }
    }

    /// Is there evidence enough that the canary is worse?
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// For how long nothing was counted.
    pub(crate) const fn silent(&self) -> Millis {
        self.silent
    }

    /// What stable measured over a whole window: the bounds, and what the canary is held against when it is alone. The
    /// bounds stay what they were.
    pub(crate) fn take_base(&mut self, question: Question, reading: &Reading) {
        match reading {
            Reading::Histogram(histogram) => {
                self.fix_bounds(question, histogram);
                let counts = Counted::Durations(histogram.clone());
                self.base = self.counts(question, &counts, |bound| bound.stable_us).unwrap_or_default();
            }
            Reading::Counts { requests, failed } => {
                let counts = Counts::new(*failed.min(requests), *requests).unwrap_or_default();
                self.base = self
                    .counts(question, &Counted::Requests(counts), |bound| bound.stable_us)
                    .unwrap_or_default();
            }
            _ => {}
        }
    }

    /// The dispersion of stable, by what its replicas counted; once the bounds are known of which it is measured.
    pub(crate) fn take_temper(&mut self, question: Question, replicas: &[Vec<Counted>]) {
        if let Some(Counted::Durations(histogram)) = replicas.iter().flatten().next() {
            self.bounds_of_number(question, histogram);
        }
        if self.temper.is_none() && (!question.needs_stable() || self.has_base()) {
            self.temper = Some(Temper::measured(question, &self.bounds, replicas));
        }
    }

    /// The temper that the manifest gives.
    pub(crate) fn temper_given(&mut self, eta: f64) {
        self.temper.get_or_insert_with(|| Temper::given(eta));
    }

    /// Is it known what stable measured?
    pub(crate) fn has_base(&self) -> bool {
        !self.base.is_empty()
    }

    /// Is everything known that has to be before the first look?
    pub(crate) fn is_prepared(&self, question: Question) -> bool {
        self.temper.is_some() && (!question.needs_stable() || !self.base.is_empty())
    }

    /// One count a bound, or one of failed requests; `None` when what was counted is of another kind.
    pub(super) fn counts(
        &self,
        question: Question,
        counted: &Counted,
        side: impl Fn(&SlowBeyond) -> u64,
    ) -> Option<EachBound<Counts>> {
        match (question.of, counted) {
            (Of::Failures, Counted::Requests(counts)) => Some(array_vec!([Counts; MOST] => *counts)),
            (Of::Slow(_), Counted::Durations(histogram)) if !self.bounds.is_empty() => {
                let total = histogram.total();
                self.bounds.iter().map(|bound| slower(histogram, total, side(bound))).collect()
            }
            _ => None,
        }
    }

    /// The bounds of a number come from the canary's own histogram: where it has them is no data.
    pub(super) fn bounds_of_number(&mut self, question: Question, histogram: &Histogram) {
        if question.objective().is_some() {
            self.fix_bounds(question, histogram);
        }
    }

    fn fix_bounds(&mut self, question: Question, histogram: &Histogram) {
        if !self.bounds.is_empty() {
            return;
        }
        match question.bounds(histogram) {
            Ok(bounds) => (self.bounds, self.no_bound) = (bounds, None),
            Err(no_bound) => self.no_bound = Some(no_bound),
        }
    }
}
