//! Who looks on while a simulation runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::backend::BackendError;
use lifecycle_core::driver::Tick;
use lifecycle_core::machine::{Look, State};
use lifecycle_core::report::{Line, LineKind, Status};
use lifecycle_core::time::Timestamp;

use super::scenario::{Happening, What};

/// Looks on while a simulation runs. Every method does nothing unless it is written.
pub trait Watch {
    /// The driver ticked. `state` is the one after the tick.
    fn ticked(&mut self, at: Timestamp, tick: &Tick, state: &State) {
        let _ = (at, tick, state);
    }

    /// The driver could not tick: its state could not be loaded or saved.
    fn failed(&mut self, at: Timestamp, error: &BackendError) {
        let _ = (at, error);
    }

    /// The driver died, after this many writes since the start. `inside` a tick, or between two.
    fn crashed(&mut self, at: Timestamp, writes: u64, inside: bool) {
        let _ = (at, writes, inside);
    }

    /// Something of the scenario happens.
    fn happened(&mut self, happening: &Happening) {
        let _ = happening;
    }
}

/// Nobody looks on.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "nobody has no fields, and never will")]
pub struct Unwatched;

impl Watch for Unwatched {}

/// Writes the lines of the report.
pub(super) struct Lines<'a> {
    sink: &'a mut dyn FnMut(&Line),
    last: Option<Status>,
    /// What was said last of each check.
    looks: BTreeMap<Arc<str>, Look>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sink: &'a mut dyn FnMut(&Line)) -> Self {
        Self { sink, last: None, looks: BTreeMap::new() }
    }

    fn look(&mut self, at: Timestamp, look: &Look) {
        let before = self.looks.insert(Arc::clone(&look.check), look.clone());
        if !before.is_some_and(|before| look.repeats(&before)) {
            let mut line = Line::look(look);
            line.at_ms = at.as_millis();
            (self.sink)(&line);
        }
    }
}

impl Watch for Lines<'_> {
    fn ticked(&mut self, at: Timestamp, tick: &Tick, _state: &State) {
        // what was measured has led to the decisions; why nothing could be is so because of them
        let (measured, idle): (Vec<&Look>, Vec<&Look>) =
            tick.looks.iter().partition(|look| look.measurement.is_some());
        for look in measured {
            self.look(at, look);
        }
        for event in &tick.events {
            let mut line = Line::event(event);
            // the driver's clock may be wrong; that of the report is not
            line.at_ms = at.as_millis();
            (self.sink)(&line);
        }
        for look in idle {
            self.look(at, look);
        }
        if self.last.as_ref() != Some(&tick.status) {
            (self.sink)(&Line::new(at, LineKind::Status(tick.status.clone())));
            self.last = Some(tick.status.clone());
        }
    }

    fn crashed(&mut self, at: Timestamp, _writes: u64, inside: bool) {
        let message =
            if inside { "the driver died between two effects" } else { "the driver died between two ticks" };
        let (name, reason) = ("FaultInjected", "driver-crash".to_owned());
        (self.sink)(&Line::new(at, LineKind::Event { name, reason, message: message.to_owned() }));
    }

    fn happened(&mut self, happening: &Happening) {
        let (name, reason, message) = match &happening.what {
            What::Fault(fault, span) if span.is_zero() => ("FaultInjected", fault.name(), fault.to_string()),
            What::Fault(fault, span) => ("FaultInjected", fault.name(), format!("{fault} for {span}")),
            What::CriticalAlert(span) => {
                ("FaultInjected", "critical-alert", format!("a critical alert fires for {span}"))
            }
            What::ClockJump(ms) => {
                ("FaultInjected", "clock-jump", format!("the driver's clock jumps by {ms} ms"))
            }
            What::Set(version, profile) => {
                // (rounded: 0.07 * 100 is not quite 7)
                let share = (profile.error_rate * 1e6).round() / 1e4;
                let (p50, p95) = (profile.latency_p50, profile.latency_p95);
                let message =
                    format!("{version} fails {share}% of its requests from now on, p50 {p50}, p95 {p95}");
                ("BehaviourChanged", "set", message)
            }
            What::Update(version) => ("SpecChanged", "update", format!("the spec asks for {version}")),
            // a command is answered, and a crash is told when it happens
            What::Command(_) | What::Crash { .. } => return,
        };
        let kind = LineKind::Event { name, reason: reason.to_owned(), message };
        (self.sink)(&Line::new(happening.at, kind));
    }
}
