//! The sequential judge: looks as often as one likes, and says how often it is wrong.
//!
//! A check that it can answer ([`Question`]) is a test of counts since the look before: of both arms over the same time
//! (GRID-S, [`crate::stats::GridTest`]), or of the canary alone against a number
//! ([`crate::stats::ObjectiveTest`]). It fails at the first look with evidence enough; until then it passes at the end of
//! the step. Of the rollout's alpha each check has an equal share in each step with a gate.

mod bounds;
mod judge;
mod question;
mod rules;
mod say;
mod state;
mod temper;
#[cfg(test)]
mod tests;

pub(crate) use judge::SequentialJudge;
pub(crate) use question::Question;
pub use rules::{EarlyPassRule, Sequential, Tempering};
pub(crate) use say::say;
pub use state::SequentialState;
pub use temper::Temper;
pub(crate) use temper::{BIN, BINS};
