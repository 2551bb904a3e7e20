//! What the machine decided, and why. Logs, Kubernetes Events, metrics, the audit log and the
//! timeline are all rendered from these values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::CommandKind;
use crate::plan::Weight;
use crate::time::{Millis, Timestamp};
use crate::version::Revision;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Of which epoch of the rollout target.
    pub epoch: u32,
    /// What.
    pub kind: EventKind,
}

/// Why a rollout goes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "reason", content = "detail")]
#[non_exhaustive]
pub enum BackReason {
    /// A check failed; the sentence names the numbers.
    CheckFailed(Arc<str>),
    /// A new replica failed its readiness verdict too often.
    ReadinessFailed {
        /// How often.
        attempts: u32,
        /// What was the matter with replicas then, as the workload's backend told it.
        trouble: Option<Arc<str>>,
    },
    /// No progress for too long.
    ProgressDeadlineExceeded {
        /// How long.
        waited: Millis,
        /// What was the matter with replicas then, as the workload's backend told it.
        trouble: Option<Arc<str>>,
    },
    /// A hook failed; the sentence says which and how.
    HookFailed(Arc<str>),
    /// The command `abort`.
    AbortCommand,
    /// The command `rollback`.
    RollbackCommand,
    /// The spec asks for stable's own revision again.
    StableRequested,
    /// A newer revision is asked for.
    Superseded(Arc<str>),
}

impl BackReason {
    /// One word, as a Kubernetes Event's reason.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CheckFailed(_) => "CheckFailed",
            Self::ReadinessFailed { .. } => "ReadinessFailed",
            Self::ProgressDeadlineExceeded { .. } => "ProgressDeadlineExceeded",
            Self::HookFailed(_) => "HookFailed",
            Self::AbortCommand => "AbortCommand",
            Self::RollbackCommand => "RollbackCommand",
            Self::StableRequested => "StableRequested",
            Self::Superseded(_) => "Superseded",
        }
    }

    /// Did the rollout fail by itself? (Nobody asked for the way back.)
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::CheckFailed(_)
                | Self::ReadinessFailed { .. }
                | Self::ProgressDeadlineExceeded { .. }
                | Self::HookFailed(_)
        )
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::CheckFailed(why) | Self::HookFailed(why) => why.to_string(),
            Self::ReadinessFailed { attempts, trouble } => {
                let failed = format!("a new replica failed its readiness verdict {attempts} times");
                because(failed, trouble.as_deref())
            }
            Self::ProgressDeadlineExceeded { waited, trouble } => {
                because(format!("no progress for {}", waited.coarse()), trouble.as_deref())
            }
            Self::AbortCommand => "the command abort was given".to_owned(),
            Self::RollbackCommand => "the command rollback was given".to_owned(),
            Self::StableRequested => "the spec asks for the stable revision again".to_owned(),
            Self::Superseded(version) => format!("version {version} is asked for now"),
        }
    }
}

/// Why a rollout waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PauseCause {
    /// The command `pause`.
    Command,
    /// `paused: true` in the spec.
    Spec,
    /// No data for too long.
    NoData,
    /// The histogram of a latency has no bound to judge it by.
    NoBound,
    /// Too many inconclusive measurements.
    Inconclusive,
    /// Too many measurement errors in a row.
    MeasurementErrors,
    /// A check still waits for enough requests, long after its bake was over.
    TooFewRequests,
    /// The step needs a person's approval, and everything else of its gate has passed.
    Approval,
}

impl PauseCause {
    /// One word, as a Kubernetes Event's reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "PauseCommand",
            Self::Spec => "SpecPaused",
            Self::NoData => "NoData",
            Self::NoBound => "NoBound",
            Self::Inconclusive => "Inconclusive",
            Self::MeasurementErrors => "MeasurementErrors",
            Self::TooFewRequests => "TooFewRequests",
            Self::Approval => "Approval",
        }
    }

    /// The sentence for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Command => "the command pause was given",
            Self::Spec => "the spec says paused",
            Self::NoData => "there was no data for too long; resume, promote or abort",
            Self::NoBound => {
                "a latency cannot be judged by the bounds of its histogram; resume, promote or abort"
            }
            Self::Inconclusive => "too many measurements were inconclusive; resume, promote or abort",
            Self::MeasurementErrors => "measurements failed too often in a row; resume, promote or abort",
            Self::TooFewRequests => {
                "a check still waits for minRequests; resume, promote, abort, or lower minRequests"
            }
            Self::Approval => "the step waits for approval; promote or abort",
        }
    }

    /// Was this not asked for by a person?
    #[must_use]
    pub const fn is_alarming(self) -> bool {
        !matches!(self, Self::Command | Self::Spec | Self::Approval)
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are named for what they are; each variant says what happened")]
pub enum EventKind {
    /// A rollout begins.
    Started { revision: Revision, from: Option<Revision>, strategy: Arc<str> },
    /// A step begins.
    StepStarted { step: usize, steps: usize, weight: Weight, replicas: u32 },
    /// Replicas are asked for.
    Scaled { revision: Revision, from: u32, to: u32 },
    /// A share of traffic is asked for.
    WeightSet { from: Weight, to: Weight },
    /// The data plane routes by it.
    WeightReached { weight: Weight },
    /// A step's gate passed, by evidence.
    GatePassed { step: usize, steps: usize, evidence: Arc<str> },
    /// A step's gate was passed by a command.
    GateOverruled { step: usize, steps: usize },
    /// A check took a measurement that changed what is known about it.
    Measured { check: Arc<str>, verdict: Arc<str>, message: Arc<str> },
    /// The rollout goes back to stable.
    GoingBack { reason: BackReason, weight: Weight, stable: Option<Revision> },
    /// A newer version is asked for: this one's replicas serve on until the newer ones replace them.
    SetAside { revision: Option<Revision>, newer: Arc<str> },
    /// All traffic is on stable and the canary is gone.
    WentBack { reason: BackReason, stable: Option<Revision> },
    /// The new revision is stable now.
    Promoted { revision: Revision },
    /// An old revision was scaled down.
    Retired { revision: Revision },
    /// An old revision is no longer kept for a fast rollback.
    Released { revision: Revision },
    /// The rollout waits.
    Paused {
        cause: PauseCause,
        /// What exactly, where the cause alone does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Arc<str>>,
    },
    /// It goes on.
    Resumed,
    /// A command was carried out.
    CommandDone { id: Arc<str>, command: CommandKind },
    /// A command was refused.
    CommandRefused { id: Arc<str>, command: CommandKind, why: Arc<str> },
    /// The desired number of replicas changed.
    Resized { from: u32, to: u32 },
    /// A hook is called.
    HookStarted { point: Arc<str>, url: Arc<str> },
    /// A hook ended.
    HookEnded { point: Arc<str>, url: Arc<str>, passed: bool, message: Arc<str> },
    /// People were told.
    Alerted { key: Arc<str>, message: Arc<str> },
    /// A deadline passed on the way back or in promotion; the machine keeps trying.
    Stuck { phase: Arc<str>, waited: Millis },
    /// Replicas do not come up, and the backend says why.
    Trouble { revision: Revision, message: Arc<str> },
}

impl EventKind {
    /// What happened, one word as a Kubernetes Event's.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "RolloutStarted",
            Self::StepStarted { .. } => "StepStarted",
            Self::Scaled { .. } => "Scaled",
            Self::WeightSet { .. } => "WeightSet",
            Self::WeightReached { .. } => "WeightReached",
            Self::GatePassed { .. } => "GatePassed",
            Self::GateOverruled { .. } => "GateOverruled",
            Self::Measured { .. } => "Measured",
            Self::GoingBack { .. } => "GoingBack",
            Self::SetAside { .. } => "SetAside",
            Self::WentBack { .. } => "WentBack",
            Self::Promoted { .. } => "Promoted",
            Self::Retired { .. } => "Retired",
            Self::Released { .. } => "Released",
            Self::Paused { .. } => "Paused",
            Self::Resumed => "Resumed",
            Self::CommandDone { .. } => "CommandDone",
            Self::CommandRefused { .. } => "CommandRefused",
            Self::Resized { .. } => "Resized",
            Self::HookStarted { .. } => "HookStarted",
            Self::HookEnded { .. } => "HookEnded",
            Self::Alerted { .. } => "Alerted",
            Self::Stuck { .. } => "Stuck",
            Self::Trouble { .. } => "Trouble",
        }
    }

    /// Why, one word.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::GoingBack { reason, .. } | Self::WentBack { reason, .. } => reason.name().to_owned(),
            Self::SetAside { .. } => "Superseded".to_owned(),
            Self::Paused { cause, .. } => cause.name().to_owned(),
            Self::CommandDone { command, .. } | Self::CommandRefused { command, .. } => {
                command.to_string().split(' ').next().unwrap_or_default().to_owned()
            }
            Self::Measured { verdict, .. } => verdict.to_string(),
            Self::HookStarted { point, .. } => point.to_string(),
            Self::HookEnded { passed, .. } => if *passed { "Passed" } else { "Failed" }.to_owned(),
            other => other.name().to_owned(),
        }
    }

    /// The sentence for people, with the numbers.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Started { revision, from: Some(from), strategy } => {
                format!("{strategy} rollout from {} to {}", from.version, revision.version)
            }
            Self::Started { revision, from: None, strategy } => {
                format!("first deployment of {} ({strategy})", revision.version)
            }
            Self::StepStarted { step, steps, weight, replicas } => {
                format!("step {step} of {steps}: {weight} on {}", count(*replicas, "replica"))
            }
            Self::Scaled { revision, from, to } => format!("{} from {from} to {to}", revision.version),
            Self::WeightSet { from, to } => format!("weight from {from} to {to}"),
            Self::WeightReached { weight } => format!("{weight} of the traffic goes to the canary"),
            Self::GatePassed { step, steps, evidence } => {
                format!("step {step} of {steps} passed: {evidence}")
            }
            Self::GateOverruled { step, steps } => format!("step {step} of {steps} passed by command"),
            Self::Measured { check, message, .. } => format!("{check}: {message}"),
            Self::GoingBack { reason, stable: None, .. } => {
                format!("{}; there is no version to go back to", reason.message())
            }
            Self::GoingBack { reason, weight, .. } => {
                format!("{}; from {weight} back to stable", reason.message())
            }
            Self::SetAside { revision, newer } => {
                let version = revision.as_ref().map(|r| r.version.to_string()).unwrap_or_default();
                format!("version {newer} is asked for now; {version} serves on until it is replaced")
            }
            Self::WentBack { reason, stable: Some(stable) } => {
                format!("{} serves all traffic again: {}", stable.version, reason.message())
            }
            Self::WentBack { reason, stable: None } => format!("nothing to go back to: {}", reason.message()),
            Self::Promoted { revision } => format!("{} is stable", revision.version),
            Self::Retired { revision } => format!("{} was scaled down", revision.version),
            Self::Released { revision } => format!("{} is no longer kept for rollback", revision.version),
            Self::Paused { why: Some(why), .. } => format!("{why}; resume, promote or abort"),
            Self::Paused { cause, why: None } => cause.message().to_owned(),
            Self::Resumed => "the rollout goes on".to_owned(),
            Self::CommandDone { id, command } => format!("{command} ({id})"),
            Self::CommandRefused { id, command, why } => format!("{command} ({id}) refused: {why}"),
            Self::Resized { from, to } => format!("from {from} to {}", count(*to, "replica")),
            Self::HookStarted { point, url } => format!("{point} hook {url}"),
            Self::HookEnded { point, url, message, .. } => format!("{point} hook {url}: {message}"),
            Self::Alerted { message, .. } => message.to_string(),
            Self::Stuck { phase, waited } => {
                format!("{phase} has made no progress for {}; it goes on trying", waited.coarse())
            }
            Self::Trouble { revision, message } => format!("{}: {message}", revision.version),
        }
    }
}

fn because(what: String, trouble: Option<&str>) -> String {
    match trouble {
        Some(trouble) => format!("{what}: {trouble}"),
        None => what,
    }
}

fn count(n: u32, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
