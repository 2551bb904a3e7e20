//! The same failure is in the log once a minute, however often it happens.

use std::time::{Duration, Instant};

/// How long one line speaks for those after it.
const SPEAKS_FOR: Duration = Duration::from_secs(60);

/// Failures may take turns; more than so many at once are rare, and are logged more often.
const REMEMBERED: usize = 8;

/// What was logged lately.
#[derive(Debug, Default)]
pub(super) struct Logged(Vec<(String, Instant)>);

impl Logged {
    /// Is it to be logged (again)?
    pub(super) fn is_new(&mut self, line: &str) -> bool {
        self.is_new_at(line, Instant::now())
    }

    fn is_new_at(&mut self, line: &str, now: Instant) -> bool {
        self.0.retain(|(_, at)| now.saturating_duration_since(*at) < SPEAKS_FOR);
        if self.0.iter().any(|(known, _)| known == line) {
            return false;
        }
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((line.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_once_a_minute() {
        let (mut logged, start) = (Logged::default(), Instant::now());
        assert!(logged.is_new_at("gone", start) && logged.is_new_at("refused", start));
        assert!(!logged.is_new_at("gone", start + SPEAKS_FOR / 2), "they take turns");
        assert!(logged.is_new_at("gone", start + SPEAKS_FOR));
    }
}
