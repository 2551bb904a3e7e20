//! The default queries.

use lifecycle_core::time::Millis;

use super::selector::{Selector, duration};
use crate::answer::counts::{ALL, COUNT, FAILED};
use crate::metrics::Metrics;
use crate::target::Target;

/// All requests and failed requests by revision, in one answer so that they are of one moment.
pub(super) fn requests(metrics: &Metrics, target: &Target, revisions: &[&str], window: Millis) -> String {
    let all = of(metrics, target, revisions, &metrics.requests);
    let failed = all.clone().like(&metrics.code, &metrics.failed_codes);
    let revision = &metrics.revision;
    let count = |series: &Selector<'_>, which: &str| {
        let increase = increase(series, &all.of("up"), window);
        format!("label_replace(sum by ({revision}) ({increase}), \"{COUNT}\", \"{which}\", \"\", \"\")")
    };
    format!("{} or {}", count(&all, ALL), count(&failed, FAILED))
}

/// The buckets of the durations by revision.
pub(super) fn latency(metrics: &Metrics, target: &Target, revisions: &[&str], window: Millis) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let buckets = of(metrics, target, revisions, &bucket);
    let increase = increase(&buckets, &buckets.of("up"), window);
    format!("sum by ({}, le) ({increase})", metrics.revision)
}

/// Critical alerts that fire for these revisions, or for the whole deployment: those without a
/// revision.
pub(super) fn alerts(metrics: &Metrics, target: &Target, revisions: &[&str]) -> String {
    let any = std::iter::once("").chain(revisions.iter().copied());
    let firing = scope(Selector::new("ALERTS"), metrics, target)
        .with("alertstate", "firing")
        .with(&metrics.critical.0, &metrics.critical.1)
        .one_of(&metrics.revision, any);
    format!("count by ({}) ({firing})", metrics.revision)
}

fn of<'a>(metrics: &'a Metrics, target: &Target, revisions: &[&str], metric: &'a str) -> Selector<'a> {
    scope(Selector::new(metric), metrics, target).one_of(&metrics.revision, revisions.iter().copied())
}

fn scope<'a>(mut series: Selector<'a>, metrics: &'a Metrics, target: &Target) -> Selector<'a> {
    for (label, value) in &metrics.fixed {
        series = series.with(label, value);
    }
    for (label, value) in [(&metrics.namespace, &target.namespace), (&metrics.agent, &target.agent)] {
        if let Some(label) = label {
            series = series.with(label, value);
        }
    }
    series
}

/// By how much each of these counters has grown in the window: see [`query`](super). `up` are the
/// same targets' own series.
fn increase(series: &Selector<'_>, up: &Selector<'_>, window: Millis) -> String {
    let w = duration(window);
    let last = format!("last_over_time({series}[{w}])");
    let restarted = format!("increase({series}[{w}]) and resets({series}[{w}]) > 0");
    let known_before = format!("{last} - {series} offset {w} >= 0");
    let scrapes = format!("max by (job, instance) (sum_over_time({up}[{w}]))");
    let new_on_a_known_target =
        format!("{last} and count_over_time({series}[{w}]) < on (job, instance) group_left () {scrapes}");
    let seen_since = format!("{last} - min_over_time({series}[{w}])");
    format!("({restarted}) or ({known_before}) or ({new_on_a_known_target}) or ({seen_since})")
}
