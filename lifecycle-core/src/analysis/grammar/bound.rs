//! What stands right of the comparison: a number that the metric can have, or a multiple of another arm.

use winnow::combinator::opt;
use winnow::prelude::*;
use winnow::stream::Location;
use winnow::token::one_of;

use super::super::check::Bound;
use super::super::metric::Metric;
use super::token::{self, Fault, Input, expected, spaces};

/// The bound of this metric, which was written with this name.
pub(super) fn of<'a>(metric: &Metric, name: &str) -> impl Parser<Input<'a>, Bound, Fault> {
    move |input: &mut Input<'a>| {
        let begin = input.current_token_start();
        let number = number(metric, name).parse_next(input)?;
        spaces(input)?;
        // The arm may follow its x without a space.
        match opt(one_of(['x', 'X'])).parse_next(input)? {
            Some(_) if number <= 0.0 => {
                Err(Fault::told(begin, "a factor above 0 is expected, like 1.2x".to_owned()))
            }
            Some(_) => {
                spaces(input)?;
                let missing = || "stable or baseline is expected after x".to_owned();
                expected(arm, missing).map(|arm| arm(number)).parse_next(input)
            }
            None => value(metric, name, begin, number).map(Bound::Value).parse_next(input),
        }
    }
}

/// A finite number that the metric can have.
fn number<'a>(metric: &Metric, name: &str) -> impl Parser<Input<'a>, f64, Fault> {
    move |input: &mut Input<'a>| {
        let begin = input.current_token_start();
        let missing = || format!("a number is expected: {}", accepted(metric));
        let text = expected(token::number, missing).parse_next(input)?;
        match text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            None => Err(Fault::told(begin, "the number is too large".to_owned())),
            Some(_) if text.starts_with('-') && !matches!(metric, Metric::Named(_)) => {
                Err(Fault::told(begin, format!("{name} is never negative: {}", accepted(metric))))
            }
            Some(number) => Ok(number),
        }
    }
}

/// The number in the metric's unit, by the unit that follows it.
fn value<'a>(metric: &Metric, name: &str, begin: usize, number: f64) -> impl Parser<Input<'a>, f64, Fault> {
    move |input: &mut Input<'a>| {
        let at = input.current_token_start();
        let unit = token::unit(input)?;
        let value = match (metric, unit) {
            (Metric::ErrorRate | Metric::SuccessRate, "%") => number / 100.0,
            (Metric::ErrorRate | Metric::SuccessRate | Metric::Named(_), "") => number,
            (Metric::Latency(_), "us") => number / 1e6,
            (Metric::Latency(_), "ms") => number / 1e3,
            (Metric::Latency(_), "s") => number,
            (Metric::Latency(_), "m") => number * 60.0,
            _ => return Err(Fault::told(at, wrong_unit(metric, name, unit))),
        };
        match metric {
            Metric::ErrorRate | Metric::SuccessRate if value > 1.0 => {
                let problem = "more than 100%: write a percentage like 5% or a share like 0.05".to_owned();
                Err(Fault::told(begin, problem))
            }
            _ if value.is_infinite() => Err(Fault::told(begin, "the number is too large".to_owned())),
            _ => Ok(value),
        }
    }
}

/// What a bound is a multiple of.
fn arm(input: &mut Input<'_>) -> Result<fn(f64) -> Bound, Fault> {
    token::word
        .verify_map(|word| match word {
            "stable" => Some(Bound::Stable as fn(f64) -> Bound),
            "baseline" => Some(Bound::Baseline),
            _ => None,
        })
        .parse_next(input)
}

fn wrong_unit(metric: &Metric, name: &str, unit: &str) -> String {
    let accepted = accepted(metric);
    match unit {
        "" => format!("a unit is expected here: {accepted}"),
        unit => format!("{unit} is not a unit of {name}: {accepted}"),
    }
}

fn accepted(metric: &Metric) -> &'static str {
    match metric {
        Metric::ErrorRate | Metric::SuccessRate => "write 5%, 0.05, 1.2x stable or 2x baseline",
        Metric::Latency(_) => "write 500ms, 2s, 1.2x stable or 2x baseline",
        Metric::Named(_) | Metric::CriticalAlerts => "write a plain number, 1.2x stable or 2x baseline",
    }
}
