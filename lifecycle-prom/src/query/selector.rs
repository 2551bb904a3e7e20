//! The smallest parts of PromQL: selectors, strings, durations.

use std::fmt::{self, Write as _};

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

/// Series of one metric: `name{a="b",c=~"d"}`.
#[derive(Clone, Debug)]
pub(super) struct Selector<'a> {
    metric: &'a str,
    matchers: Vec<(&'a str, &'static str, String)>,
}

impl<'a> Selector<'a> {
    pub(super) const fn new(metric: &'a str) -> Self {
        Self { metric, matchers: Vec::new() }
    }

    /// Whose label has this value.
    pub(super) fn with(mut self, label: &'a str, value: &str) -> Self {
        self.matchers.push((label, "=", quoted(value)));
        self
    }

    /// Whose label matches this regular expression as a whole.
    pub(super) fn like(mut self, label: &'a str, pattern: &str) -> Self {
        self.matchers.push((label, "=~", quoted(pattern)));
        self
    }

    /// Whose label has one of these values; an empty one is a label that is not there.
    pub(super) fn one_of<'v>(self, label: &'a str, values: impl IntoIterator<Item = &'v str>) -> Self {
        let values: Vec<&str> = values.into_iter().collect();
        match values[..] {
            [value] => self.with(label, value),
            _ => {
                let values: Vec<String> = values.into_iter().map(literal).collect();
                self.like(label, &values.join("|"))
            }
        }
    }
}

impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric)?;
        let mut before = '{';
        for (label, operator, value) in &self.matchers {
            write!(f, "{before}{label}{operator}{value}")?;
            before = ',';
        }
        if before == ',' { f.write_char('}') } else { Ok(()) }
    }
}

/// A string literal in double quotes that means this text.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// This text inside a string literal in double or single quotes. Strings in PromQL have the escapes
/// of Go.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\\' => out.push_str("\\\\"),
            // \" is an error in single quotes and \' in double quotes: these are understood in both
            '"' => out.push_str("\\x22"),
            '\'' => out.push_str("\\x27"),
            c if c.is_control() => {
                // writing into a String cannot fail
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
        out
    })
}

/// The regular expression (RE2) that matches exactly this text.
fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// A span of time as PromQL writes it. There is no span of 0: 1 ms is the shortest.
pub(super) fn duration(span: Millis) -> String {
    match span.get() {
        0 => "1ms".to_owned(),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// This moment in seconds, with the milliseconds as decimals.
pub(super) fn seconds(mark: Mark) -> String {
    let (sign, ms) = (if mark.0 < 0 { "-" } else { "" }, mark.0.unsigned_abs());
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

/// The modifier that reads series as they were at this moment.
pub(super) fn at(mark: Mark) -> String {
    format!("@ {}", seconds(mark))
}

#[cfg(test)]
mod tests;
