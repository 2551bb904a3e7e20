//! What is compared, and how much is too much.

use super::super::error::StatsError;
use super::classify::{Class, Classification};
use super::interval::Interval;
use super::ranks::{common_language, normal_quantile};
use super::samples::{Missing, Samples, mean_ratio};

/// In which direction a change of the metric is a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// Higher is worse: errors, latency.
    Increase,
    /// Lower is worse: successes, throughput.
    Decrease,
    /// Any change is.
    #[default]
    Either,
}

/// How the size of a change is measured, beside whether there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Mean of the canary over mean of the baseline, see [`mean_ratio`]: 1 where they are alike.
    #[default]
    MeanRatio,
    /// The share of pairs in which the canary is higher, see [`common_language`]: 0.5 where they are alike.
    CommonLanguage,
}

impl Effect {
    /// Of these samples; `None` where it says nothing.
    #[must_use]
    pub fn of(self, canary: &Samples, baseline: &Samples) -> Option<f64> {
        match self {
            Self::MeanRatio => mean_ratio(canary, baseline),
            Self::CommonLanguage => common_language(canary, baseline),
        }
    }

    /// What it is where nothing has changed.
    const fn none(self) -> f64 {
        match self {
            Self::MeanRatio => 1.0,
            Self::CommonLanguage => 0.5,
        }
    }
}

/// Sizes of an effect from which on a change matters: at least `increase` for a rise, at most `decrease` for a fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    decrease: f64,
    increase: f64,
}

impl Limits {
    /// A fall matters at this effect size or below, a rise at that one or above.
    ///
    /// # Errors
    /// When one of them is not finite.
    pub fn new(decrease: f64, increase: f64) -> Result<Self, StatsError> {
        let finite = |what, value| {
            let accepted = "the limit of an effect is a number";
            StatsError::unless_within(what, value, (f64::NEG_INFINITY, f64::MAX), accepted)
        };
        Ok(Self { decrease: finite("decrease", decrease)?, increase: finite("increase", increase)? })
    }

    /// Any effect in the right direction matters.
    const fn any(effect: Effect) -> Self {
        Self { decrease: effect.none(), increase: effect.none() }
    }

    /// Is such a change of this size? An effect that says nothing decides nothing.
    fn are_passed(self, class: Class, effect: Option<f64>) -> bool {
        match class {
            Class::High => effect.is_none_or(|effect| effect >= self.increase),
            Class::Low => effect.is_none_or(|effect| effect <= self.decrease),
            _ => false,
        }
    }
}

/// How one metric of two arms is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The quantile of the normal distribution that belongs to the confidence.
    z: f64,
    tolerance: f64,
    direction: Direction,
    effect: Effect,
    allowed: Limits,
    critical_at: Limits,
    is_critical: bool,
    missing: Missing,
    must_have_data: bool,
}

impl Comparison {
    /// Either direction, by the mean ratio of which any size counts, not critical, without need of data. Kayenta's own
    /// numbers are 0.98 and 0.25.
    ///
    /// - `confidence`, above 0 and below 1: of the [`Interval`].
    /// - `tolerance`, 0 or more: the interval has to be further from 0 than this part of its estimate, so that a small
    ///   change that is spread wide is none. From 1 on nothing ever fails.
    ///
    /// # Errors
    /// When one of them is not within its bounds.
    pub fn new(confidence: f64, tolerance: f64) -> Result<Self, StatsError> {
        let accepted = "the tolerance is a number of at least 0";
        let bounds = (0.0_f64.next_down(), f64::MAX);
        Ok(Self {
            z: normal_quantile(confidence)?,
            tolerance: StatsError::unless_within("tolerance", tolerance, bounds, accepted)?,
            direction: Direction::Either,
            effect: Effect::MeanRatio,
            allowed: Limits::any(Effect::MeanRatio),
            critical_at: Limits::any(Effect::MeanRatio),
            is_critical: false,
            missing: Missing::Remove,
            must_have_data: false,
        })
    }

    /// Only a change in this direction is a fault.
    #[must_use]
    pub const fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Measures the size of a change so; from now on any size matters, also for a critical failure.
    #[must_use]
    pub const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self.allowed = Limits::any(effect);
        self.critical_at = Limits::any(effect);
        self
    }

    /// A change of a smaller size passes.
    #[must_use]
    pub const fn allowed(mut self, limits: Limits) -> Self {
        self.allowed = limits;
        self
    }

    /// The metric is critical: a fault of this size, or no data, fails everything.
    #[must_use]
    pub const fn critical_at(mut self, limits: Limits) -> Self {
        self.is_critical = true;
        self.critical_at = limits;
        self
    }

    /// What was made of samples that are no number: an arm without samples passes where they are 0.
    #[must_use]
    pub const fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// An arm without samples is a failure of this metric, if it is not critical anyway.
    #[must_use]
    pub const fn must_have_data(mut self) -> Self {
        self.must_have_data = true;
        self
    }

    /// Is the canary higher, lower or neither?
    #[must_use]
    pub fn classify(&self, canary: &Samples, baseline: &Samples) -> Classification {
        let Some(interval) = Interval::within(canary, baseline, self.z) else {
            return Classification::without_data(self.without_data(), self.is_critical);
        };
        let effect = self.effect.of(canary, baseline);
        let change = self.change(&interval);
        let class = if self.allowed.are_passed(change, effect) { change } else { Class::Pass };
        let is_critical = self.is_critical && self.critical_at.are_passed(class, effect);
        Classification { class, is_critical, interval: Some(interval), effect }
    }

    /// Is there a change, of whatever size? None between equal arms: their interval is around 0.
    fn change(&self, interval: &Interval) -> Class {
        let most = self.tolerance * interval.estimate.abs();
        match self.direction {
            Direction::Increase | Direction::Either if interval.lower > most => Class::High,
            Direction::Decrease | Direction::Either if interval.upper < -most => Class::Low,
            _ => Class::Pass,
        }
    }

    const fn without_data(&self) -> Class {
        match self.missing {
            Missing::Zero => Class::Pass,
            Missing::Remove if self.must_have_data && !self.is_critical => Class::NoDataFail,
            Missing::Remove => Class::NoData,
        }
    }
}
