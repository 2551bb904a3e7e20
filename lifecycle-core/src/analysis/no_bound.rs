//! Histograms by which a latency cannot be judged.

use serde::{Deserialize, Serialize};

use super::check::{Bound, Check};
use super::explain::{number, seconds};
use crate::backend::Histogram;

/// Why a histogram has no bound by which a latency could be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum NoBound {
    /// It has no bounds at all.
    Missing,
    /// Everything of stable is faster than its first bound.
    Begins {
        /// The first bound, in microseconds.
        lowest_us: u64,
    },
    /// The next bound is so far above what the latency is compared with that it says nothing of it.
    Far {
        /// That bound, in microseconds.
        next_us: u64,
    },
    /// It ends before what the latency is compared with.
    Ends {
        /// The first bound, in microseconds.
        lowest_us: u64,
        /// The last one.
        highest_us: u64,
    },
}

impl NoBound {
    /// It ends too early.
    pub(super) fn ends(histogram: &Histogram) -> Self {
        match (histogram.bounds_us.first(), histogram.bounds_us.last()) {
            (Some(&lowest_us), Some(&highest_us)) => Self::Ends { lowest_us, highest_us },
            _ => Self::Missing,
        }
    }

    /// The sentence for people about this check.
    pub(crate) fn say(self, check: &Check) -> String {
        let wanted = match check.bound() {
            Bound::Value(value) => seconds(value),
            Bound::Stable(factor) => format!("{}x stable", number(factor)),
            Bound::Baseline(factor) => format!("{}x baseline", number(factor)),
        };
        let why = match self {
            Self::Missing => "the histogram has no bounds".to_owned(),
            Self::Begins { lowest_us } => {
                let lowest = shown(lowest_us);
                format!("none of stable's requests is slower than {lowest}, the first bound of the histogram")
            }
            Self::Far { next_us } => {
                let next = shown(next_us);
                format!(
                    "the first bound of the histogram that is as high as {wanted} is {next}, which is far above it"
                )
            }
            Self::Ends { lowest_us, highest_us } => {
                let bounds = format!("{} to {}", shown(lowest_us), shown(highest_us));
                format!("no bound of the histogram is as high as {wanted} (its bounds: {bounds})")
            }
        };
        format!("{} cannot be judged: {why}", check.metric_text())
    }
}

fn shown(us: u64) -> String {
    seconds(us as f64 / 1e6)
}
