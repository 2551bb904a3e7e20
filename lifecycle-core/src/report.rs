//! What people and programs are shown: the lines that `simulate` and `run` print as JSON, one object
//! a line, and the mappings of the one internal state to the words of other interfaces.

use serde::Serialize;

use crate::machine::{Event, Look, Outcome, Phase, RouteSeen, State, Way};
use crate::plan::Plan;
use crate::time::{Millis, Timestamp};
use crate::version::RevisionNumber;

/// One line of output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Line {
    /// Milliseconds since the start.
    pub at_ms: u64,
    /// What the line says.
    #[serde(flatten)]
    pub kind: LineKind,
}

impl Line {
    /// A line at this time.
    #[must_use]
    pub const fn new(at: Timestamp, kind: LineKind) -> Self {
        Self { at_ms: at.as_millis(), kind }
    }

    /// The line of a look.
    #[must_use]
    pub fn look(look: &Look) -> Self {
        Self::new(
            look.at,
            LineKind::Look {
                check: look.check.to_string(),
                verdict: look.verdict(),
                message: look.message.to_string(),
                counted_ms: look.counted.map(Millis::get),
            },
        )
    }

    /// The line of an event.
    #[must_use]
    pub fn event(event: &Event) -> Self {
        Self::new(
            event.at,
            LineKind::Event {
                name: event.kind.name(),
                reason: event.kind.reason(),
                message: event.kind.message(),
            },
        )
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum LineKind {
    /// Something that people watch changed.
    Status(Status),
    /// The machine decided something.
    Event {
        /// What: one word, `RolloutStarted`.
        name: &'static str,
        /// Why: one word.
        reason: String,
        /// The sentence for people, with the numbers.
        message: String,
    },
    /// What a look said about a check; only where looks are explained.
    #[serde(rename_all = "camelCase")]
    Look {
        /// The check, as it was written.
        check: String,
        /// One word: `Pass`, `Fail`, `Waiting`, `NoData`, `Inconclusive`, `Error`, or `Uncounted`.
        verdict: &'static str,
        /// The sentence for people, with the numbers.
        message: String,
        /// Over how many milliseconds it was counted, `null` where nothing was.
        counted_ms: Option<u64>,
    },
    /// How it ended; the last line.
    Outcome(Box<OutcomeLine>),
}

/// The wire's word for where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum WirePhase {
    /// Nothing is deployed and nothing was started.
    Pending,
    /// The canary takes its steps.
    Progressing,
    /// It waits for a person.
    Paused,
    /// It becomes stable.
    Promoting,
    /// Traffic goes back.
    Aborting,
    /// What is asked for serves.
    Healthy,
    /// Stable serves, but what was asked for last was not promoted.
    Degraded,
}

/// What people watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Status {
    /// Where the rollout is.
    pub phase: WirePhase,
    /// Its step, counted from 1; 0 when none is on its way.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// Percent of the traffic that the data plane sends to the canary.
    pub weight: u32,
    /// The revision that serves.
    pub stable: Option<GroupLine>,
    /// The revision that is rolled out.
    pub canary: Option<GroupLine>,
    /// Older revisions that still have replicas.
    pub retiring: Vec<GroupLine>,
}

/// One replica group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupLine {
    /// Its version.
    pub version: String,
    /// Replicas asked for.
    pub desired: u32,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas that get traffic.
    pub available: u32,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OutcomeLine {
    /// `promoted`, `rolledBack`, `aborted`, `failed`, `paused` or `running`.
    pub outcome: &'static str,
    /// Why, for people.
    pub reason: String,
    /// The version that serves, `null` when none does.
    pub version: Option<String>,
    /// What became of the requests.
    pub requests: Requests,
    /// The lowest number of available replicas over all revisions.
    pub min_available: u32,
    /// The highest number of replicas that were not asked to stop.
    pub max_total: u32,
    /// Properties that were broken: empty.
    pub violations: Vec<String>,
}

impl OutcomeLine {
    /// The end of a rollout in this state, with nothing counted yet.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let (outcome, reason) = outcome(state);
        Self {
            outcome,
            reason,
            version: state.stable.and_then(|number| state.revision(number)).map(|r| r.version.to_string()),
            requests: Requests::default(),
            min_available: 0,
            max_total: 0,
            violations: Vec::new(),
        }
    }
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Requests {
    /// All.
    pub total: u64,
    /// Failed by the version's own error rate.
    pub failed: u64,
    /// Refused because no ready replica took them.
    pub refused: u64,
}

impl Requests {
    /// These counts.
    #[must_use]
    pub const fn new(total: u64, failed: u64, refused: u64) -> Self {
        Self { total, failed, refused }
    }
}

/// The one mapping of a state to the wire's word for how the rollout stands or ended, and why.
#[must_use]
pub fn outcome(state: &State) -> (&'static str, String) {
    if state.is_active() || state.next.is_some() {
        return match state.paused {
            Some(cause) => ("paused", cause.message().to_owned()),
            None => ("running", format!("step {}", state.progress.step + 1)),
        };
    }
    match &state.last {
        Some(ended) => {
            let word = match ended.outcome {
                Outcome::Promoted => "promoted",
                Outcome::RolledBack => "rolledBack",
                Outcome::Aborted => "aborted",
                Outcome::Failed => "failed",
            };
            (word, ended.reason.to_string())
        }
        None => match (state.paused, state.stable.and_then(|number| state.revision(number))) {
            (Some(cause), _) => ("paused", cause.message().to_owned()),
            (None, Some(stable)) => ("promoted", format!("{} serves already", stable.version)),
            (None, None) => ("running", "no rollout was started".to_owned()),
        },
    }
}

impl Status {
    /// What people watch of this state, given the newest known route.
    #[must_use]
    pub fn of(plan: &Plan, state: &State, route: &RouteSeen) -> Self {
        let line = |number: RevisionNumber| {
            let version =
                state.revision(number).map_or_else(|| number.to_string(), |r| r.version.to_string());
            let group = state.group(number);
            GroupLine {
                version,
                desired: group.map_or(0, |g| g.wish),
                ready: group.map_or(0, |g| g.seen.ready),
                available: group.map_or(0, |g| g.seen.available),
            }
        };
        let retiring = state
            .groups
            .iter()
            .filter(|g| Some(g.revision) != state.stable && Some(g.revision) != state.canary)
            .filter(|g| g.wish > 0 || g.seen.created > 0)
            .map(|g| line(g.revision))
            .collect();
        let active = state.is_active();
        Self {
            phase: wire_phase(state),
            step: if active { state.progress.step + 1 } else { usize::from(state.next.is_some()) },
            steps: if state.stable.is_none() { 1 } else { plan.steps().len() },
            weight: weight(state, route),
            stable: state.stable.map(line),
            canary: state.canary.map(line),
            retiring,
        }
    }
}

/// The one mapping of a state to the wire's phases.
#[must_use]
pub fn wire_phase(state: &State) -> WirePhase {
    match state.phase {
        Phase::Progressing if state.paused.is_some() => WirePhase::Paused,
        Phase::Progressing => WirePhase::Progressing,
        Phase::Promoting => WirePhase::Promoting,
        Phase::Aborting => WirePhase::Aborting,
        // between two rollouts, or waiting to start one
        Phase::Healthy | Phase::Degraded if state.next.is_some() => match state.paused {
            Some(_) => WirePhase::Paused,
            None => WirePhase::Progressing,
        },
        Phase::Healthy if state.stable.is_none() => WirePhase::Pending,
        Phase::Healthy => WirePhase::Healthy,
        Phase::Degraded => WirePhase::Degraded,
    }
}

/// What the data plane sends to the canary, in percent: the acknowledged weight, or without a split
/// its share of the ready replicas, rounded.
fn weight(state: &State, route: &RouteSeen) -> u32 {
    let Some(canary) = state.canary else { return 0 };
    let routed = matches!(route, RouteSeen::At(_) | RouteSeen::Unknown);
    if let (true, Some(Way::Split { canary: named, weight, .. })) = (routed, state.route.acknowledged) {
        return if named == Some(canary) { weight.get() } else { 0 };
    }
    state.ready_share(canary)
}
