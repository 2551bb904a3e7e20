//! What the looks said, each as it was taken and all of them at the end.

use std::io::{self, Write};

use lifecycle_core::machine::Look;

use super::{clock, event};

/// What there is to be said at the end, check by check.
#[derive(Debug)]
pub(super) struct Looks(Vec<OfCheck>);

#[derive(Debug)]
struct OfCheck {
    check: String,
    /// How many said what, in the order in which they came.
    said: Vec<(&'static str, u32)>,
    /// What the last one that counted said, and when; or why there was none.
    last: (u64, String),
}

impl Looks {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Is what was measured told look by look?
    pub(super) const fn are_told(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn add(&mut self, at_ms: u64, check: &str, verdict: &'static str, message: &str) {
        let last = (at_ms, message.to_owned());
        let all = match self.0.iter_mut().find(|of| of.check == check) {
            Some(all) => all,
            None => {
                let said = Vec::new();
                self.0.push(OfCheck { check: check.to_owned(), said, last: last.clone() });
                let Some(new) = self.0.last_mut() else { return };
                new
            }
        };
        if verdict != Look::UNCOUNTED {
            match all.said.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, n)) => *n += 1,
                None => all.said.push((verdict, 1)),
            }
        }
        if verdict != Look::UNCOUNTED || all.said.is_empty() {
            all.last = last;
        }
    }

    /// One row a check: how many looks said what, and the last of them.
    pub(super) fn rows(&self) -> Vec<String> {
        self.0.iter().map(OfCheck::row).collect()
    }
}

impl OfCheck {
    fn row(&self) -> String {
        let Self { check, said, last: (at_ms, message) } = self;
        let all: u32 = said.iter().map(|(_, n)| n).sum();
        match said.as_slice() {
            [] => format!("{check}: no look; {message}"),
            [(verdict, 1)] => format!("{check}: one look, {verdict} at {}: {message}", clock(*at_ms)),
            said => {
                let said: Vec<String> = said.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
                format!("{check}: {all} looks, {}; the last at {}: {message}", said.join(", "), clock(*at_ms))
            }
        }
    }
}

/// One look, without its time.
pub(super) fn write(out: &mut impl Write, check: &str, verdict: &str, message: &str) -> io::Result<()> {
    let (name, reason) = if verdict == Look::UNCOUNTED { ("NotMeasured", "") } else { ("Measured", verdict) };
    event::write(out, name, reason, &format!("{check}: {message}"))
}
