//! The counts as text for Prometheus, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lifecycle_core::version::Revision;
use serde::{Deserialize, Serialize};

use super::counts::{BOUNDS_US, Counters, Counts, Totals};

/// Every fifth bound is exposed, about a factor of two apart: the histogram of one revision is 21
/// lines, and its sums stay exact.
const EXPOSE_EVERY: usize = 5;

/// What `GET /stats` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stats {
    /// Tells this run of the proxy from every other: its counts began at 0.
    pub instance: String,
    /// How long the counts below reach back. With `?window=MILLISECONDS` at most the window, less
    /// when the proxy is younger.
    pub covers_ms: u64,
    /// With `?since=MILLISECONDS`: up to when was counted, for the next question to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// With `?since=MILLISECONDS`: that was before this run of the proxy, and what was counted since then is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// With `?minutes=COUNT`: what each replica that is in the table counted in each of the last so many whole minutes, the
    /// newest last, by the hash of its revision; one that was not there all the time has fewer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<Arc<str>, Vec<Vec<Totals>>>,
    /// Upper bounds of the buckets of [`Totals`], in microseconds.
    pub bounds_us: Vec<u64>,
    /// The counts, by the hash of the revision.
    pub revisions: BTreeMap<Arc<str>, RevisionStats>,
    /// Requests that came while there was no revision to ask, all answered with 503.
    pub unrouted: u64,
}

/// The counts of one revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RevisionStats {
    /// Which one.
    pub revision: Revision,
    /// Its counts.
    #[serde(flatten)]
    pub totals: Totals,
}

impl Stats {
    pub(crate) fn new(
        instance: &str,
        covers: std::time::Duration,
        by_hash: BTreeMap<Arc<str>, Totals>,
        counts: &Counts,
    ) -> Self {
        let revisions = counts.all().into_iter().filter_map(|(hash, counters)| {
            let revision = counters.revision.clone()?;
            let totals = by_hash.get(&hash)?.clone();
            Some((hash, RevisionStats { revision, totals }))
        });
        Self {
            instance: instance.to_owned(),
            covers_ms: u64::try_from(covers.as_millis()).unwrap_or(u64::MAX),
            until_ms: None,
            lost: false,
            replicas: BTreeMap::new(),
            bounds_us: BOUNDS_US.to_vec(),
            revisions: revisions.collect(),
            unrouted: counts.unrouted.totals().requests,
        }
    }
}

/// The text format of Prometheus, version 0.0.4.
pub(crate) fn exposition(counts: &Counts, in_flight: &BTreeMap<String, u64>) -> String {
    let all = counts.all();
    let mut out = String::with_capacity(4096);
    let none = (Arc::from(""), Arc::clone(&counts.unrouted));
    section(
        &mut out,
        "lifecycle_requests_total",
        "counter",
        "Requests that have ended, by revision and status code.",
    );
    for (hash, counters) in all.iter().chain([&none]) {
        for (code, n) in counters.codes() {
            line(&mut out, "lifecycle_requests_total", hash, counters, &format!(",code=\"{code}\""), n);
        }
    }
    section(
        &mut out,
        "lifecycle_requests_failed_total",
        "counter",
        "Of these, failed ones: 5xx, or cut off by the replica.",
    );
    for (hash, counters) in &all {
        line(&mut out, "lifecycle_requests_failed_total", hash, counters, "", counters.totals().failed);
    }
    section(
        &mut out,
        "lifecycle_replica_unreachable_total",
        "counter",
        "Attempts at a replica that could not be reached.",
    );
    for (hash, counters) in &all {
        line(
            &mut out,
            "lifecycle_replica_unreachable_total",
            hash,
            counters,
            "",
            counters.retried.load(Ordering::Relaxed),
        );
    }
    section(
        &mut out,
        "lifecycle_request_duration_seconds",
        "histogram",
        "From the head of the request to the end of the response.",
    );
    for (hash, counters) in &all {
        histogram(&mut out, hash, counters);
    }
    section(&mut out, "lifecycle_requests_in_flight", "gauge", "Requests under way, by replica.");
    for (id, n) in in_flight {
        let _ = writeln!(out, "lifecycle_requests_in_flight{{replica=\"{id}\"}} {n}");
    }
    out
}

fn section(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, hash: &str, counters: &Counters, more: &str, value: u64) {
    // neither a hash nor a semantic version can hold a quote, a backslash or a line end
    let version = counters.revision.as_ref().map(|revision| revision.version.to_string()).unwrap_or_default();
    let _ = writeln!(out, "{name}{{revision=\"{hash}\",version=\"{version}\"{more}}} {value}");
}

fn histogram(out: &mut String, hash: &str, counters: &Counters) {
    let totals = counters.totals();
    let name = "lifecycle_request_duration_seconds";
    let mut upto = 0;
    for (i, n) in totals.buckets.iter().enumerate() {
        upto += n;
        let Some(bound) = BOUNDS_US.get(i) else { continue };
        if i % EXPOSE_EVERY == 0 {
            let bound = format!(",le=\"{}.{:06}\"", bound / 1_000_000, bound % 1_000_000);
            line(out, &format!("{name}_bucket"), hash, counters, &bound, upto);
        }
    }
    // The sum of the buckets, not the count of requests: both lines must agree in one scrape.
    line(out, &format!("{name}_bucket"), hash, counters, ",le=\"+Inf\"", upto);
    let version = counters.revision.as_ref().map(|revision| revision.version.to_string()).unwrap_or_default();
    let seconds = std::time::Duration::from_micros(totals.sum_us).as_secs_f64();
    let _ = writeln!(out, "{name}_sum{{revision=\"{hash}\",version=\"{version}\"}} {seconds}");
    line(out, &format!("{name}_count"), hash, counters, "", upto);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::*;

    #[test]
    fn the_exposition_is_what_prometheus_reads() {
        let counts = Counts::new();
        let revision = Revision::new(RevisionNumber(1), "abc", parse_version("1.5.0").unwrap());
        counts.of(&revision).record(200, false, Duration::from_millis(3));
        counts.of(&revision).record(500, true, Duration::from_secs(300));
        let text = exposition(&counts, &BTreeMap::from([("r-1".to_owned(), 4)]));
        for expected in [
            "lifecycle_requests_total{revision=\"abc\",version=\"1.5.0\",code=\"200\"} 1\n",
            "lifecycle_requests_failed_total{revision=\"abc\",version=\"1.5.0\"} 1\n",
            "lifecycle_request_duration_seconds_bucket{revision=\"abc\",version=\"1.5.0\",le=\"0.000100\"} 0\n",
            "lifecycle_request_duration_seconds_bucket{revision=\"abc\",version=\"1.5.0\",le=\"+Inf\"} 2\n",
            "lifecycle_request_duration_seconds_sum{revision=\"abc\",version=\"1.5.0\"} 300.003\n",
            "lifecycle_request_duration_seconds_count{revision=\"abc\",version=\"1.5.0\"} 2\n",
            "lifecycle_requests_in_flight{replica=\"r-1\"} 4\n",
        ] {
            assert!(text.contains(expected), "{expected}{text}");
        }
        assert!(text.lines().all(|line| line.starts_with("# ")
            || line.rsplit_once(' ').is_some_and(|(_, v)| v.parse::<f64>().is_ok())));
    }
}
