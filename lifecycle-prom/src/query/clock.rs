//! The clock of Prometheus.
//!
//! All questions of a look are about one moment, and that is a moment on the clock of Prometheus, because the samples that are
//! counted have its times. A moment on the clock of whoever asks would lie in Prometheus' future or past by as much as the two
//! clocks differ, and what is stored between an answer and its mark would be counted twice or never. So Prometheus is asked for
//! its time first ([`CLOCK`]), and every question says at which moment it is to be answered. How late it is to whoever asks does
//! not matter at all.
//!
//! A scrape is stored when it has ended, under the time at which it began. So the moment is a little earlier than now
//! ([`Clock::settled`]), when everything that was scraped before has arrived. What arrives later still is noticed: see
//! [`Ends`](super::Ends).

use lifecycle_core::backend::Mark;
use lifecycle_core::time::Millis;

use crate::answer::{Answer, AnswerError};

/// What to ask for the time.
pub const CLOCK: &str = "time()";

/// Marks are multiples of this, so that looks at about the same time share them and can share a question.
const GRAIN_MS: i64 = 1000;

/// The longest time that is counted over, in one answer. What is longer begins anew: Prometheus would read all of its
/// samples.
const LONGEST: Millis = Millis::from_secs(3600);

/// What time it is to Prometheus, and after how long what was scraped has arrived there.
///
/// # Example
/// ```
/// # use lifecycle_core::{backend::Mark, time::Millis};
/// # use lifecycle_prom::{answer::Answer, query::Clock};
/// let clock = Clock::read(&Answer::Scalar(1_700_000_000.25), Millis::from_secs(1))?;
/// assert_eq!(clock.now(), Mark(1_700_000_000_250));
/// # Ok::<(), lifecycle_prom::answer::AnswerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    now: Mark,
    settle: Millis,
}

impl Clock {
    /// It is now so late to Prometheus, and what it has scraped is there after `settle`.
    #[must_use]
    pub const fn new(now: Mark, settle: Millis) -> Self {
        Self { now, settle }
    }

    /// Of what Prometheus has answered to [`CLOCK`].
    ///
    /// # Errors
    /// When that is no time.
    pub fn read(answer: &Answer, settle: Millis) -> Result<Self, AnswerError> {
        let seconds = answer.number()?;
        // milliseconds that a double holds exactly
        if !(0.0..=9e12).contains(&seconds) {
            return Err(AnswerError::NotATime(seconds.to_string()));
        }
        Ok(Self::new(Mark((seconds * 1000.0).round() as i64), settle))
    }

    /// The time of Prometheus.
    #[must_use]
    pub const fn now(&self) -> Mark {
        self.now
    }

    /// Up to when everything has arrived.
    #[must_use]
    pub const fn settled(&self) -> Mark {
        let settled = self.now.0.saturating_sub_unsigned(self.settle.get());
        Mark(settled - settled.rem_euclid(GRAIN_MS))
    }

    /// From when to when can be counted now since this mark? From `None` where nothing can: it begins anew.
    pub(super) fn since(&self, mark: Option<Mark>) -> Result<(Option<Mark>, Mark), AnswerError> {
        let Some(mark) = mark else { return Ok((None, self.settled())) };
        if mark > self.now {
            return Err(AnswerError::Clock { ahead: mark, now: self.now });
        }
        // it may be later where the time to settle was changed
        let until = self.settled().max(mark);
        let longest = i64::try_from(LONGEST.get()).unwrap_or(i64::MAX);
        Ok(((until.0.saturating_sub(mark.0) <= longest).then_some(mark), until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_whole_seconds_that_have_settled_and_never_go_back() {
        let clock = Clock::new(Mark(1_000_700), Millis(1000));
        for (since, stretch) in [
            (None, (None, 999_000)),
            (Some(990_000), (Some(990_000), 999_000)),
            (Some(999_000), (Some(999_000), 999_000)),
            (Some(1_000_700), (Some(1_000_700), 1_000_700)),
            (Some(999_000 - 3_600_000), (Some(-2_601_000), 999_000)),
            (Some(999_000 - 3_600_001), (None, 999_000)),
            (Some(i64::MIN), (None, 999_000)),
        ] {
            let expected = (stretch.0.map(Mark), Mark(stretch.1));
            assert_eq!(clock.since(since.map(Mark)), Ok(expected), "{since:?}");
        }
    }

    #[test]
    fn a_clock_that_went_back_is_an_error() {
        let error = Clock::new(Mark(1_000_700), Millis(1000)).since(Some(Mark(1_060_700))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the clock of Prometheus is 60000 ms behind the mark of an earlier answer: it went back, or another Prometheus answers"
        );
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for answer in [Answer::Scalar(f64::NAN), Answer::Scalar(-1.0), Answer::Scalar(1e300), Answer::Text] {
            assert!(Clock::read(&answer, Millis::ZERO).is_err(), "{answer:?}");
        }
    }
}
