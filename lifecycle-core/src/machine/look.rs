//! What the looks said, one by one: for whoever follows a rollout and not only its decisions.

use std::sync::Arc;

use crate::analysis::Measurement;
use crate::time::{Millis, Timestamp};

/// What one look said about one check, or why there was none. It decides nothing: what a look has changed is an
/// [`Event`](super::Event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// The check, as it was written.
    pub check: Arc<str>,
    /// What was measured; `None` where the look did not count or none could be taken, as the message says.
    pub measurement: Option<Measurement>,
    /// The sentence for people: what was compared, the numbers, the bound, over which time, and what it takes to decide.
    pub message: Arc<str>,
    /// Over how long a time it was counted, until now; `None` where nothing was counted.
    pub counted: Option<Millis>,
}

impl Look {
    /// The verdict of a look that did not count.
    pub const UNCOUNTED: &str = "Uncounted";

    /// A look at this check that did not count, for this reason.
    #[must_use]
    pub fn new(at: Timestamp, check: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self { at, check: check.into(), measurement: None, message: message.into(), counted: None }
    }

    /// One that has measured this, over so long a time.
    #[must_use]
    pub fn measured(self, measurement: Measurement, counted: Option<Millis>) -> Self {
        Self { measurement: Some(measurement), counted, ..self }
    }

    /// One word: that of the measurement ([`Measurement::name`]), or [`UNCOUNTED`](Self::UNCOUNTED).
    #[must_use]
    pub const fn verdict(&self) -> &'static str {
        match self.measurement {
            Some(measurement) => measurement.name(),
            None => Self::UNCOUNTED,
        }
    }

    /// Does this say the same as the one before it, for a person who has read that? What was measured is news each time.
    #[must_use]
    pub fn repeats(&self, before: &Self) -> bool {
        self.measurement.is_none() && before.measurement.is_none() && self.message == before.message
    }
}
