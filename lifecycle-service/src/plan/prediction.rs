//! What a healthy rollout of a manifest will take, read off a simulated one.

use std::io;

use lifecycle_core::backend::Splitting;
use lifecycle_core::report::{Line, LineKind, WirePhase};
use lifecycle_core::spec::Manifest;
use serde::Serialize;

use crate::output::Sink;
use crate::simulate;

/// Times since the start, in milliseconds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prediction {
    /// The steps that were reached.
    pub(super) steps: Vec<StepTimes>,
    /// When the new revision has become stable.
    pub(super) promoted_ms: Option<u64>,
    /// How it went when it was not promoted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) otherwise: String,
}

/// When a step is.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepTimes {
    /// Counted from 1.
    pub(super) step: usize,
    /// Its start.
    pub(super) from_ms: u64,
    /// Its end, if it had one.
    pub(super) until_ms: Option<u64>,
}

impl Prediction {
    /// Simulates the default scenario: a stable version before, and a healthy new one.
    pub(super) fn of(manifest: &Manifest, splitting: Splitting) -> anyhow::Result<Self> {
        let mut prediction = Self::default();
        simulate::healthy(manifest, splitting, &mut prediction)?;
        Ok(prediction)
    }

    fn is_new(&self, step: usize) -> bool {
        step > self.steps.last().map_or(0, |last| last.step)
    }

    fn close_step(&mut self, at_ms: u64) {
        if let Some(StepTimes { until_ms: until @ None, .. }) = self.steps.last_mut() {
            *until = Some(at_ms);
        }
    }
}

impl Sink for Prediction {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        match &line.kind {
            LineKind::Status(status)
                if status.phase == WirePhase::Progressing && self.is_new(status.step) =>
            {
                self.close_step(line.at_ms);
                self.steps.push(StepTimes { step: status.step, from_ms: line.at_ms, until_ms: None });
            }
            LineKind::Status(status) if matches!(status.phase, WirePhase::Promoting | WirePhase::Healthy) => {
                self.close_step(line.at_ms);
            }
            LineKind::Event { name: "Promoted", .. } => self.promoted_ms = Some(line.at_ms),
            LineKind::Outcome(outcome) if outcome.outcome != "promoted" => {
                self.otherwise = format!("{}, {}", outcome.outcome, outcome.reason);
            }
            _ => {}
        }
        Ok(())
    }
}
