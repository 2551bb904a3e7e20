//! How it went for the manifest of this `run`, which need not be the last rollout there was.

use std::sync::Arc;

use lifecycle_core::driver::Target;
use lifecycle_core::machine::State;
use lifecycle_core::report::OutcomeLine;
use lifecycle_core::version::Version;

use super::accept::Accepted;
use crate::exit::Exit;

/// What the newest manifest asks for, and what was seen of it in this `run`.
#[derive(Debug)]
pub(super) struct Asked {
    target: Target,
    version: Version,
    /// Identity of the revision that was rolled out last in this run.
    tried: Option<Arc<str>>,
    /// Was anything asked of the backends?
    acted: bool,
}

impl Asked {
    /// By this manifest.
    pub(super) fn by(accepted: &Accepted) -> Self {
        let version = accepted.manifest.spec.version().clone();
        Self { target: accepted.target.clone(), version, tried: None, acted: false }
    }

    /// By this newer manifest.
    pub(super) fn edit(&mut self, accepted: &Accepted) {
        self.target = accepted.target.clone();
        self.version = accepted.manifest.spec.version().clone();
    }

    /// What the driver was given.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Sees what a tick did.
    pub(super) fn see(&mut self, state: &State, acted: bool) {
        self.acted |= acted;
        if let Some(canary) = state.canary.and_then(|number| state.revision(number)) {
            self.tried = Some(Arc::clone(&canary.hash));
        }
    }

    /// Has the machine taken note of it?
    pub(super) fn is_known_to(&self, state: &State) -> bool {
        state.acted_on.as_ref() == Some(&self.target.desired.hash)
    }

    /// How it went, and the exit status that says so.
    pub(super) fn verdict(&self, state: &State) -> (OutcomeLine, Exit) {
        let Self { version, .. } = self;
        let mut line = OutcomeLine::of(state);
        if state.is_active() || state.next.is_some() {
            if is_waiting_at_rest(state) {
                line.reason = format!("{}; {version} waits, `lifecycle resume` starts it", line.reason);
            }
            return (line, Exit::Failed);
        }
        let hash = &self.target.desired.hash;
        let serves = state.stable.and_then(|number| state.revision(number));
        let tried = self.tried.as_ref() == Some(hash);
        if serves.is_some_and(|revision| revision.hash == *hash) {
            if !tried || line.outcome != "promoted" {
                line.reason = match (&self.tried, self.acted) {
                    (Some(_), _) => format!("{version} serves, as asked: {}", line.reason),
                    (None, true) => format!("{version} serves already; only its replicas were changed"),
                    (None, false) => format!("{version} serves already: nothing to do"),
                };
                line.outcome = "promoted";
            }
            return (line, Exit::Done);
        }
        if self.is_known_to(state) && !tried {
            let what = match line.outcome {
                "aborted" => "was aborted",
                "failed" => "failed",
                _ => "was rolled back",
            };
            line.reason = format!(
                "{version} {what} before ({}); `lifecycle retry` tries it again, or change the manifest",
                line.reason
            );
            if line.outcome == "promoted" {
                // to the revision that a rollback by command went to
                line.outcome = "rolledBack";
            }
        }
        (line, Exit::Failed)
    }
}

/// Does the newest spec wait for a person before anything of it was started?
pub(super) fn is_waiting_at_rest(state: &State) -> bool {
    !state.is_active() && state.next.is_some() && state.paused.is_some()
}

#[cfg(test)]
mod tests {
    use lifecycle_core::machine::{Ended, Next, Outcome, PauseCause};

    use super::super::accept;
    use super::*;

    fn asked(version: &str) -> Asked {
        let text = format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, \
             spec: {{version: {version}, template: {{command: [sh]}}}}}}"
        );
        Asked::by(&accept::accept(&text).unwrap())
    }

    /// 1.4.0 serves; `asked` was acted on, and the last rollout ended like this.
    fn at_rest(asked: &Asked, stable: &Asked, outcome: Option<(Outcome, &str)>) -> State {
        let mut state = State::serving(Version::new(1, 4, 0), Arc::clone(&stable.target.desired.hash), 1);
        state.acted_on = Some(Arc::clone(&asked.target.desired.hash));
        // No constructor: read as a saved one is.
        state.last = outcome.map(|(outcome, reason)| {
            let ended = serde_json::json!({"outcome": outcome, "reason": reason});
            serde_json::from_value::<Ended>(ended).unwrap()
        });
        state
    }

    #[track_caller]
    fn assert_verdict(asked: &Asked, state: &State, outcome: &str, says: &str, exit: Exit) {
        let (line, status) = asked.verdict(state);
        assert_eq!((line.outcome, line.reason.as_str(), status), (outcome, says, exit));
    }

    #[test]
    fn a_version_that_was_rolled_back_before_is_not_said_to_be_rolled_back_now() {
        let (old, new) = (asked("1.4.0"), asked("1.5.0"));
        for (outcome, word, says) in [
            (
                Outcome::RolledBack,
                "rolledBack",
                "1.5.0 was rolled back before (7% failed); `lifecycle retry` tries it again, or change the manifest",
            ),
            (
                Outcome::Aborted,
                "aborted",
                "1.5.0 was aborted before (7% failed); `lifecycle retry` tries it again, or change the manifest",
            ),
            (
                Outcome::Promoted,
                "rolledBack",
                "1.5.0 was rolled back before (7% failed); `lifecycle retry` tries it again, or change the manifest",
            ),
        ] {
            let state = at_rest(&new, &old, Some((outcome, "7% failed")));
            assert_verdict(&new, &state, word, says, Exit::Failed);
        }
    }

    #[test]
    fn what_serves_already_is_done_also_after_a_rollback() {
        let old = asked("1.4.0");
        for last in [None, Some((Outcome::Promoted, "gates")), Some((Outcome::RolledBack, "7% failed"))] {
            let state = at_rest(&old, &old, last);
            assert_verdict(&old, &state, "promoted", "1.4.0 serves already: nothing to do", Exit::Done);
        }
        let mut scaled = asked("1.4.0");
        let state = at_rest(&old, &old, None);
        scaled.see(&state, true);
        let says = "1.4.0 serves already; only its replicas were changed";
        assert_verdict(&scaled, &state, "promoted", says, Exit::Done);
    }

    #[test]
    fn a_rollout_of_this_run_ends_as_the_machine_says() {
        let (old, mut new) = (asked("1.4.0"), asked("1.5.0"));
        new.tried = Some(Arc::clone(&new.target.desired.hash));
        let state = at_rest(&new, &old, Some((Outcome::RolledBack, "7% failed")));
        assert_verdict(&new, &state, "rolledBack", "7% failed", Exit::Failed);
        new.tried = None;
        let mut promoted = asked("1.4.0");
        promoted.tried = Some(Arc::clone(&old.target.desired.hash));
        let state = at_rest(&old, &old, Some((Outcome::Promoted, "every gate of 1.4.0 passed")));
        assert_verdict(&promoted, &state, "promoted", "every gate of 1.4.0 passed", Exit::Done);
    }

    #[test]
    fn going_back_to_what_is_asked_for_now_is_done() {
        let mut old = asked("1.4.0");
        old.tried = Some("another".into());
        let state = at_rest(&old, &old, Some((Outcome::RolledBack, "stable again")));
        assert_verdict(&old, &state, "promoted", "1.4.0 serves, as asked: stable again", Exit::Done);
    }

    #[test]
    fn a_version_that_waits_at_rest_is_not_done() {
        let (old, new) = (asked("1.4.0"), asked("1.5.0"));
        let mut state = at_rest(&old, &old, Some((Outcome::Promoted, "every gate of 1.4.0 passed")));
        (state.paused, state.next) = (Some(PauseCause::Command), Some(Next::Spec));
        let says = "the command pause was given; 1.5.0 waits, `lifecycle resume` starts it";
        assert_verdict(&new, &state, "paused", says, Exit::Failed);
    }
}
