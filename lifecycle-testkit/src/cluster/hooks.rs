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
    /// Can it be called at all? If not, every call of it fails.
    pub answers: bool,
}

impl Default for HookBehaviour {
    fn default() -> Self {
        Self::new(Millis::ZERO, true)
    }
}

impl HookBehaviour {
    /// Runs this long, then passes or fails.
    #[must_use]
    pub const fn new(takes: Millis, passes: bool) -> Self {
        Self { takes, passes, answers: true }
    }

    /// Cannot be called.
    #[must_use]
    pub const fn silent() -> Self {
        Self { takes: Millis::ZERO, passes: false, answers: false }
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

    pub(super) fn answers(&self, url: &str) -> bool {
        self.by_url.get(url).is_none_or(|behaviour| behaviour.answers)
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

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::HookPoint;
    use lifecycle_core::version::{Revision, RevisionNumber, Version};

    use super::*;

    fn call(key: &str) -> HookCall {
        let revision = Revision::new(RevisionNumber(1), "hash", Version::new(1, 5, 0));
        HookCall::new(EffectKey(key.into()), HookPoint::Smoke, "http://smoke".into(), Millis(30), revision)
    }

    /// The answers at these times, in milliseconds, to one call that is repeated.
    fn answers(behaviour: HookBehaviour, times: [u64; 3]) -> [HookOutcome; 3] {
        let mut hooks = Hooks::default();
        hooks.behave("http://smoke".into(), behaviour);
        times.map(|ms| hooks.run(&call("1"), Timestamp::from_millis(ms)).0)
    }

    #[test]
    fn a_hook_ends_when_its_time_is_over() {
        use HookOutcome::{Failed, Passed, Pending};
        assert_eq!(answers(HookBehaviour::default(), [5, 6, 7]), [Passed, Passed, Passed]);
        assert_eq!(answers(HookBehaviour::new(Millis(20), true), [5, 24, 25]), [Pending, Pending, Passed]);
        let no = Failed("the hook said no".to_owned());
        assert_eq!(answers(HookBehaviour::new(Millis(20), false), [5, 24, 25]), [Pending, Pending, no]);
        let late = Failed("no answer within 30ms".to_owned());
        assert_eq!(answers(HookBehaviour::new(Millis(90), true), [5, 34, 35]), [Pending, Pending, late]);
    }

    #[test]
    fn another_key_is_another_call() {
        let mut hooks = Hooks::default();
        hooks.behave("http://smoke".into(), HookBehaviour::new(Millis(20), true));
        let at = Timestamp::from_millis;
        assert_eq!(hooks.run(&call("1"), at(0)), (HookOutcome::Pending, Some(at(20))));
        assert_eq!(hooks.run(&call("2"), at(20)), (HookOutcome::Pending, Some(at(40))));
    }
}
