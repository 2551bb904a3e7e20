//! The spec: what shall run, and how it gets there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::analysis::AnalysisSpec;
use super::error::SpecError;
use super::field::{Field, Fields};
use super::kind::{StrategyKind, Tier};
use super::parts::{self, Probe, Traffic};
use super::strategies::{BlueGreen, Canary, Rolling, Room};
use crate::machine::Desired;
use crate::plan::{Mode, PlannedHook};
use crate::time::Millis;
use crate::version::{Version, revision_hash};

/// The most replicas that a spec may ask for.
pub const MAX_REPLICAS: u32 = 100_000;

/// What shall run, and how it gets there. Only a manifest makes one, so a spec that exists is valid.
///
/// # Example
/// ```
/// # use lifecycle_core::{spec::Manifest, time::Millis};
/// let manifest = Manifest::from_yaml("
/// apiVersion: enis.andaon.com/v1
/// kind: AgentDeployment
/// metadata: {name: edge-agent}
/// spec: {version: 1.5.0, replicas: 10}
/// ").unwrap();
/// assert_eq!(manifest.spec.strategy().name(), "rolling");
/// assert_eq!(manifest.spec.rolling().window, Millis::from_secs(300));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutSpec {
    agent_id: Arc<str>,
    version: Version,
    strategy: StrategyKind,
    replicas: u32,
    tier: Tier,
    health_check: Probe,
    liveness: Probe,
    template: Option<Arc<Value>>,
    configuration: Option<Arc<Value>>,
    adopt: Option<Arc<str>>,
    rolling: Rolling,
    blue_green: BlueGreen,
    canary: Canary,
    traffic: Traffic,
    analysis: AnalysisSpec,
    hooks: Vec<PlannedHook>,
    drain: Millis,
    progress_deadline: Millis,
    revision_history_limit: u32,
    paused: bool,
}

const KNOWN: [&str; 19] = [
    "agentId",
    "version",
    "strategy",
    "replicas",
    "tier",
    "healthCheck",
    "liveness",
    "template",
    "adopt",
    "rolling",
    "blueGreen",
    "canary",
    "traffic",
    "analysis",
    "hooks",
    "drain",
    "progressDeadline",
    "revisionHistoryLimit",
    "paused",
];

impl RolloutSpec {
    pub(super) fn read(field: &Field<'_>, name: &Arc<str>) -> Result<Self, SpecError> {
        let fields = field.fields(&KNOWN)?;
        let replicas = fields.read_or("replicas", 1, |field| field.whole(1..=MAX_REPLICAS))?;
        let template = fields.read("template", |field| match field.value() {
            Value::Object(_) => Ok(Arc::new(field.value().clone())),
            _ => Err(field.expected("a mapping")),
        })?;
        let spec = Self {
            agent_id: fields.read_or("agentId", Arc::clone(name), Field::label)?,
            version: fields.required("version", "a semantic version like version: 1.5.0", Field::version)?,
            strategy: fields.read_or("strategy", StrategyKind::Rolling, |field| {
                field.one_of("a strategy", &StrategyKind::WORDS)
            })?,
            replicas,
            tier: fields.read_or("tier", Tier::Standard, |field| field.one_of("a tier", &Tier::WORDS))?,
            health_check: Probe::read(&fields, "healthCheck", &Probe::readiness())?,
            liveness: Probe::read(&fields, "liveness", &Probe::liveness())?,
            template,
            configuration: None,
            adopt: parts::adopt(&fields)?,
            rolling: Rolling::read(&fields)?,
            blue_green: BlueGreen::read(&fields)?,
            canary: Canary::read(&fields, replicas)?,
            traffic: Traffic::read(&fields, name)?,
            analysis: AnalysisSpec::read(&fields)?,
            hooks: parts::hooks(&fields)?,
            drain: fields.read_or("drain", Millis::from_secs(5), Field::duration)?,
            progress_deadline: fields.read_or(
                "progressDeadline",
                Millis::from_secs(600),
                Field::time_span,
            )?,
            revision_history_limit: fields
                .read_or("revisionHistoryLimit", 10, |field| field.whole(0..=100))?,
            paused: fields.read_or("paused", false, Field::boolean)?,
        };
        spec.check_tier(&fields)?;
        Ok(spec)
    }

    /// Zero downtime is mandatory for the enterprise tier.
    fn check_tier(&self, fields: &Fields<'_>) -> Result<(), SpecError> {
        let (section, Room { max_unavailable, .. }) = match (self.tier, self.strategy) {
            (Tier::Standard, _) | (Tier::Enterprise, StrategyKind::BlueGreen) => return Ok(()),
            (Tier::Enterprise, StrategyKind::Recreate) => {
                let problem = "recreate has downtime, and tier enterprise accepts none: write rolling, blue-green or canary";
                return Err(fields.error_at("strategy", problem));
            }
            (Tier::Enterprise, StrategyKind::Rolling) => ("rolling", self.rolling.room),
            (Tier::Enterprise, StrategyKind::Canary) => ("canary", self.canary.room),
        };
        if max_unavailable.is_zero() {
            return Ok(());
        }
        let why = match self.replicas {
            1 => "of a single replica is downtime".to_owned(),
            n => format!("would let fewer than {n} replicas serve"),
        };
        let path = format!("{}.maxUnavailable", fields.path_of(section));
        let problem = format!(
            "{max_unavailable} {why}, and tier enterprise accepts none: write 0 (and maxSurge 1 or more)"
        );
        Err(SpecError::new(path, problem))
    }

    /// With this template, where the manifest has none (from the release in a registry).
    #[must_use]
    pub fn or_template(mut self, template: Value) -> Self {
        self.template.get_or_insert_with(|| Arc::new(template));
        self
    }

    /// With configuration that belongs to the revision: another configuration is another revision.
    #[must_use]
    pub fn with_configuration(mut self, configuration: Value) -> Self {
        self.configuration = Some(Arc::new(configuration));
        self
    }

    /// With another version, as the command `update` asks for it.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Identity of what shall run: the hash of version, template and configuration. Every other edit
    /// leaves it as it is.
    #[must_use]
    pub fn revision_hash(&self) -> String {
        let template = self.template.as_deref().unwrap_or(&Value::Null);
        match &self.configuration {
            None => revision_hash(&self.version, template),
            Some(configuration) => revision_hash(
                &self.version,
                &json!({"template": template, "configuration": &**configuration}),
            ),
        }
    }

    /// What the spec asks of the machine, when its plan moves traffic in this mode.
    #[must_use]
    pub fn desired(&self, mode: Mode) -> Desired {
        Desired::new(self.revision_hash().into(), self.version.clone(), self.replicas, mode)
            .named(Arc::clone(&self.agent_id))
            .paused(self.paused)
    }

    /// The component that it deploys; the manifest's name unless written.
    #[must_use]
    pub const fn agent_id(&self) -> &Arc<str> {
        &self.agent_id
    }

    /// The version that shall run.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// How it gets there; rolling unless written.
    #[must_use]
    pub const fn strategy(&self) -> StrategyKind {
        self.strategy
    }

    /// How many replicas, from 1 to [`MAX_REPLICAS`]; 1 unless written.
    #[must_use]
    pub const fn replicas(&self) -> u32 {
        self.replicas
    }

    /// What was promised about downtime; standard unless written.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// Readiness: `/ready` every 5 s, timeout 3 s, 2 failures, unless written.
    #[must_use]
    pub const fn health_check(&self) -> &Probe {
        &self.health_check
    }

    /// Liveness: `/health` every 10 s, timeout 5 s, 3 failures, unless written.
    #[must_use]
    pub const fn liveness(&self) -> &Probe {
        &self.liveness
    }

    /// What the replicas run; `None` leaves it to the release in the registry.
    #[must_use]
    pub const fn template(&self) -> Option<&Arc<Value>> {
        self.template.as_ref()
    }

    /// The Deployment that becomes the first stable revision.
    #[must_use]
    pub const fn adopt(&self) -> Option<&Arc<str>> {
        self.adopt.as_ref()
    }

    /// The section of the strategy rolling.
    #[must_use]
    pub const fn rolling(&self) -> &Rolling {
        &self.rolling
    }

    /// The section of the strategy blue-green.
    #[must_use]
    pub const fn blue_green(&self) -> &BlueGreen {
        &self.blue_green
    }

    /// The section of the strategy canary.
    #[must_use]
    pub const fn canary(&self) -> &Canary {
        &self.canary
    }

    /// What carries the split.
    #[must_use]
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// How health is judged.
    #[must_use]
    pub const fn analysis(&self) -> &AnalysisSpec {
        &self.analysis
    }

    /// The hooks, in the order in which they were written.
    #[must_use]
    pub fn hooks(&self) -> &[PlannedHook] {
        &self.hooks
    }

    /// How long a replica that is stopped may finish its requests; 5 s unless written.
    #[must_use]
    pub const fn drain(&self) -> Millis {
        self.drain
    }

    /// How long the rollout may make no progress; 10 min unless written.
    #[must_use]
    pub const fn progress_deadline(&self) -> Millis {
        self.progress_deadline
    }

    /// How many old revisions are remembered; 10 unless written.
    #[must_use]
    pub const fn revision_history_limit(&self) -> u32 {
        self.revision_history_limit
    }

    /// Does the rollout wait; false unless written.
    #[must_use]
    pub const fn paused(&self) -> bool {
        self.paused
    }
}
