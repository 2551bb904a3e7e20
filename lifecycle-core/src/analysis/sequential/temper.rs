//! The temper: measured on stable before the first look, fixed from then on.

use serde::{Deserialize, Serialize};

use super::question::{Question, SlowBeyond, counts};
use crate::backend::Counted;
use crate::stats::{Counts, Dispersion, Finite, Halves};
use crate::time::Millis;

/// How long a bin is (vectors: 60 s).
pub(crate) const BIN: Millis = Millis::from_secs(60);

/// How many bins are asked for.
pub(crate) const BINS: u32 = 60;

/// The temper of a test, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Temper {
    /// eta: above 0 and at most 1.
    pub eta: Finite,
    /// Was it measured, or given? Otherwise nobody knows whether failures come in clumps.
    pub known: bool,
}

impl Temper {
    /// As the manifest says it.
    pub(crate) fn given(eta: f64) -> Self {
        Self { eta: Finite::new(eta).unwrap_or_else(one), known: true }
    }

    /// Nothing could be measured.
    pub(crate) fn unknown() -> Self {
        Self { eta: one(), known: false }
    }

    /// Of what stable's replicas counted, split into halves. The bins of a replica are in the order of time, the newest
    /// last; one that has fewer bins was not there before.
    pub(super) fn measured(question: Question, bounds: &[SlowBeyond], replicas: &[Vec<Counted>]) -> Self {
        if replicas.len() < 2 {
            return Self::unknown();
        }
        let beyond = bounds.first().map(|bound| bound.stable_us);
        let bins = replicas.iter().map(Vec::len).max().unwrap_or(0);
        let half = |parity: usize, back: usize| {
            let replicas = replicas.iter().enumerate().filter(|(at, _)| at % 2 == parity);
            let bins = replicas.filter_map(|(_, bins)| bins.len().checked_sub(back + 1).map(|at| &bins[at]));
            let counted = bins.filter_map(|counted| counts(question.of, counted, beyond));
            counted.fold(Counts::default(), Counts::and)
        };
        let halves: Vec<Halves> =
            (0..bins).map(|back| Halves { a: half(0, back), b: half(1, back) }).collect();
        match Dispersion::of(&halves).known_temper() {
            Some(eta) => Self { eta: Finite::new(eta).unwrap_or_else(one), known: true },
            None => Self::unknown(),
        }
    }
}

fn one() -> Finite {
    Finite::new(1.0).unwrap_or_default()
}
