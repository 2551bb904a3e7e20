//! What stands right of the comparison: a number that the metric can have, or a multiple of what stable
//! measures, or measured.

use winnow::combinator::opt;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::one_of;

use super::super::check::Bound;
use super::super::metric::{Arm, Metric};
use super::Left;
use super::token::{self, Fault, Input, expected, spaces};

/// So many times what is referred to.
type Multiple = fn(f64) -> Bound;

/// The bound for what stands left of the comparison.
pub(super) fn of<'a>(left: &Left<'_>) -> impl Parser<Input<'a>, Bound, Fault> {
    move |input: &mut Input<'a>| {
        let begin = input.current_token_start();
        if let Some(once) = opt(reference(left)).parse_next(input)? {
            return Ok(once(1.0));
        }
        let number = number(left).parse_next(input)?;
        spaces(input)?;
        // The reference may follow its x without a space.
        match opt(one_of(['x', 'X'])).parse_next(input)? {
            Some(_) if number <= 0.0 => {
                Err(Fault::told(begin, "a factor above 0 is expected, like 1.2x".to_owned()))
            }
            Some(_) => {
                spaces(input)?;
                let missing = || format!("{} is expected after x", left.references());
                expected(reference(left), missing).map(|times| times(number)).parse_next(input)
            }
            None => value(left, begin, number).map(Bound::Value).parse_next(input),
        }
    }
}

/// `stable`, `baseline`, or the same metric of stable. A word that is no metric may still be a number.
fn reference<'a>(left: &Left<'_>) -> impl Parser<Input<'a>, Multiple, Fault> {
    move |input: &mut Input<'a>| {
        let at = input.current_token_start();
        let word = token::word(input)?;
        let problem = match (word, Metric::written(word), left.arm) {
            ("baseline", ..) => return Ok(Bound::Baseline as Multiple),
            ("stable", _, Arm::Canary) => return Ok(Bound::Stable as Multiple),
            ("stable", _, Arm::Stable) => format!("stable is what {} measures itself", left.name),
            (_, (Metric::Named(_) | Metric::CriticalAlerts, _), _) => {
                return Err(Fault { at, problem: None });
            }
            (_, (metric, _), _) if metric != left.metric => {
                format!("{word} is another metric than {}", left.name)
            }
            (_, (_, Arm::Canary), _) => {
                format!("{word} is the canary's, and nothing is compared with the canary")
            }
            (_, (_, Arm::Stable), Arm::Canary) => return Ok(Bound::Stable as Multiple),
            (_, (_, Arm::Stable), Arm::Stable) => format!("{word} is what is measured itself"),
        };
        Err(Fault::told(at, format!("{problem}: {}", left.accepted())))
    }
}

/// A finite number that the metric can have.
fn number<'a>(left: &Left<'_>) -> impl Parser<Input<'a>, f64, Fault> {
    move |input: &mut Input<'a>| {
        let begin = input.current_token_start();
        let missing = || format!("a number is expected: {}", left.accepted());
        let text = expected(token::number, missing).parse_next(input)?;
        match text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            None => Err(Fault::told(begin, "the number is too large".to_owned())),
            Some(_) if text.starts_with('-') && !matches!(left.metric, Metric::Named(_)) => {
                Err(Fault::told(begin, format!("{} is never negative: {}", left.name, left.accepted())))
            }
            Some(number) => Ok(number),
        }
    }
}

/// The number in the metric's unit, by the unit that follows it.
fn value<'a>(left: &Left<'_>, begin: usize, number: f64) -> impl Parser<Input<'a>, f64, Fault> {
    move |input: &mut Input<'a>| {
        let at = input.current_token_start();
        let unit = token::unit(input)?;
        let value = match (&left.metric, unit) {
            (Metric::ErrorRate | Metric::SuccessRate | Metric::Saturation, "%") => number / 100.0,
            (Metric::ErrorRate | Metric::SuccessRate | Metric::Saturation, "") => number,
            (Metric::Latency(_), "us") => number / 1e6,
            (Metric::Latency(_), "ms") => number / 1e3,
            (Metric::Latency(_), "s") => number,
            (Metric::Latency(_), "m") => number * 60.0,
            (Metric::RequestRate, "/s" | "") => number,
            (Metric::Restarts | Metric::Named(_), "") => number,
            (_, "") => return Err(Fault::told(at, format!("a unit is expected here: {}", left.accepted()))),
            (_, unit) => {
                let problem = format!("{unit} is not a unit of {}: {}", left.name, left.accepted());
                return Err(Fault::told(at, problem));
            }
        };
        match impossible(&left.metric, value) {
            Some(problem) => Err(Fault::told(begin, problem.to_owned())),
            None => Ok(value),
        }
    }
}

/// Why the metric can never have this value, if so.
fn impossible(metric: &Metric, value: f64) -> Option<&'static str> {
    match metric {
        Metric::ErrorRate | Metric::SuccessRate | Metric::Saturation if value > 1.0 => {
            Some("more than 100%: write a percentage like 5% or a share like 0.05")
        }
        Metric::Restarts if value.fract() != 0.0 => {
            Some("restarts are counted: write a whole number like 0 or 3")
        }
        _ if value.is_infinite() => Some("the number is too large"),
        _ => None,
    }
}

impl Left<'_> {
    /// What errors say would do.
    fn accepted(&self) -> String {
        let numbers = match self.metric {
            Metric::ErrorRate | Metric::SuccessRate => "5%, 0.05",
            Metric::Latency(_) => "500ms, 2s",
            Metric::RequestRate => "10/s, 10",
            Metric::Saturation => "80%, 0.8",
            Metric::Restarts => "a whole number like 3",
            Metric::Named(_) | Metric::CriticalAlerts => "a plain number",
        };
        match self.arm {
            Arm::Canary => format!("write {numbers}, 1.2x stable or 2x baseline"),
            Arm::Stable => format!("write {numbers} or 2x baseline"),
        }
    }

    /// What it may be compared with a multiple of.
    fn references(&self) -> String {
        match (self.arm, &self.metric) {
            (Arm::Stable, _) => "baseline".to_owned(),
            (Arm::Canary, Metric::Named(_)) => "stable or baseline".to_owned(),
            (Arm::Canary, _) => {
                let base = self.name.strip_suffix("_canary").unwrap_or(self.name);
                format!("stable, baseline or {base}_stable")
            }
        }
    }
}
