//! The evidence as a sentence.

use super::judge::SequentialJudge;
use super::question::Of;
use super::state::SequentialState;
use crate::analysis::explain::{number, percent, seconds};
use crate::analysis::{Bound, Check};
use crate::stats::Counts;

/// What the looks so far say: what was compared, the numbers, the evidence and how much is needed, since when.
pub(crate) fn say(check: &Check, judge: &SequentialJudge, state: &SequentialState) -> String {
    let at = worst(state);
    let name = check.metric_text();
    let (ours, theirs) = (of(&state.canary, at).and(of(&state.alone, at)), of(&state.stable, at));
    let what = match (judge.question.of, state.bounds.get(at)) {
        (Of::Slow(_), Some(bound)) => {
            let share = rate(ours);
            format!("{name}: {share} slower than {}{}", seconds(bound.canary_us as f64 / 1e6), counted(ours))
        }
        _ => format!("{name} {}{}", rate(ours), counted(ours)),
    };
    let against = match (judge.question.against, theirs.requests > 0) {
        (Bound::Value(_), _) => String::new(),
        (_, true) => format!(", stable {}{}{}", rate(theirs), slower(state, at), counted(theirs)),
        (_, false) => {
            let base = of(&state.base, at);
            format!(", stable {}{}{} before", rate(base), slower(state, at), counted(base))
        }
    };
    let since =
        if state.counted.is_zero() { String::new() } else { format!(" in {}", state.counted.coarse()) };
    let temper = match state.temper {
        Some(temper) if temper.known && temper.eta.get() < 1.0 => {
            format!(", temper {}", number(temper.eta.get()))
        }
        Some(temper) if !temper.known => ", untempered".to_owned(),
        _ => String::new(),
    };
    let (evidence, needed) = (power(state.ln_e.get()), power(state.ln_needed.get()));
    format!("{what}{against}{since}: evidence {evidence} of the {needed} that fail it{temper}")
}

fn of(counts: &[Counts], at: usize) -> Counts {
    counts.get(at).copied().unwrap_or_default()
}

/// The bound with the most evidence.
fn worst(state: &SequentialState) -> usize {
    let evidence = state.evidence.iter().map(|evidence| evidence.ln_e()).enumerate();
    evidence.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(at, _)| at)
}

fn rate(counts: Counts) -> String {
    counts.rate().map_or_else(|| "unknown".to_owned(), percent)
}

fn counted(counts: Counts) -> String {
    format!(" ({} of {} requests)", counts.failed, counts.requests)
}

fn slower(state: &SequentialState, at: usize) -> String {
    match state.bounds.get(at) {
        Some(bound) => format!(" slower than {}", seconds(bound.stable_us as f64 / 1e6)),
        None => String::new(),
    }
}

/// e^x for people: evidence may be more than any double holds.
fn power(ln: f64) -> String {
    let ten = ln / std::f64::consts::LN_10;
    if ten < 6.0 { number(ln.exp()) } else { format!("10^{}", ten.floor()) }
}
