//! What was counted between two marks.
//!
//! Counters are read at both ends, so that what one answer takes as its beginning is what the one before has
//! taken as its end. Written for each series, with r the time between the marks, m the earlier one, and the later one
//! the time of evaluation:
//!
//! | the series at m | at the end | counts |
//! |---|---|---|
//! | there | there | the difference |
//! | there | gone, as its replica is | up to its last scrape |
//! | not yet | there, on a target whose scrape at m had no such series, or whose process began after m | all of it |
//! | not yet | there, since the first scrape of its target after m | what came after that scrape |
//!
//! Everything else cannot be told, and spoils the look for both arms: see [`unknown`].
//!
//! All of that costs Prometheus a dozen passes over the series. Between most looks no replica comes or goes and nothing is
//! reset, and the difference is all there is; so that is asked for first, with what says whether there is more to it ([`plain_requests`],
//! [`changed`]).

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use super::scope::{Scope, arms};
use super::selector::{Selector, at, duration, seconds};
use super::window::{by_outcome, named, scraped};
use crate::answer::{CHANGED, NOW, THEN, UNKNOWN};
use crate::metrics::Metrics;

/// How long before the earlier mark a series that is missing there must not have been seen, or it was lost and not new.
/// As long as Prometheus itself looks back.
pub(super) const MEMORY: Millis = Millis::from_secs(300);

/// How long before the earlier mark the process of a replica may have begun whose first scrape came after it. From start
/// to first scrape it takes a start-up and a scrape interval.
const YOUNG: Millis = Millis::from_secs(60);

/// By how much two times of one process's start may differ: some exporters work it out anew at each scrape.
pub(super) const SAME_START_SECONDS: u32 = 5;

/// The counters that are read, and what tells their fate.
pub(super) struct Counters<'a> {
    /// All that is counted.
    pub(super) series: Selector<'a>,
    /// One series of each that was reset, lost or scraped together.
    whole: Selector<'a>,
    pub(super) up: Selector<'a>,
    pub(super) start: Option<Selector<'a>>,
}

/// Requests since this mark.
pub(super) fn requests(metrics: &Metrics, scope: &Scope, from: Mark, until: Mark) -> String {
    let series = scope.of(metrics, &metrics.requests);
    let counters = Counters::new(metrics, scope, series.clone(), series);
    let counted = by_outcome(metrics, &counters.increase(from, until));
    format!("{counted} or {}", counters.ends(metrics, from, until))
}

/// Buckets of durations since this mark.
pub(super) fn latency(metrics: &Metrics, scope: &Scope, from: Mark, until: Mark) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let series = scope.of(metrics, &bucket);
    let counters = Counters::new(metrics, scope, series.clone(), series.with("le", "+Inf"));
    let counted = counters.increase(from, until);
    format!("sum by ({}, le) ({counted}) or {}", arms(metrics), counters.ends(metrics, from, until))
}

/// Requests since this mark, where nothing but counters has changed.
pub(super) fn plain_requests(metrics: &Metrics, scope: &Scope, from: Mark, until: Mark) -> String {
    let series = scope.of(metrics, &metrics.requests);
    let counters = Counters::new(metrics, scope, series.clone(), series);
    let counted = by_outcome(metrics, &counters.difference(from));
    format!("{counted} or {}", counters.plain_ends(metrics, from, until))
}

/// Buckets of durations since this mark, where nothing but counters has changed.
pub(super) fn plain_latency(metrics: &Metrics, scope: &Scope, from: Mark, until: Mark) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let series = scope.of(metrics, &bucket);
    let counters = Counters::new(metrics, scope, series.clone(), series.with("le", "+Inf"));
    let counted = format!("sum by ({}, le) ({})", arms(metrics), counters.difference(from));
    format!("{counted} or {}", counters.plain_ends(metrics, from, until))
}

/// What requests begin with.
pub(super) fn begin_requests(metrics: &Metrics, scope: &Scope) -> String {
    let whole = scope.of(metrics, &metrics.requests);
    begin(metrics, &whole.to_string(), &whole)
}

/// What buckets of durations begin with.
pub(super) fn begin_latency(metrics: &Metrics, scope: &Scope) -> String {
    let bucket = format!("{}_bucket", metrics.durations);
    let whole = scope.of(metrics, &bucket).with("le", "+Inf");
    begin(metrics, &whole.to_string(), &whole)
}

/// The sum of these counts of series, and when the series were scraped.
pub(super) fn begin(metrics: &Metrics, counts: &str, series: &Selector<'_>) -> String {
    let sum = format!("sum by ({}) ({counts})", arms(metrics));
    format!("{} or {}", named(NOW, &sum), scraped(metrics, series))
}

/// What goes with the counts: the sums at both ends, the age, and what is to be said of how many series.
pub(super) fn ends(
    metrics: &Metrics,
    now: &str,
    series: &Selector<'_>,
    then: &str,
    (which, of): (&str, &str),
) -> String {
    let arms = arms(metrics);
    let then = named(THEN, &format!("sum by ({arms}) ({then})"));
    let of = named(which, &format!("count by ({arms}) ({of})"));
    format!("{} or {then} or {of}", begin(metrics, now, series))
}

impl<'a> Counters<'a> {
    pub(super) fn new(
        metrics: &'a Metrics,
        scope: &Scope,
        series: Selector<'a>,
        whole: Selector<'a>,
    ) -> Self {
        let start = metrics.process_start.as_deref().map(|name| scope.of_targets(metrics, name));
        Self { series, whole, up: scope.of_targets(metrics, "up"), start }
    }

    /// By how much each has grown.
    fn increase(&self, from: Mark, until: Mark) -> String {
        let (x, r, then) = (&self.series, range(from, until), at(from));
        let last = format!("last_over_time({x}[{r}])");
        let known = format!("{last} - {x} {then}");
        let between_scrapes = format!("{x} - {x} {then}");
        let new = format!("{last} and on (job, instance) ({})", self.known_to_be_new(from, until));
        let seen_since = format!("{last} - min_over_time({x}[{r}])");
        format!("({known}) or ({between_scrapes}) or ({new}) or ({seen_since})")
    }

    /// Targets on which a series that was not there at the mark begins at 0: they were scraped without it, or their process
    /// began later.
    pub(super) fn known_to_be_new(&self, from: Mark, until: Mark) -> String {
        let scraped = format!("{} {} == 1", self.up, at(from));
        match &self.start {
            None => scraped,
            Some(start) => {
                let since = seconds(Mark(from.0.saturating_sub_unsigned(YOUNG.get())));
                format!("{scraped} or last_over_time({start}[{}]) >= {since}", range(from, until))
            }
        }
    }

    /// By how much each that was there at both ends has grown.
    fn difference(&self, from: Mark) -> String {
        format!("{x} - {x} {}", at(from), x = self.series)
    }

    fn ends(&self, metrics: &Metrics, from: Mark, until: Mark) -> String {
        let then = format!("{} {}", self.whole, at(from));
        let unknown = unknown(self, from, until);
        ends(metrics, &self.whole.to_string(), &self.whole, &then, (UNKNOWN, &unknown))
    }

    fn plain_ends(&self, metrics: &Metrics, from: Mark, until: Mark) -> String {
        let then = format!("{} {}", self.whole, at(from));
        let changed = changed(self, from, until);
        ends(metrics, &self.whole.to_string(), &self.whole, &then, (CHANGED, &changed))
    }
}

/// The series whose difference is not all that there is to say: they were reset, or their target's process began anew, or they were
/// scraped in between and are gone. Those that are new, or gone without another scrape, are seen by the sums: they do not
/// differ by as much as the series that were there at both ends do.
fn changed(counters: &Counters<'_>, from: Mark, until: Mark) -> String {
    let (x, r, then) = (&counters.whole, range(from, until), at(from));
    let mut any = vec![
        format!("resets({x}[{r}]) > 0"),
        format!("min_over_time({x}[{r}]) < {x} {then}"),
        format!("last_over_time({x}[{r}]) unless {x}"),
    ];
    if let Some(start) = &counters.start {
        let later = format!("last_over_time({start}[{r}]) - {start} {then} > {SAME_START_SECONDS}");
        any.push(format!("{x} {then} and on (job, instance) ({later})"));
    }
    any.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ")
}

/// The series of which cannot be told how much they have grown:
///
/// - they were reset: a value is less than the one before it;
/// - their target's process began anew, though no value is less;
/// - their target's scrape failed at the end: what it has counted since is not known yet;
/// - they were there in the minutes before the earlier mark, not at it, and are there again: the scrape failed there, or
///   what writes them had dropped them;
/// - they are new, their target is not known to be, and they were not there from its first scrape on.
fn unknown(counters: &Counters<'_>, from: Mark, until: Mark) -> String {
    let (x, up, r, then) = (&counters.whole, &counters.up, range(from, until), at(from));
    let last = format!("last_over_time({x}[{r}])");
    let appeared = format!("{last} unless {x} {then}");
    let mut any = vec![
        format!("resets({x}[{r}]) > 0"),
        format!("min_over_time({x}[{r}]) < {x} {then}"),
        format!("({last} or {x} {then}) and on (job, instance) ({up} == 0)"),
        format!("({appeared}) and count_over_time({x}[{}] {then})", duration(MEMORY)),
        format!(
            "({appeared}) unless on (job, instance) ({}) unless count_over_time({x}[{r}]) == \
             on (job, instance) group_left () max by (job, instance) (sum_over_time({up}[{r}]))",
            counters.known_to_be_new(from, until)
        ),
    ];
    if let Some(start) = &counters.start {
        let later = format!("last_over_time({start}[{r}]) - {start} {then} > {SAME_START_SECONDS}");
        any.push(format!("{x} {then} and on (job, instance) ({later})"));
    }
    any.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" or ")
}

/// The time between two marks as a range; there is none of 0.
pub(super) fn range(from: Mark, until: Mark) -> String {
    duration(Millis(u64::try_from(until.0.saturating_sub(from.0)).unwrap_or(0)))
}
