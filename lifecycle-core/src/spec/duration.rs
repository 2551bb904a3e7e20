//! Durations as manifests write them.

use thiserror::Error;

use crate::time::Millis;

/// The longest duration that a manifest may ask for: a leap year.
const LONGEST: Millis = Millis::from_secs(366 * 24 * 3600);

/// Units, falling.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Why a duration was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}: write a duration like 30s, 15m, 1h or 1h30m")]
#[non_exhaustive]
pub struct DurationError {
    /// What is wrong with it.
    pub problem: String,
}

/// Reads a duration: whole numbers of the units `h`, `m`, `s` and `ms`, in this order, each at most
/// once; `30s`, `1h30m`, `250ms`, `0s`. What [`Millis`] prints is read back.
///
/// # Errors
/// A number without a unit, another unit, a fraction, a negative duration, more than 366 days.
///
/// # Example
/// ```
/// # use lifecycle_core::{spec::parse_duration, time::Millis};
/// assert_eq!(parse_duration("1h30m").unwrap(), Millis::from_secs(5400));
/// assert!(parse_duration("5 minutes").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Millis, DurationError> {
    let shown = super::error::quoted(text);
    let refuse = |problem: &str| Err(DurationError { problem: format!("{shown} {problem}") });
    let mut rest = text;
    if rest.starts_with('-') {
        return refuse("is negative");
    }
    if rest.is_empty() {
        return refuse("is no duration");
    }
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return refuse("is no duration");
        }
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return refuse(if after.is_empty() { "has no unit" } else { "is no duration" });
        }
        let Some(at) = units.iter().position(|(name, _)| *name == unit) else {
            let known = UNITS.iter().any(|(name, _)| *name == unit);
            return refuse(if known { "has its units out of order" } else { "has an unknown unit" });
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(units[at].1));
        match part.and_then(|part| total.checked_add(part)) {
            Some(sum) if sum <= LONGEST.get() => total = sum,
            _ => return refuse("is longer than 366 days"),
        }
        units = &units[at + 1..];
        rest = after;
    }
    Ok(Millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, ms) in [
            ("30s", 30_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("1h30m20s5ms", 5_420_005),
            ("250ms", 250),
            ("0s", 0),
            ("90m", 5_400_000),
            ("8784h", 31_622_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Millis(ms)), "{text}");
            assert_eq!(parse_duration(&Millis(ms).to_string()), Ok(Millis(ms)), "{text} printed");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_is_wrong() {
        for (text, problem) in [
            ("", "is no duration"),
            ("30", "has no unit"),
            ("1h30", "has no unit"),
            ("-5m", "is negative"),
            ("5 minutes", "is no duration"),
            ("1h 30m", "is no duration"),
            ("5minutes", "unknown unit"),
            ("10x", "unknown unit"),
            ("1d", "unknown unit"),
            ("1.5h", "is no duration"),
            ("s", "is no duration"),
            ("30m1h", "out of order"),
            ("1m1m", "out of order"),
            ("5\u{b5}s", "is no duration"),
            ("\u{663}s", "is no duration"),
            ("9999h", "longer than 366 days"),
            ("99999999999999999999s", "longer than 366 days"),
            ("18446744073709551615h", "longer than 366 days"),
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("30s, 15m, 1h"), "{text}: {error}");
        }
    }
}
