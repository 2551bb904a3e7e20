//! What each replica has counted, bin by bin.
//!
//! One range query, with a bin for each of its steps. A bin of a replica counts when its series were there at both ends and
//! nothing happened in between; what is new in a bin, on a target that had been scraped before, counts whole. Bins in which a
//! replica came, went, began anew, lost a series or could not be scraped at an end are left out.

use lifecycle_core::time::Millis;

use super::scope::{Scope, arms};
use super::selector::{Selector, duration};
use super::since::{MEMORY, SAME_START_SECONDS};
use super::window::named;
use crate::answer::{COUNT, FAILED, REPLICA, UNKNOWN};
use crate::metrics::Metrics;

/// Requests by replica.
pub(super) fn requests(metrics: &Metrics, scope: &Scope, width: Millis) -> String {
    let series = scope.of(metrics, &metrics.requests);
    let (code, failed) = (&metrics.code, super::selector::quoted(&metrics.failed_codes));
    let grown = grown(metrics, scope, &series, width);
    let marked = format!("label_replace({grown}, \"{COUNT}\", \"{FAILED}\", \"{code}\", {failed})");
    let counted =
        format!("sum by ({}, {REPLICA}, {COUNT}) ({})", arms(metrics), by_replica(metrics, &marked));
    format!("{counted} or {}", broken(metrics, scope, &series, width))
}

/// Buckets of durations by replica.
pub(super) fn latency(metrics: &Metrics, scope: &Scope, width: Millis) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let series = scope.of(metrics, &bucket);
    let grown = by_replica(metrics, &grown(metrics, scope, &series, width));
    let counted = format!("sum by ({}, {REPLICA}, le) ({grown})", arms(metrics));
    format!("{counted} or {}", broken(metrics, scope, &series.with("le", "+Inf"), width))
}

/// By how much each counter has grown in the bin that ends at a step.
fn grown(metrics: &Metrics, scope: &Scope, x: &Selector<'_>, width: Millis) -> String {
    let (w, up) = (duration(width), scope.of_targets(metrics, "up"));
    let appeared = format!("{x} and on (job, instance) ({up} offset {w} == 1)");
    format!("({x} - {x} offset {w}) or ({appeared})")
}

/// Replicas of which the bin that ends at a step is not known as a whole.
fn broken(metrics: &Metrics, scope: &Scope, x: &Selector<'_>, width: Millis) -> String {
    let (w, up) = (duration(width), scope.of_targets(metrics, "up"));
    let mut any = vec![
        format!("resets({x}[{w}]) > 0"),
        format!("min_over_time({x}[{w}]) < {x} offset {w}"),
        format!("{x} offset {w} unless {x}"),
        format!("({x} unless {x} offset {w}) and count_over_time({x}[{}] offset {w})", duration(MEMORY)),
        format!("{x} unless {x} offset {w} unless on (job, instance) ({up} offset {w} == 1)"),
    ];
    if let Some(start) = metrics.process_start.as_deref().map(|name| scope.of_targets(metrics, name)) {
        let later = format!("{start} - {start} offset {w} > {SAME_START_SECONDS}");
        any.push(format!("{x} and on (job, instance) ({later})"));
    }
    let any = any.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ");
    let replicas = by_replica(metrics, &any);
    named(UNKNOWN, &format!("count by ({}, {REPLICA}) ({replicas})", arms(metrics)))
}

/// These series with the name of their replica: the first of its labels that they have.
fn by_replica(metrics: &Metrics, series: &str) -> String {
    metrics.replica.iter().rev().fold(series.to_owned(), |series, label| {
        format!("label_replace({series}, \"{REPLICA}\", \"$1\", \"{label}\", \"(.+)\")")
    })
}
