//! Durations in native histograms.
//!
//! Prometheus has learnt to calculate with them bit by bit: 2.42 adds them up and no more, and takes whatever else it is asked
//! for as 0, without a word. So the ends of a span are asked for as they are, and subtracted here. What is a number (the sums at
//! both ends, whether something cannot be told) is asked for as for other counters.

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use super::scope::{Scope, arms};
use super::selector::{Selector, at, duration};
use super::since::{Counters, MEMORY, SAME_START_SECONDS, ends, range};
use super::window::scraped;
use crate::answer::UNKNOWN;
use crate::metrics::Metrics;

/// Over a window: what Prometheus itself makes of it, extrapolated.
pub(super) fn window(metrics: &Metrics, scope: &Scope, window: Millis) -> String {
    let x = scope.of(metrics, &metrics.durations);
    let grown = format!("sum by ({}) (increase({x}[{}]))", arms(metrics), duration(window));
    format!("{grown} or {}", scraped(metrics, &x))
}

/// What counts begin with.
pub(super) fn begin(metrics: &Metrics, scope: &Scope) -> String {
    let x = scope.of(metrics, &metrics.durations);
    super::since::begin(metrics, &count(&x), &x)
}

/// Since this mark. What is known at both ends comes as it is at the later one by arm, and as it is at the earlier one by arm and
/// job; what is new by target too. No other label can be given to a histogram by every version.
pub(super) fn since(metrics: &Metrics, scope: &Scope, from: Mark, until: Mark) -> String {
    let x = scope.of(metrics, &metrics.durations);
    let (arms, then) = (arms(metrics), at(from));
    let counters = Counters::new(metrics, scope, x.clone(), x.clone());
    let new = counters.known_to_be_new(from, until);
    [
        format!("sum by ({arms}) ({x} and {x} {then})"),
        format!("sum by ({arms}, job) ({x} {then} and {x})"),
        format!("sum by ({arms}, job, instance) ({x} unless {x} {then} and on (job, instance) ({new}))"),
        ends(
            metrics,
            &count(&x),
            &x,
            &format!("histogram_count({x} {then})"),
            (UNKNOWN, &unknown(&counters, from, until)),
        ),
    ]
    .join(" or ")
}

/// The series of which cannot be told how much they have grown, as for [other counters](super::since): but every new series
/// whose target is not known to be new, and every one that is gone, because only the ends can be read.
fn unknown(counters: &Counters<'_>, from: Mark, until: Mark) -> String {
    let (x, up, r, then) = (&counters.series, &counters.up, range(from, until), at(from));
    let (now, before) = (count(x), format!("histogram_count({x} {then})"));
    let new = counters.known_to_be_new(from, until);
    let mut any = vec![
        format!("resets({x}[{r}]) > 0"),
        format!("{now} < {before}"),
        format!("{before} unless {now}"),
        format!("{now} and on (job, instance) ({up} == 0)"),
        format!("({now} unless {before}) and count_over_time({x}[{}] {then})", duration(MEMORY)),
        format!("{now} unless {before} unless on (job, instance) ({new})"),
    ];
    if let Some(start) = &counters.start {
        let later = format!("last_over_time({start}[{r}]) - {start} {then} > {SAME_START_SECONDS}");
        any.push(format!("{before} and on (job, instance) ({later})"));
    }
    any.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ")
}

fn count(x: &Selector<'_>) -> String {
    format!("histogram_count({x})")
}
