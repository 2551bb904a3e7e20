//! The default queries over a trailing window.

use lifecycle_core::time::Millis;

use super::scope::{Scope, arms};
use super::selector::{Selector, duration};
use super::since::MEMORY;
use crate::answer::{COUNT, FAILED, SCRAPED};
use crate::metrics::Metrics;

/// Requests by arm, the failed ones by themselves, in one answer so that they are of one moment.
pub(super) fn requests(metrics: &Metrics, scope: &Scope, window: Millis) -> String {
    let all = scope.of(metrics, &metrics.requests);
    let counted = increase(&all, &scope.of_targets(metrics, "up"), window);
    format!("{} or {}", by_outcome(metrics, &counted), scraped(metrics, &all))
}

/// The buckets of the durations by arm.
pub(super) fn latency(metrics: &Metrics, scope: &Scope, window: Millis) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let buckets = scope.of(metrics, &bucket);
    let counted = increase(&buckets, &scope.of_targets(metrics, "up"), window);
    let whole = buckets.clone().with("le", "+Inf");
    format!("sum by ({}, le) ({counted}) or {}", arms(metrics), scraped(metrics, &whole))
}

/// Critical alerts that fire for these revisions, or for the whole deployment: those without a
/// revision.
pub(super) fn alerts(metrics: &Metrics, scope: &Scope) -> String {
    let firing = scope
        .of_alerts(metrics, "ALERTS")
        .with("alertstate", "firing")
        .with(&metrics.critical.0, &metrics.critical.1);
    format!("count by ({}) ({firing})", metrics.of_alerts().listed())
}

/// These counts by arm, and those with a code that has failed by themselves.
pub(super) fn by_outcome(metrics: &Metrics, counted: &str) -> String {
    let (code, failed) = (&metrics.code, super::selector::quoted(&metrics.failed_codes));
    let marked = format!("label_replace({counted}, \"{COUNT}\", \"{FAILED}\", \"{code}\", {failed})");
    format!("sum by ({}, {COUNT}) ({marked})", arms(metrics))
}

/// What this gives by arm, under this name.
pub(super) fn named(which: &str, expression: &str) -> String {
    format!("label_replace({expression}, \"{COUNT}\", \"{which}\", \"\", \"\")")
}

/// When the newest of these series was scraped, by arm.
pub(super) fn scraped(metrics: &Metrics, series: &Selector<'_>) -> String {
    named(SCRAPED, &format!("max by ({}) (timestamp({series}))", arms(metrics)))
}

/// By how much each of these counters has grown in the window: see [`query`](super). `up` are the
/// same targets' own series.
fn increase(series: &Selector<'_>, up: &Selector<'_>, window: Millis) -> String {
    let w = duration(window);
    let last = format!("last_over_time({series}[{w}])");
    let restarted = format!("increase({series}[{w}]) and resets({series}[{w}]) > 0");
    let known_before = format!("{last} - {series} offset {w} >= 0");
    let scrapes = format!("max by (job, instance) (sum_over_time({up}[{w}]))");
    let lost_before = format!("count_over_time({series}[{}] offset {w})", duration(MEMORY));
    let new_on_a_known_target = format!(
        "{last} and count_over_time({series}[{w}]) < on (job, instance) group_left () {scrapes} unless {lost_before}"
    );
    let seen_since = format!("{last} - min_over_time({series}[{w}])");
    format!("({restarted}) or ({known_before}) or ({new_on_a_known_target}) or ({seen_since})")
}
