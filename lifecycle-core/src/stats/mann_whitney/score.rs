//! One verdict of many metrics.

use super::super::error::StatsError;
use super::classify::Class;

/// Metrics that count together.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "two things")]
pub struct Group {
    /// How much it counts, from 0 to 100; groups without a weight share what the others leave.
    pub weight: Option<f64>,
    /// The class of each metric, and whether that fails everything
    /// ([`Classification::is_critical`](super::Classification::is_critical)).
    pub metrics: Vec<(Class, bool)>,
}

/// From which score on the canary passes, and from which on a person should look at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    pass: f64,
    marginal: f64,
}

/// What is to be done with the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "two marks have three sides")]
pub enum Verdict {
    /// At least the mark of a pass.
    Pass,
    /// Between the marks.
    Marginal,
    /// Below both.
    Fail,
}

/// The score of all groups.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "two things")]
pub struct Score {
    /// From 0 to 100, to two decimals.
    pub points: f64,
    /// By the marks.
    pub verdict: Verdict,
}

impl Marks {
    /// Marks from 0 to 100, the first not below the second: 95 and 75, say.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(pass: f64, marginal: f64) -> Result<Self, StatsError> {
        let accepted = "the mark of a pass is from 0 to 100";
        let pass = StatsError::unless_within("pass mark", pass, (0.0_f64.next_down(), 100.0), accepted)?;
        let accepted = "the marginal mark is from 0 up to the mark of a pass";
        let bounds = (0.0_f64.next_down(), pass);
        Ok(Self { pass, marginal: StatsError::unless_within("marginal mark", marginal, bounds, accepted)? })
    }

    fn verdict(self, points: f64) -> Verdict {
        match points {
            points if points >= self.pass => Verdict::Pass,
            points if points >= self.marginal => Verdict::Marginal,
            _ => Verdict::Fail,
        }
    }
}

impl Group {
    fn count(&self, counts: impl Fn(Class) -> bool) -> usize {
        self.metrics.iter().filter(|(class, _)| counts(*class)).count()
    }

    /// The percentage of passes, of what says something; 100 where nothing does.
    fn points(&self) -> f64 {
        match self.count(|class| class != Class::NoData) {
            0 => 100.0,
            told => 100.0 * self.count(|class| class == Class::Pass) as f64 / told as f64,
        }
    }
}

/// The weighted mean of the groups' percentages of passes, as Kayenta scores. It is 0 when a metric fails everything, and
/// when half of all metrics or more have no data (or there is none at all): nothing known is no pass.
///
/// # Errors
/// When a weight is not from 0 to 100, or the weights are not 100 together: those of all groups, or less when there is a
/// group without one.
///
/// # Example
/// ```
/// use lifecycle_core::stats::mann_whitney::{Class, Group, Marks, Verdict, score};
///
/// let latency = Group { weight: Some(75.0), metrics: vec![(Class::Pass, false), (Class::Pass, false)] };
/// let errors = Group { weight: None, metrics: vec![(Class::High, false)] };
/// let is = score(&[latency, errors], Marks::new(95.0, 75.0)?)?;
/// assert_eq!((is.points, is.verdict), (75.0, Verdict::Marginal));
/// # Ok::<(), lifecycle_core::stats::StatsError>(())
/// ```
pub fn score(groups: &[Group], marks: Marks) -> Result<Score, StatsError> {
    let weights = weights(groups)?;
    let all: usize = groups.iter().map(|group| group.metrics.len()).sum();
    let unknown: usize = groups.iter().map(|group| group.count(|class| class == Class::NoData)).sum();
    let is_critical = groups.iter().flat_map(|group| &group.metrics).any(|(_, is_critical)| *is_critical);
    let points = if is_critical || 2 * unknown >= all {
        0.0
    } else {
        let sum: f64 = groups.iter().zip(weights).map(|(group, weight)| group.points() * weight).sum();
        // a hundredth of the sum, to two decimals
        sum.round() / 100.0
    };
    Ok(Score { points, verdict: marks.verdict(points) })
}

/// The weight of each group.
fn weights(groups: &[Group]) -> Result<Vec<f64>, StatsError> {
    /// Weights are decimal fractions: their sum may be off by what their representation is.
    const ROUNDING: f64 = 1e-9;
    let accepted = "the weight of a group is from 0 to 100";
    let bounds = (0.0_f64.next_down(), 100.0);
    let given = groups.iter().filter_map(|group| group.weight);
    let given = given.map(|weight| StatsError::unless_within("weight", weight, bounds, accepted));
    let sum: f64 = given.collect::<Result<Vec<f64>, _>>()?.iter().sum();
    let without = groups.iter().filter(|group| group.weight.is_none()).count();
    let accepted = "the weights of all groups are 100 together, or at most that when a group has none";
    let least = if without == 0 && !groups.is_empty() { 100.0 - ROUNDING } else { 0.0 };
    let sum = StatsError::unless_within("weights", sum, (least.next_down(), 100.0 + ROUNDING), accepted)?;
    let share = (100.0 - sum).max(0.0) / without.max(1) as f64;
    Ok(groups.iter().map(|group| group.weight.unwrap_or(share)).collect())
}
