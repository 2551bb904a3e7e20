//! The object of a test: what is applied, and what its status says.

use lifecycle_k8s::crd::{AgentDeployment, AgentDeploymentStatus};
use serde_json::{Value, json};

use super::NAME;

/// What a manifest says. Minutes are scaled to seconds.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) version: &'static str,
    pub(crate) strategy: &'static str,
    replicas: u32,
    checks: Value,
    env: Vec<(&'static str, &'static str)>,
    image: &'static str,
    more: Value,
}

impl Version {
    /// A version that is well, with the checks of the strategy measured by Prometheus.
    pub(crate) fn new(strategy: &'static str, version: &'static str) -> Self {
        Self {
            version,
            strategy,
            replicas: 4,
            checks: json!(["error_rate < 5%"]),
            env: Vec::new(),
            image: "agent-app",
            more: json!({}),
        }
    }

    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Judged by readiness alone.
    pub(crate) fn unchecked(mut self) -> Self {
        self.checks = json!([]);
        self
    }

    pub(crate) fn checks(mut self, checks: Value) -> Self {
        self.checks = checks;
        self
    }

    /// With an environment variable of the application.
    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    pub(crate) fn image(mut self, image: &'static str) -> Self {
        self.image = image;
        self
    }

    /// With these fields of the spec instead of what is said here.
    pub(crate) fn with(mut self, fields: Value) -> Self {
        merge(&mut self.more, fields);
        self
    }

    /// As text for kubectl.
    pub(crate) fn manifest(&self) -> String {
        let env: Vec<Value> =
            self.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut spec = json!({
            "version": self.version, "strategy": self.strategy, "replicas": self.replicas, "drain": "1s",
            "healthCheck": {"interval": "1s", "timeout": "1s", "failureThreshold": 1},
            "analysis": {"interval": "1s", "window": "4s", "minRequests": 20, "checks": self.checks},
            "canary": {"steps": [
                {"setWeight": 25, "bake": "3s"}, {"setWeight": 50, "bake": "3s"}, {"setWeight": 100, "bake": "3s"},
            ], "scaleDownDelay": "1s"},
            "rolling": {"window": "3s", "readinessAttempts": 3},
            "blueGreen": {"validate": "2s", "monitor": "6s", "scaleDownAfter": "9s", "keepFor": "20s"},
            "progressDeadline": "30s",
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{
                    "name": "app", "image": format!("{}:{}", self.image, self.version),
                    "ports": [{"containerPort": 8080}], "env": env,
                }]},
            },
        });
        merge(&mut spec, self.more.clone());
        json!({
            "apiVersion": "enis.andaon.com/v1", "kind": "AgentDeployment", "metadata": {"name": NAME}, "spec": spec,
        })
        .to_string()
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// An object that was read, with its status.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) object: AgentDeployment,
    pub(crate) status: AgentDeploymentStatus,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.status.clone();
        shown.rollout = None;
        write!(f, "{:#}", json!(shown))
    }
}

impl Agent {
    pub(crate) fn new(object: AgentDeployment) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self { object, status }
    }

    pub(crate) fn phase(&self) -> &str {
        self.status.phase.as_deref().unwrap_or_default()
    }

    /// The version that serves.
    pub(crate) fn stable(&self) -> Option<&str> {
        self.status.stable.as_ref().map(|revision| &*revision.version)
    }

    /// The version that is rolled out.
    pub(crate) fn canary(&self) -> Option<&str> {
        self.status.canary.as_ref().map(|revision| &*revision.version)
    }

    /// The answer of a condition: status and reason.
    pub(crate) fn condition(&self, name: &str) -> (&str, &str) {
        let found = self.status.conditions.iter().find(|condition| condition.type_ == name);
        found.map_or(("", ""), |condition| (&condition.status, &condition.reason))
    }

    /// What a condition says.
    pub(crate) fn says(&self, name: &str) -> &str {
        let found = self.status.conditions.iter().find(|condition| condition.type_ == name);
        found.map_or("", |condition| &condition.message)
    }

    /// Was the command with this id answered last?
    pub(crate) fn answered(&self, id: &str) -> bool {
        self.status.last_command.as_ref().is_some_and(|answer| answer.id == id)
    }

    /// Replicas that there are, and those of them that are ready.
    pub(crate) fn replicas(&self) -> (i64, i64) {
        (self.status.current_replicas, self.status.ready_replicas)
    }

    /// Ready replicas of the version that is rolled out.
    pub(crate) fn ready_canaries(&self) -> i64 {
        self.status.canary.as_ref().map_or(0, |revision| revision.ready)
    }

    /// Is it on its way back from a version that failed?
    pub(crate) fn goes_back(&self) -> bool {
        self.phase() == "unhealthy" && self.canary().is_some()
    }

    /// Has the first deployment failed, and is nothing of it left?
    pub(crate) fn failed_whole(&self) -> bool {
        self.phase() == "unhealthy" && self.canary().is_none() && self.status.current_replicas == 0
    }

    /// Was a version given up, and does this one serve alone, with so many replicas that are all ready?
    pub(crate) fn went_back_to(&self, version: &str, replicas: i64) -> bool {
        self.phase() == "rolled_back"
            && self.stable() == Some(version)
            && self.canary().is_none()
            && self.replicas() == (replicas, replicas)
    }

    /// Does the status speak of the newest spec?
    pub(crate) fn is_current(&self) -> bool {
        self.status.observed_generation == self.object.metadata.generation
    }

    /// Does this version serve, whole, with nothing on its way?
    pub(crate) fn is_healthy(&self, version: &str) -> bool {
        self.is_current()
            && self.phase() == "healthy"
            && self.stable() == Some(version)
            && self.canary().is_none()
    }
}
