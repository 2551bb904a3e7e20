//! The grammar of checks:
//!
//! ```text
//! check      = "no_critical_alerts" | metric comparison bound
//! metric     = own ["_canary" | "_stable"] | query
//! own        = "error_rate" | "success_rate" | "p95_latency" | "latency_p95" | ... (metric.rs)
//! query      = letter or "_", then letters, digits and "_"
//! comparison = "<" | "<=" | ">" | ">="
//! bound      = number ["%" | "us" | "ms" | "s" | "m" | "/s"] | [number "x"] reference
//! reference  = "stable" | "baseline" | own "_stable"
//! ```
//! Spaces and tabs may stand between any two of these. The unit fits the metric; a reference that is a
//! metric is the same one; what is measured of stable is not compared with stable.

mod bound;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
mod token;

use winnow::combinator::eof;
use winnow::prelude::*;

use super::check::{Bound, CheckError, Comparison};
use super::metric::{Arm, METRIC_NAMES, Metric, NO_ALERTS};
use token::{Fault, Input, expected, spaces};

/// The longest check.
const MAX_CHARS: usize = 200;

/// How much of a check an error repeats.
const SHOWN_CHARS: usize = 60;

/// What stands left of the comparison.
struct Left<'a> {
    name: &'a str,
    metric: Metric,
    arm: Arm,
}

pub(super) fn parse(text: &str) -> Result<(Arm, Metric, Comparison, Bound), CheckError> {
    let parsed = match text.char_indices().nth(MAX_CHARS) {
        Some((long, _)) => Err(Fault::told(long, format!("a check has at most {MAX_CHARS} characters"))),
        None => check(&mut Input::new(text)),
    };
    match parsed {
        Ok((Left { arm, metric, .. }, comparison, bound)) => Ok((arm, metric, comparison, bound)),
        Err(fault) => Err(error(text, fault)),
    }
}

/// A fault, for people: the character in the place of the byte, and no more of the text than fits.
fn error(text: &str, fault: Fault) -> CheckError {
    let shown = match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    };
    let at = text.char_indices().take_while(|(byte, _)| *byte < fault.at).count() + 1;
    CheckError { text: shown, at, problem: fault.problem.unwrap_or_else(|| "this is no check".to_owned()) }
}

fn check<'a>(input: &mut Input<'a>) -> Result<(Left<'a>, Comparison, Bound), Fault> {
    spaces(input)?;
    let left = expected(left, || {
        format!("a metric is expected, one of {} or a query's name", METRIC_NAMES.join(", "))
    })
    .parse_next(input)?;
    spaces(input)?;
    if left.metric == Metric::CriticalAlerts {
        expected(eof, || format!("{NO_ALERTS} stands alone")).parse_next(input)?;
        return Ok((left, Comparison::AtMost, Bound::Value(0.0)));
    }
    let missing = || format!("one of < <= > >= is expected after {}", left.name);
    let comparison = expected(token::comparison, missing).parse_next(input)?;
    spaces(input)?;
    let bound = bound::of(&left).parse_next(input)?;
    spaces(input)?;
    expected(eof, || "the check should end here".to_owned()).parse_next(input)?;
    Ok((left, comparison, bound))
}

fn left<'a>(input: &mut Input<'a>) -> Result<Left<'a>, Fault> {
    let name = token::name(input)?;
    let (metric, arm) = Metric::written(name);
    Ok(Left { name, metric, arm })
}
