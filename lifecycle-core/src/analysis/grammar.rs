//! The grammar of checks:
//!
//! ```text
//! check      = "no_critical_alerts" | metric comparison bound
//! metric     = letter or "_", then letters, digits and "_"
//! comparison = "<" | "<=" | ">" | ">="
//! bound      = number ["%" | "us" | "ms" | "s" | "m"] | number "x" ("stable" | "baseline")
//! ```
//! Spaces and tabs may stand between any two of these.

mod bound;
mod token;

use winnow::combinator::eof;
use winnow::prelude::*;

use super::check::{Bound, CheckError, Comparison};
use super::metric::{METRIC_NAMES, Metric, NO_ALERTS};
use token::{Fault, Input, expected, spaces};

/// The longest check.
const MAX_CHARS: usize = 200;

/// How much of a check an error repeats.
const SHOWN_CHARS: usize = 60;

/// The parts of a check.
type Parts = (Metric, Comparison, Bound);

pub(super) fn parse(text: &str) -> Result<Parts, CheckError> {
    let parsed = match text.char_indices().nth(MAX_CHARS) {
        Some((long, _)) => Err(Fault::told(long, format!("a check has at most {MAX_CHARS} characters"))),
        None => check(&mut Input::new(text)),
    };
    parsed.map_err(|fault| error(text, fault))
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

fn check(input: &mut Input<'_>) -> Result<Parts, Fault> {
    spaces(input)?;
    let name = expected(token::name, || {
        format!("a metric is expected, one of {} or a query's name", METRIC_NAMES.join(", "))
    })
    .parse_next(input)?;
    let metric = Metric::named(name);
    spaces(input)?;
    if metric == Metric::CriticalAlerts {
        expected(eof, || format!("{NO_ALERTS} stands alone")).parse_next(input)?;
        return Ok((metric, Comparison::AtMost, Bound::Value(0.0)));
    }
    let comparison = expected(token::comparison, || format!("one of < <= > >= is expected after {name}"))
        .parse_next(input)?;
    spaces(input)?;
    let bound = bound::of(&metric, name).parse_next(input)?;
    spaces(input)?;
    expected(eof, || "the check should end here".to_owned()).parse_next(input)?;
    Ok((metric, comparison, bound))
}

#[cfg(test)]
mod tests;
