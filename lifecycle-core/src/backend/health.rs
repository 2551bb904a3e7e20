//! Measurements for analysis.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::BackendResult;
use crate::stats::Counts;
use crate::time::Millis;
use crate::version::Revision;

/// Answers questions about the health of a revision.
///
/// # Contract
/// - One answer per query, in the order of the queries.
/// - An answer covers the trailing `window` and nothing older: counts are the increase of true
///   counters over it, corrected for resets. A window that the source only knows in part is
///   answered for the part it knows.
/// - No traffic is [`Reading::Counts`] with zero requests; no series at all is
///   [`Reading::NoData`]. Neither is ever dressed up as a value of 0.
/// - A source that is down answers `Err` for each query; it never makes an answer up.
/// - Queries of one call that ask for the increase of the same signal since the same [`Mark`] are
///   answered up to the same one, whatever the revision: both arms are counted over the same time.
///   What was counted since a mark is counted once: the increases of consecutive answers add up to
///   the increase over all of them. Where that cannot be said (a counter was reset, the source was
///   away), the answer is [`Increase`] without a count, and the next one begins at its end.
/// - A kind of answer that [`capabilities`](Self::capabilities) does not name is
///   [`ErrorKind::Unsupported`](super::ErrorKind::Unsupported).
#[async_trait]
pub trait HealthSource: Send + Sync + Debug {
    /// Measures all of these at once.
    async fn measure(&self, queries: &[HealthQuery]) -> Vec<BackendResult<Reading>>;

    /// What this source can answer beside trailing windows. Default: nothing.
    fn capabilities(&self) -> HealthCapabilities {
        HealthCapabilities::default()
    }

    /// Does this source know the named query? Asked when a plan is accepted.
    fn knows(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Can this source answer such a question at all? Asked when a plan is accepted: a check that it
    /// cannot measure is refused before anything moves. Unless a source says otherwise, it measures
    /// requests, latency, critical alerts, and the queries that it [`knows`](Self::knows).
    fn measures(&self, signal: &Signal) -> bool {
        match signal {
            Signal::Requests | Signal::Latency | Signal::CriticalAlerts => true,
            Signal::Saturation | Signal::Restarts => false,
            Signal::Named(name) => self.knows(name),
        }
    }

    /// What is missing where this source does not measure that, and what would do: the end of the sentence that refuses a
    /// check. Default: nothing but that it does not.
    fn lack(&self, signal: &Signal) -> Option<String> {
        let _ = signal;
        None
    }
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Requests and failed requests: [`Reading::Counts`].
    Requests,
    /// The distribution of request durations: [`Reading::Histogram`].
    Latency,
    /// Critical alerts that fire for this revision: [`Reading::Scalar`], their number.
    CriticalAlerts,
    /// The share of what the revision's replicas may use that they do use, 1 is all of it:
    /// [`Reading::Scalar`].
    Saturation,
    /// How often containers of the revision were started again in the window: [`Reading::Scalar`], a
    /// whole number.
    Restarts,
    /// A query that the user defined: [`Reading::Scalar`].
    Named(Arc<str>),
}

/// What a source can answer beside trailing windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HealthCapabilities {
    /// What requests and latencies have grown by since an earlier answer: [`Span::Since`].
    pub increases: bool,
    /// Requests and latencies by replica: [`Span::Replicas`].
    pub replicas: bool,
}

impl HealthCapabilities {
    /// With increases since an earlier answer.
    #[must_use]
    pub const fn increases(mut self) -> Self {
        self.increases = true;
        self
    }

    /// With counts by replica.
    #[must_use]
    pub const fn replicas(mut self) -> Self {
        self.replicas = true;
        self
    }
}

/// As it is called in sentences for people.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests => f.write_str("requests"),
            Self::Latency => f.write_str("latency"),
            Self::CriticalAlerts => f.write_str("critical alerts"),
            Self::Saturation => f.write_str("saturation"),
            Self::Restarts => f.write_str("restarts"),
            Self::Named(name) => write!(f, "the query {name}"),
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HealthQuery {
    /// What is measured.
    pub signal: Signal,
    /// Of which revision.
    pub revision: Revision,
    /// Over which span of time.
    pub span: Span,
}

/// The time that an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Span {
    /// The trailing window of this length.
    Window(Millis),
    /// Since an earlier answer ended: [`Reading::Increase`]. `None` is no earlier answer: only the
    /// mark from which the next one counts is wanted.
    Since(Option<Mark>),
    /// The trailing `bins` of this `width`, each replica by itself: [`Reading::Replicas`].
    Replicas {
        /// How long a bin is.
        width: Millis,
        /// How many of them; where fewer are known, those.
        bins: u32,
    },
}

/// A moment on the clock of a source, in milliseconds. Only the source that gave it knows what it is; of two of one
/// source the later one is the greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct Mark(pub i64);

impl HealthQuery {
    /// This signal of this revision over this trailing window.
    #[must_use]
    pub const fn new(signal: Signal, revision: Revision, window: Millis) -> Self {
        Self { signal, revision, span: Span::Window(window) }
    }

    /// This signal of this revision over this span.
    #[must_use]
    pub const fn over(signal: Signal, revision: Revision, span: Span) -> Self {
        Self { signal, revision, span }
    }

    /// The trailing window; `None` when something else is asked for.
    #[must_use]
    pub const fn window(&self) -> Option<Millis> {
        match self.span {
            Span::Window(window) => Some(window),
            Span::Since(_) | Span::Replicas { .. } => None,
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// There is no such series: neither good nor bad.
    NoData,
    /// Requests in the window, and how many of them failed.
    Counts {
        /// All requests.
        requests: u64,
        /// Of these, failed ones.
        failed: u64,
    },
    /// Durations of the requests in the window.
    Histogram(Histogram),
    /// A number; NaN and infinities are allowed here and become a state of their own in the judge.
    Scalar(f64),
    /// What was counted since a mark.
    Increase(Increase),
    /// By replica, the oldest bin first; replicas are in no particular order, and bins of different
    /// replicas are of the same time.
    Replicas(Vec<Vec<Counted>>),
}

/// What was counted between two marks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Increase {
    /// Up to when; the next answer counts from here.
    pub until: Mark,
    /// What was counted; `None` when that cannot be said.
    pub counted: Option<Counted>,
}

impl Increase {
    /// So much up to this mark.
    #[must_use]
    pub const fn new(until: Mark, counted: Option<Counted>) -> Self {
        Self { until, counted }
    }
}

/// Something that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// Requests, and failed ones among them.
    Requests(Counts),
    /// Durations of requests.
    Durations(Histogram),
}

/// Counts of durations by bucket, not cumulative.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    /// Upper bounds of the finite buckets in microseconds, rising.
    pub bounds_us: Arc<[u64]>,
    /// Requests per bucket: one more than there are bounds, the last holds what is slower than
    /// every bound.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// A histogram with these bounds and counts.
    #[must_use]
    pub const fn new(bounds_us: Arc<[u64]>, counts: Vec<u64>) -> Self {
        Self { bounds_us, counts }
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        Self::sum(&self.counts)
    }

    /// The requests in these buckets.
    pub(crate) fn sum(counts: &[u64]) -> u64 {
        counts.iter().try_fold(0, |sum: u64, count| sum.checked_add(*count)).unwrap_or(u64::MAX)
    }

    /// The quantile `per_mille / 1000` in microseconds, linear within its bucket (the rule of
    /// Prometheus' `histogram_quantile`; what is slower than every bound counts as the last bound).
    /// `None` when there are no requests.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u32) -> Option<u64> {
        let total = self.total();
        if total == 0 || self.counts.len() != self.bounds_us.len() + 1 {
            return None;
        }
        // rank in thousandths of a request keeps this in integers; whole requests find the bucket
        let rank = u128::from(total) * u128::from(per_mille);
        let whole = u64::try_from(rank.div_ceil(1000)).unwrap_or(u64::MAX);
        let mut below: u64 = 0;
        for (i, &count) in self.counts.iter().enumerate() {
            let upto = below.saturating_add(count);
            if upto >= whole && count > 0 {
                let Some(&upper) = self.bounds_us.get(i) else { break };
                let lower = if i == 0 { 0 } else { self.bounds_us[i - 1] };
                let width = u128::from(upper.saturating_sub(lower));
                let (part, all) = (rank - u128::from(below) * 1000, u128::from(count) * 1000);
                let inside = match width.checked_mul(part) {
                    Some(product) => product / all,
                    // buckets of centuries with more requests than there are: only what makes no sense
                    None => (width as f64 * (part as f64 / all as f64)) as u128,
                };
                return Some(lower.saturating_add(u64::try_from(inside).unwrap_or(0)));
            }
            below = upto;
        }
        self.bounds_us.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_linear_within_its_bucket() {
        let h = Histogram::new(vec![100, 200, 400].into(), vec![50, 40, 10, 0]);
        assert_eq!(h.quantile_us(500), Some(100));
        assert_eq!(h.quantile_us(950), Some(300));
        assert_eq!(h.quantile_us(1000), Some(400));
    }

    #[test]
    fn slower_than_every_bound_counts_as_the_last_bound() {
        assert_eq!(Histogram::new(vec![100, 200].into(), vec![1, 0, 9]).quantile_us(950), Some(200));
    }

    #[test]
    fn a_quantile_of_absurd_counts_is_still_within_its_bucket() {
        let h = Histogram::new(vec![1000, u64::MAX].into(), vec![0, u64::MAX, 0]);
        let seen = h.quantile_us(950).unwrap();
        assert!(seen.abs_diff(u64::MAX / 20 * 19) < 1 << 20, "{seen}");
    }

    #[test]
    fn no_requests_have_no_quantile() {
        assert_eq!(Histogram::new(vec![100].into(), vec![0, 0]).quantile_us(950), None);
    }
}
