//! Grids of ratios that are looked for.

use tinyvec::ArrayVec;

use super::error::StatsError;

/// The most ratios of a grid: with so many, evidence needs no heap, which matters because it is copied with every step of a
/// rollout.
pub(super) const MOST: usize = 12;

/// One for each ratio of a grid.
pub(super) type Each<T> = ArrayVec<[T; MOST]>;

/// A ratio that is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ratio {
    pub(super) value: f64,
    pub(super) ln: f64,
}

impl From<f64> for Ratio {
    fn from(value: f64) -> Self {
        Self { value, ln: value.ln() }
    }
}

/// A rising grid, with its logarithms: they are most of what a look costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratios(Each<Ratio>);

impl Ratios {
    /// # Errors
    /// When there are none or more than 12, or they are not above 1, or do not rise.
    pub(super) fn new(grid: &[f64]) -> Result<Self, StatsError> {
        let accepted = "a grid has 1 to 12 ratios";
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let count = grid.len() as f64;
        StatsError::unless_within("ratios of the grid", count, (0.0, MOST as f64), accepted)?;
        let mut before = 1.0;
        for ratio in grid {
            let accepted = "the ratios of a grid are numbers above 1, each above the one before";
            before = StatsError::unless_within("grid", *ratio, (before, f64::MAX), accepted)?;
        }
        Ok(Self::of(grid))
    }

    /// Of a grid of ours.
    pub(super) fn of(grid: &[f64]) -> Self {
        Self(grid.iter().take(MOST).copied().map(Ratio::from).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ratio> {
        self.0.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The last one.
    pub(super) fn highest(&self) -> f64 {
        self.0.last().map_or(1.0, |ratio| ratio.value)
    }
}
