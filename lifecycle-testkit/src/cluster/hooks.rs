//! Hooks and alerts: nothing is called and nobody is woken up.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::backend::{Alert, EffectKey, HookCall, HookOutcome};
use lifecycle_core::time::{Millis, Timestamp};

/// How a simulated hook goes. The default passes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HookBehaviour {
    /// How long it runs.
    pub takes: Millis,
    /// Does it pass?
    pub passes: bool,
}

impl Default for HookBehaviour {
    fn default() -> Self {
        Self { takes: Millis::ZERO, passes: true }
    }
}

impl HookBehaviour {
    /// Runs this long, then passes or fails.
    #[must_use]
    pub const fn new(takes: Millis, passes: bool) -> Self {
        Self { takes, passes }
    }
}

#[derive(Debug, Default)]
pub(super) struct Hooks {
    by_url: BTreeMap<Arc<str>, HookBehaviour>,
    started: BTreeMap<EffectKey, Timestamp>,
    /// Alerts that were delivered, each once.
    pub(super) alerts: Vec<Alert>,
}

impl Hooks {
    pub(super) fn behave(&mut self, url: Arc<str>, behaviour: HookBehaviour) {
        self.by_url.insert(url, behaviour);
    }

    /// Starts a hook, or says how it went; with the time at which it ends, if it has not.
    pub(super) fn run(&mut self, call: &HookCall, now: Timestamp) -> (HookOutcome, Option<Timestamp>) {
        let behaviour = self.by_url.get(&call.url).copied().unwrap_or_default();
        let started = *self.started.entry(call.key.clone()).or_insert(now);
        let end = started + behaviour.takes.min(call.timeout);
        let outcome = if now < end {
            return (HookOutcome::Pending, Some(end));
        } else if behaviour.takes > call.timeout {
            HookOutcome::Failed(format!("no answer within {}", call.timeout))
        } else if behaviour.passes {
            HookOutcome::Passed
        } else {
            HookOutcome::Failed("the hook said no".to_owned())
        };
        (outcome, None)
    }

    pub(super) fn notify(&mut self, alert: &Alert) {
        if !self.alerts.iter().any(|known| known.key == alert.key) {
            self.alerts.push(alert.clone());
        }
    }
}
