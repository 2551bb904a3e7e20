//! What a simulation is told about the world: the cluster, the versions, and what happens when.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifecycle_core::machine::CommandKind;
use lifecycle_core::spec::RolloutSpec;
use lifecycle_core::time::{Millis, Timestamp};
use lifecycle_core::version::Version;

use super::field::ScenarioError;
use crate::cluster::{ClusterConfig, Fault, HookBehaviour, Profile};

/// How long a fault lasts that does not say.
pub const FAULT_SPAN: Millis = Millis::from_secs(60);

/// How long a driver that died stays away.
pub const DRIVER_DOWN: Millis = Millis::from_secs(1);

/// The world of a simulation.
///
/// # Example
/// ```
/// # use lifecycle_testkit::simulate::Scenario;
/// let scenario = Scenario::from_yaml("
/// cluster: {podStart: 5s, trafficRps: 50}
/// versions:
///   1.5.0: {errorRate: 3%}
/// initial: {version: 1.4.0, replicas: 10}
/// events:
///   - {at: 5m, command: pause}
///   - {at: 6m, command: resume}
///   - {at: 12m, fault: api-unavailable, for: 2m}
/// until: 6h
/// ").unwrap();
/// assert_eq!(scenario.events.len(), 3);
///
/// let error = Scenario::from_yaml("events: [{at: 5, command: pause}]").unwrap_err();
/// assert_eq!(error.to_string(), "events[0].at: 5 has no unit: write a duration like 30s, 15m, 1h or 1h30m");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Scenario {
    /// What the cluster is like. How readiness is probed and what is measured comes from the spec.
    pub cluster: ClusterConfig,
    /// How versions behave at the start; one that is not listed is healthy.
    pub versions: BTreeMap<Version, Profile>,
    /// How hooks go, by their URL; one that is not listed passes at once.
    pub hooks: BTreeMap<Arc<str>, HookBehaviour>,
    /// What serves at the start; `None`: nothing is deployed.
    pub initial: Option<Initial>,
    /// What happens, in the order of time.
    pub events: Vec<Happening>,
    /// When the run ends at the latest.
    pub until: Option<Millis>,
}

/// What serves at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Initial {
    /// Its version.
    pub version: Version,
    /// Its replicas, all ready.
    pub replicas: u32,
}

impl Initial {
    /// This version on this many replicas.
    #[must_use]
    pub const fn new(version: Version, replicas: u32) -> Self {
        Self { version, replicas }
    }
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

impl Happening {
    /// This happens then.
    #[must_use]
    pub const fn new(at: Timestamp, what: What) -> Self {
        Self { at, what }
    }
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// Somebody gives a command.
    Command(CommandKind),
    /// The spec asks for this version from now on.
    Update(Version),
    /// A version behaves so from now on.
    Set(Version, Profile),
    /// Something goes wrong in the cluster for this long.
    Fault(Fault, Millis),
    /// A critical alert fires for this long, for the version that is rolled out at that time.
    CriticalAlert(Millis),
    /// The driver dies, and a new one starts after `down`.
    Crash {
        /// It dies at the write after this many; `None`: now, between two effects if it has any.
        after: Option<u64>,
        /// How long it stays away.
        down: Millis,
    },
    /// The clock of the driver jumps by this many milliseconds. For tests only.
    ClockJump(i64),
}

impl What {
    /// A driver that dies now and is back after a second.
    #[must_use]
    pub const fn crash() -> Self {
        Self::Crash { after: None, down: DRIVER_DOWN }
    }

    /// Is this something that goes wrong?
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Fault(..) | Self::CriticalAlert(_) | Self::Crash { .. } | Self::ClockJump(_))
    }
}

impl Scenario {
    /// Reads a scenario from YAML or JSON. What is left out has the values of
    /// [`default_for`](Self::default_for), but for `initial`: left out, nothing is deployed.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        super::read::scenario(text)
    }

    /// The scenario of a simulation that is given none: a healthy 1.4.0 (or, for a spec that asks
    /// for no newer version, the version before that) serves on the spec's replicas, the new version
    /// is healthy, and nothing goes wrong.
    #[must_use]
    pub fn default_for(spec: &RolloutSpec) -> Self {
        let usual = Version::new(1, 4, 0);
        let version = if *spec.version() > usual { usual } else { before(spec.version()) };
        Self { initial: Some(Initial::new(version, spec.replicas())), ..Self::default() }
    }

    /// With this at this time, after what is there for that time already.
    #[must_use]
    pub fn with(mut self, at: Timestamp, what: What) -> Self {
        let index = self.events.partition_point(|event| event.at <= at);
        self.events.insert(index, Happening::new(at, what));
        self
    }

    /// With this version behaving so from the start.
    #[must_use]
    pub fn version(mut self, version: Version, profile: Profile) -> Self {
        self.versions.insert(version, profile);
        self
    }

    /// With this version serving at the start.
    #[must_use]
    pub fn initial(mut self, version: Version, replicas: u32) -> Self {
        self.initial = Some(Initial::new(version, replicas));
        self
    }

    /// With this end at the latest.
    #[must_use]
    pub const fn until(mut self, end: Millis) -> Self {
        self.until = Some(end);
        self
    }
}

/// The version before: one patch less, else one minor, else one major; of 0.0.0 a pre-release.
fn before(version: &Version) -> Version {
    let Version { major, minor, patch, .. } = *version;
    match (major, minor, patch) {
        (_, _, 1..) => Version::new(major, minor, patch - 1),
        (_, 1.., 0) => Version::new(major, minor - 1, 0),
        (1.., 0, 0) => Version::new(major - 1, 0, 0),
        (0, 0, 0) => {
            let mut before = Version::new(0, 0, 0);
            // the lowest pre-release there is
            before.pre = lifecycle_core::version::parse_version("0.0.0-0").map_or(before.pre, |v| v.pre);
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifecycle_core::spec::Manifest;

    fn initial_for(version: &str) -> String {
        let text = format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {{version: \"{version}\", replicas: 3}}}}"
        );
        let scenario = Scenario::default_for(&Manifest::from_yaml(&text).unwrap().spec);
        let Initial { version, replicas } = scenario.initial.unwrap();
        assert_eq!(replicas, 3);
        version.to_string()
    }

    #[test]
    fn the_default_scenario_starts_from_an_older_version() {
        for (asked, initial) in [
            ("1.5.0", "1.4.0"),
            ("2.0.0", "1.4.0"),
            ("1.4.1", "1.4.0"),
            ("1.4.0", "1.3.0"),
            ("1.3.7", "1.3.6"),
            ("1.0.0", "0.0.0"),
            ("0.0.0", "0.0.0-0"),
        ] {
            assert_eq!(initial_for(asked), initial, "{asked}");
        }
    }

    #[test]
    fn what_is_added_is_kept_in_the_order_of_time() {
        let at = Timestamp::from_millis;
        let scenario = Scenario::default()
            .with(at(5), What::crash())
            .with(at(3), What::Command(CommandKind::Pause))
            .with(at(5), What::Command(CommandKind::Resume));
        let order: Vec<u64> = scenario.events.iter().map(|event| event.at.as_millis()).collect();
        assert_eq!(order, [3, 5, 5]);
        assert_eq!(scenario.events[2].what, What::Command(CommandKind::Resume));
    }
}
