//! Effects that are not idempotent by themselves: hooks and alerts. Each carries a key, so that the
//! receiver can tell a repetition, and stays in the state until its outcome was observed.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::BackendResult;
use crate::time::Millis;
use crate::version::Revision;

/// Tells one effect from every other, and a repetition from a new one: deployment, epoch (which together
/// name the rollout), step, what it is, and for an alert its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a newtype: its one field is what it is")]
pub struct EffectKey(pub Arc<str>);

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HookPoint {
    /// Before the first replica of the new revision is created.
    PreDeploy,
    /// After the new revision was promoted.
    PostDeploy,
    /// Before all traffic is switched to the new revision.
    PreSwitch,
    /// After that switch took effect.
    PostSwitch,
    /// Before each step.
    PrePhase,
    /// After each step's gate has passed.
    PostPhase,
    /// While the new revision is validated without traffic: a quick look.
    Smoke,
    /// While the new revision is validated without traffic: the long tests.
    Integration,
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreDeploy => "pre-deploy",
            Self::PostDeploy => "post-deploy",
            Self::PreSwitch => "pre-switch",
            Self::PostSwitch => "post-switch",
            Self::PrePhase => "pre-phase",
            Self::PostPhase => "post-phase",
            Self::Smoke => "smoke",
            Self::Integration => "integration",
        })
    }
}

/// "Run this hook, or say how it went."
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HookCall {
    /// The same for every repetition of this call.
    pub key: EffectKey,
    /// When in the rollout it runs.
    pub point: HookPoint,
    /// What is called: the `url` of the spec's hook.
    pub url: Arc<str>,
    /// How long it may take.
    pub timeout: Millis,
    /// The revision that is rolled out.
    pub revision: Revision,
    /// Of which deployment; empty when it has no name.
    pub deployment: Arc<str>,
}

impl HookCall {
    /// A call of the hook at `url`, for a deployment without a name.
    #[must_use]
    pub fn new(key: EffectKey, point: HookPoint, url: Arc<str>, timeout: Millis, revision: Revision) -> Self {
        Self { key, point, url, timeout, revision, deployment: "".into() }
    }

    /// Of the deployment with this name.
    #[must_use]
    pub fn of(mut self, deployment: Arc<str>) -> Self {
        self.deployment = deployment;
        self
    }
}

/// How a hook went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookOutcome {
    /// It runs; ask again with the same key.
    Pending,
    /// It passed.
    Passed,
    /// It failed, with what it said.
    Failed(String),
}

/// Runs hooks.
///
/// # Contract
/// The first call with a key starts the hook; every later call with that key only asks how it went.
/// A call answers at once (well under a second) and never waits for the hook to end. A hook that is
/// over its timeout has [failed](HookOutcome::Failed). An error of a kind that another try does not mend
/// ([`Invalid`](super::ErrorKind::Invalid), [`Unsupported`](super::ErrorKind::Unsupported)) is a failure
/// too; after any other the call is repeated, until the timeout is over.
#[async_trait]
pub trait Hook: Send + Sync + Debug {
    /// Starts the hook, or says how it went.
    async fn run(&self, call: &HookCall) -> BackendResult<HookOutcome>;

    /// Can a hook at this `url` be called at all? Asked before anything moves.
    ///
    /// # Errors
    /// When it cannot: what is accepted.
    fn accepts(&self, url: &str) -> Result<(), String> {
        let _ = url;
        Ok(())
    }
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Severity {
    /// Somebody should look in office hours.
    Warning,
    /// Somebody is woken up (PagerDuty P1).
    Critical,
}

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum AlertKind {
    /// `deployment_rolled_back`: a gate failed, or a person asked for a rollback, and traffic is on its
    /// way back.
    RolledBack,
    /// `deployment_failed`: a first deployment failed; there is nothing to go back to.
    Failed,
    /// The rollout waits for a person: no data, inconclusive, or a source that fails.
    Paused,
    /// A deadline passed on the way back or in promotion.
    Stuck,
}

/// A message to people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// The same for every repetition of this alert.
    pub key: EffectKey,
    /// What it is about.
    pub kind: AlertKind,
    /// How loud.
    pub severity: Severity,
    /// Of which deployment; empty when it has no name.
    #[serde(default)]
    pub deployment: Arc<str>,
    /// The strategy of its plan; empty when none is known.
    #[serde(default)]
    pub strategy: Arc<str>,
    /// Why, for people.
    pub message: String,
}

impl Alert {
    /// An alert with this key, for a deployment without a name.
    #[must_use]
    pub fn new(key: EffectKey, kind: AlertKind, severity: Severity, message: String) -> Self {
        Self { key, kind, severity, deployment: "".into(), strategy: "".into(), message }
    }

    /// About the deployment with this name, rolled out by this strategy.
    #[must_use]
    pub fn about(mut self, deployment: Arc<str>, strategy: Arc<str>) -> Self {
        (self.deployment, self.strategy) = (deployment, strategy);
        self
    }
}

/// Delivers alerts.
///
/// # Contract
/// `Ok` means delivered (or delivered before: the key tells). After `Err` the same alert is sent
/// again with the same key.
#[async_trait]
pub trait Notifier: Send + Sync + Debug {
    /// Delivers one alert.
    async fn notify(&self, alert: &Alert) -> BackendResult<()>;
}
