//! How much more than by chance failures vary.

use super::look::{Counts, Look};

/// What the two halves of stable's replicas counted in the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "two halves")]
pub struct Halves {
    /// One half.
    pub a: Counts,
    /// The other one.
    pub b: Counts,
}

/// How much more than by chance the failures of stable vary between halves of its replicas, measured before the first
/// look and fixed from then on. Swings that both halves see cancel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dispersion {
    /// Bins that say something: those with failures, and with requests in both halves.
    pub bins: usize,
    /// The mean of the squared standardised differences; `None` without a bin.
    pub raw: Option<f64>,
    /// The dispersion, with a margin for how few bins there were; at least 1, and 1 without a bin.
    pub phi: f64,
}

impl Dispersion {
    /// Of these bins of equal length.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts in bins")]
    pub fn of(bins: &[Halves]) -> Self {
        let squares = bins.iter().filter_map(|halves| {
            let look = Look::new(halves.a, halves.b);
            let (share, (a, all)) = (look.share(), look.failed());
            let variance = all * share * (1.0 - share);
            (variance > 0.0).then(|| (a - all * share).powi(2) / variance)
        });
        let (sum, n) = squares.fold((0.0, 0_usize), |(sum, n), square| (sum + square, n + 1));
        if n == 0 {
            return Self { bins: 0, raw: None, phi: 1.0 };
        }
        let raw = sum / n as f64;
        Self { bins: n, raw: Some(raw), phi: (raw * (1.0 + (2.0 / n as f64).sqrt())).max(1.0) }
    }

    /// With fewer bins that say something nothing is known.
    pub const LEAST_BINS: usize = 5;

    /// The temper of the tests where it is known; where it is not, a judge goes on untempered, with 1.
    #[must_use]
    pub fn known_temper(&self) -> Option<f64> {
        (self.bins >= Self::LEAST_BINS).then(|| self.temper())
    }

    /// The temper of the tests, eta: 1 / phi.
    #[must_use]
    pub fn temper(&self) -> f64 {
        1.0 / self.phi
    }
}
