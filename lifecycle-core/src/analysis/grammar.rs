//! The grammar of checks:
//!
//! ```text
//! check      = "no_critical_alerts" | metric comparison bound
//! metric     = letter or "_", then letters, digits and "_"
//! comparison = "<" | "<=" | ">" | ">="
//! bound      = number ["%" | "us" | "ms" | "s" | "m"] | number "x" ("stable" | "baseline")
//! ```
//! Spaces and tabs may stand between any two of these.

use super::check::{Bound, CheckError, Comparison};
use super::metric::{METRIC_NAMES, Metric, NO_ALERTS};

/// The longest check.
const MAX_CHARS: usize = 200;

/// How much of a check an error repeats.
const SHOWN_CHARS: usize = 60;

pub(super) fn parse(text: &str) -> Result<(Metric, Comparison, Bound), CheckError> {
    let mut cursor = Cursor { text, at: 0 };
    if let Some((long, _)) = text.char_indices().nth(MAX_CHARS) {
        return Err(cursor.error_at(long, format!("a check has at most {MAX_CHARS} characters")));
    }
    let name = cursor.name()?;
    let metric = Metric::named(name);
    cursor.spaces();
    if metric == Metric::CriticalAlerts {
        return match cursor.rest() {
            "" => Ok((metric, Comparison::AtMost, Bound::Value(0.0))),
            _ => Err(cursor.error(format!("{NO_ALERTS} stands alone"))),
        };
    }
    let comparison = cursor.comparison(name)?;
    let bound = cursor.bound(&metric, name)?;
    cursor.spaces();
    match cursor.rest() {
        "" => Ok((metric, comparison, bound)),
        _ => Err(cursor.error("the check should end here".to_owned())),
    }
}

struct Cursor<'a> {
    text: &'a str,
    /// Byte offset.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, problem: String) -> CheckError {
        self.error_at(self.at, problem)
    }

    fn error_at(&self, byte: usize, problem: String) -> CheckError {
        let text = match self.text.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}...", &self.text[..end]),
            None => self.text.to_owned(),
        };
        CheckError { text, at: self.text[..byte].chars().count() + 1, problem }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn spaces(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn name(&mut self) -> Result<&'a str, CheckError> {
        self.spaces();
        let begin = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            let problem =
                format!("a metric is expected, one of {} or a query's name", METRIC_NAMES.join(", "));
            return Err(self.error_at(begin, problem));
        }
        Ok(name)
    }

    fn comparison(&mut self, name: &str) -> Result<Comparison, CheckError> {
        let comparisons = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Below),
            (">", Comparison::Above),
        ];
        for (token, comparison) in comparisons {
            if self.eat(token) {
                return Ok(comparison);
            }
        }
        Err(self.error(format!("one of < <= > >= is expected after {name}")))
    }

    fn bound(&mut self, metric: &Metric, name: &str) -> Result<Bound, CheckError> {
        self.spaces();
        let begin = self.at;
        let number = self.number(metric, name)?;
        self.spaces();
        let unit_at = self.at;
        // The arm may follow its x without a space.
        if self.rest().starts_with(['x', 'X']) {
            self.at += 1;
            return self.arm(begin, number);
        }
        let unit = match self.eat("%") {
            true => "%",
            false => self.take_while(|c| c.is_alphanumeric() || c == '\u{b5}'),
        };
        let value = match (metric, unit) {
            (Metric::ErrorRate | Metric::SuccessRate, "%") => Some(number / 100.0),
            (Metric::ErrorRate | Metric::SuccessRate | Metric::Named(_), "") => Some(number),
            (Metric::Latency(_), "us") => Some(number / 1e6),
            (Metric::Latency(_), "ms") => Some(number / 1e3),
            (Metric::Latency(_), "s") => Some(number),
            (Metric::Latency(_), "m") => Some(number * 60.0),
            _ => None,
        };
        match (metric, value) {
            (Metric::ErrorRate | Metric::SuccessRate, Some(share)) if share > 1.0 => {
                let problem = "more than 100%: write a percentage like 5% or a share like 0.05".to_owned();
                Err(self.error_at(begin, problem))
            }
            (_, Some(value)) => Ok(Bound::Value(value)),
            (_, None) => Err(self.error_at(unit_at, wrong_unit(metric, name, unit))),
        }
    }

    fn arm(&mut self, number_at: usize, factor: f64) -> Result<Bound, CheckError> {
        if factor <= 0.0 {
            return Err(self.error_at(number_at, "a factor above 0 is expected, like 1.2x".to_owned()));
        }
        self.spaces();
        let arm_at = self.at;
        match self.take_while(|c| c.is_alphanumeric() || c == '_') {
            "stable" => Ok(Bound::Stable(factor)),
            "baseline" => Ok(Bound::Baseline(factor)),
            _ => Err(self.error_at(arm_at, "stable or baseline is expected after x".to_owned())),
        }
    }

    /// A finite number that the metric can have.
    fn number(&mut self, metric: &Metric, name: &str) -> Result<f64, CheckError> {
        let begin = self.at;
        let negative = self.eat("-");
        let whole = self.take_while(|c| c.is_ascii_digit());
        let mut length = whole.len();
        if self.eat(".") {
            length += self.take_while(|c| c.is_ascii_digit()).len();
        }
        if length == 0 {
            return Err(self.error_at(begin, format!("a number is expected: {}", accepted(metric))));
        }
        self.exponent();
        let number = self.text[begin..self.at].parse::<f64>().ok().filter(|number| number.is_finite());
        match number {
            None => Err(self.error_at(begin, "the number is too large".to_owned())),
            Some(_) if negative && !matches!(metric, Metric::Named(_)) => {
                Err(self.error_at(begin, format!("{name} is never negative: {}", accepted(metric))))
            }
            Some(number) => Ok(number),
        }
    }

    /// `e6`, `E-3`; an `e` without digits belongs to what follows.
    fn exponent(&mut self) {
        let begin = self.at;
        if self.eat("e") || self.eat("E") {
            let _signed = self.eat("-") || self.eat("+");
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                self.at = begin;
            }
        }
    }
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

#[cfg(test)]
mod tests;
