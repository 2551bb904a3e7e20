//! What was judged, for people.

use std::io::{self, Write};

use anstyle::Style;
use lifecycle_core::stats::Counts;
use lifecycle_core::stats::mann_whitney::{Class, Samples};

use super::course::{Course, Judged, Verdict};
use super::mannwhitney::{Compared, class_word};
use crate::text::{BAD, BOLD, DIM, GOOD};

/// Columns of the labels.
const LABEL: usize = 12;

/// A line a look, and what came of it.
pub(super) fn looks(out: &mut impl Write, course: &Course) -> io::Result<()> {
    let Course { title, columns, rule, looks } = course;
    writeln!(out, "{BOLD}{title}{BOLD:#}")?;
    let alarm = number(rule.fails_at());
    writeln!(out, "alpha {}, eta {}: fails at E {alarm} or more", rule.alpha, rule.eta)?;
    if let Some((bound, beta)) = rule.early {
        let at = rule.passes_at().unwrap_or_default();
        writeln!(out, "passes at L {} or more: less than {bound} times as bad, beta {beta}", number(at))?;
    }
    let widths: Vec<usize> = (0..columns.len()).map(|arm| width(columns, looks, arm)).collect();
    write!(out, "\n{DIM}{:>6}", "look")?;
    for (column, width) in columns.iter().zip(&widths) {
        write!(out, "  {column:>width$}")?;
    }
    let early = if rule.early.is_some() { format!("  {:>12}", "L") } else { String::new() };
    writeln!(out, "  {:>12}  {:>12}{early}  verdict{DIM:#}", "E", "ln E")?;
    for (at, look) in looks.iter().enumerate() {
        write!(out, "{at:>6}")?;
        for (arm, width) in look.arms.iter().zip(&widths) {
            write!(out, "  {:>width$}", shown(columns, *arm))?;
        }
        let ln_l = look.ln_l.map(|ln_l| format!("  {:>12}", number(ln_l))).unwrap_or_default();
        let (word, style) = verdict(look.verdict);
        writeln!(out, "  {:>12}  {:>12.4}{ln_l}  {style}{word}{style:#}", number(look.ln_e), look.ln_e)?;
    }
    summary(out, looks)
}

/// When the verdict came.
fn summary(out: &mut impl Write, looks: &[Judged]) -> io::Result<()> {
    let first = |wanted| looks.iter().position(|look| look.verdict == wanted);
    let said = [(Verdict::Pass, "passes"), (Verdict::Fail, "fails")];
    let said: Vec<String> = said
        .into_iter()
        .filter_map(|(wanted, word)| Some(format!("{word} at look {}", first(wanted)?)))
        .collect();
    match said.is_empty() {
        true => writeln!(out, "\nneither fails nor passes by look {}", looks.len().saturating_sub(1)),
        false => writeln!(out, "\n{}", said.join(", then ")),
    }
}

/// The shift and the class.
pub(super) fn samples(out: &mut impl Write, compared: &Compared) -> io::Result<()> {
    let Compared { class, is, canary, baseline, confidence, effect, .. } = compared;
    row(out, "canary", &arm(canary))?;
    row(out, "baseline", &arm(baseline))?;
    if let Some(shift) = is.interval {
        let between = format!("from {} to {}", shift.lower, shift.upper);
        row(out, "shift", &format!("{}, {between} with confidence {confidence}", shift.estimate))?;
    }
    if let Some(size) = is.effect {
        row(out, "effect", &format!("{size:.4} {effect}"))?;
    }
    let style = match class {
        Class::Pass => GOOD,
        Class::High | Class::Low => BAD,
        Class::NoData | Class::NoDataFail => DIM,
    };
    row(out, "class", &format!("{style}{}{style:#}", class_word(*class)))
}

fn row(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{DIM}{label:<LABEL$}{DIM:#}{text}")
}

fn arm(samples: &Samples) -> String {
    match samples.mean() {
        Some(mean) => format!("{} samples, mean {mean:.4}", samples.len()),
        None => "no samples".to_owned(),
    }
}

/// Failed requests of all; or requests alone, where they are not what is judged.
fn shown(columns: &[&str], arm: Counts) -> String {
    match columns.iter().any(|column| column.ends_with("failed")) {
        true => format!("{} of {}", arm.failed, arm.requests),
        false => arm.requests.to_string(),
    }
}

/// Of the widest value of a column, or its head.
fn width(columns: &[&str], looks: &[Judged], at: usize) -> usize {
    let values = looks.iter().filter_map(|look| look.arms.get(at)).map(|arm| shown(columns, *arm).len());
    values.chain(columns.get(at).map(|column| column.len())).max().unwrap_or_default()
}

fn verdict(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Continue => ("continue", DIM),
        Verdict::Fail => ("fail", BAD),
        Verdict::Pass => ("pass", GOOD),
    }
}

/// A number of any size by its natural logarithm, to four digits: E has more digits than a double can tell.
fn number(ln: f64) -> String {
    // (a power of ten may be a little below itself by its logarithm)
    let digits = ln / std::f64::consts::LN_10 + 1e-12;
    if (-3.0..6.0).contains(&digits) {
        let before = (digits.floor().max(0.0)) as usize;
        return format!("{:.*}", 3_usize.saturating_sub(before), ln.exp());
    }
    let (exponent, mantissa) = (digits.floor(), 10_f64.powf(digits - digits.floor()));
    // 9.9996 is written as the next power
    let (exponent, mantissa) = if mantissa >= 9.9995 { (exponent + 1.0, 1.0) } else { (exponent, mantissa) };
    format!("{mantissa:.3}e{exponent:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_any_size_has_four_digits() {
        for (ln, shown) in [
            (0.0, "1.000"),
            (0.5_f64.ln(), "0.500"),
            (100_f64.ln(), "100.0"),
            (123_456_f64.ln(), "123456"),
            (2.5e10_f64.ln(), "2.500e10"),
            (1e-5_f64.ln(), "1.000e-5"),
            (1000.0 * std::f64::consts::LN_10, "1.000e1000"),
            (-1e5, "3.563e-43430"),
        ] {
            assert_eq!(number(ln), shown, "{ln}");
        }
    }
}
