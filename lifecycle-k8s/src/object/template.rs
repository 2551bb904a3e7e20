//! The pod template of a revision: what the manifest says, and what a rollout needs of every pod.

use lifecycle_core::spec::{Probe, RolloutSpec};
use lifecycle_core::time::Millis;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::names;

/// How long a process may take to end after SIGTERM, unless its template says: the default of Kubernetes.
const GRACE_SECONDS: u64 = 30;

/// A template that no pod can be made of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct TemplateError {
    /// The path of the field in the manifest.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub problem: String,
}

impl TemplateError {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// What is added to a template where it does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodSettings {
    /// Is the pod ready?
    pub readiness: Probe,
    /// Does it live?
    pub liveness: Probe,
    /// How long a pod that is stopped goes on serving, so that every client learns that it is gone.
    pub drain: Millis,
}

impl PodSettings {
    /// What a spec asks for.
    #[must_use]
    pub fn of(spec: &RolloutSpec) -> Self {
        Self {
            readiness: spec.health_check().clone(),
            liveness: spec.liveness().clone(),
            drain: spec.drain(),
        }
    }
}

/// The whole pod template of a revision of `agent`.
///
/// `template` is a PodTemplateSpec: `{metadata, spec: {containers: [...]}}`. Added are
/// - our two labels;
/// - to the first container, when it has a port: the readiness and liveness probes of the manifest, as HTTP GET
///   on its first port, unless it has its own (Kubernetes counts in seconds: shorter times become 1 s);
/// - to every container: a `preStop` that sleeps for `drain`, rounded up to seconds, unless it has its own;
/// - `terminationGracePeriodSeconds` of 30 s on top of the drain, unless it is written.
///
/// Everything else goes to the API server as it was written, which refuses what it does not know.
///
/// # Errors
/// When there is no container to run.
pub fn pod_template(
    template: Option<&Value>,
    agent: &str,
    hash: &str,
    settings: &PodSettings,
) -> Result<Value, TemplateError> {
    let Some(Value::Object(template)) = template else {
        let problem = "is needed on Kubernetes: a pod template like {spec: {containers: [{name: app, image: app:1.5.0}]}}";
        return Err(TemplateError::new("spec.template", problem));
    };
    let mut template = template.clone();
    let labels =
        section(section(&mut template, "metadata", "spec.template")?, "labels", "spec.template.metadata")?;
    for (name, value) in [(names::AGENT, agent), (names::REVISION, hash)] {
        labels.insert(name.to_owned(), value.into());
    }
    let spec = section(&mut template, "spec", "spec.template")?;
    let containers = match spec.get_mut("containers") {
        Some(Value::Array(containers)) if !containers.is_empty() => containers,
        _ => {
            let problem = "at least one container is needed, as [{name: app, image: app:1.5.0}]";
            return Err(TemplateError::new("spec.template.spec.containers", problem));
        }
    };
    for (n, container) in containers.iter_mut().enumerate() {
        let Value::Object(container) = container else {
            let field = format!("spec.template.spec.containers[{n}]");
            return Err(TemplateError::new(field, "is no container: write {name: app, image: app:1.5.0}"));
        };
        if n == 0 {
            probes(container, settings);
        }
        pre_stop(container, n, settings.drain)?;
    }
    let grace = GRACE_SECONDS + whole_seconds(settings.drain);
    spec.entry("terminationGracePeriodSeconds").or_insert_with(|| grace.into());
    Ok(Value::Object(template))
}

/// The mapping under this key, made when it is not there.
fn section<'a>(
    within: &'a mut Map<String, Value>,
    key: &str,
    path: &str,
) -> Result<&'a mut Map<String, Value>, TemplateError> {
    let value = within.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or_else(|| TemplateError::new(format!("{path}.{key}"), "is no mapping"))
}

fn probes(container: &mut Map<String, Value>, settings: &PodSettings) {
    let Some(port) = container.get("ports").and_then(|ports| ports.get(0)?.get("containerPort")).cloned()
    else {
        // nothing to ask: the pod is ready when it runs
        return;
    };
    for (name, probe) in [("readinessProbe", &settings.readiness), ("livenessProbe", &settings.liveness)] {
        container.entry(name).or_insert_with(|| {
            json!({
                "httpGet": {"path": &*probe.endpoint, "port": port},
                "periodSeconds": whole_seconds(probe.interval).max(1),
                "timeoutSeconds": whole_seconds(probe.timeout).max(1),
                "failureThreshold": probe.failure_threshold,
            })
        });
    }
}

fn pre_stop(container: &mut Map<String, Value>, n: usize, drain: Millis) -> Result<(), TemplateError> {
    if drain == Millis::ZERO {
        return Ok(());
    }
    let path = format!("spec.template.spec.containers[{n}]");
    let lifecycle = section(container, "lifecycle", &path)?;
    lifecycle.entry("preStop").or_insert_with(|| json!({"sleep": {"seconds": whole_seconds(drain)}}));
    Ok(())
}

/// Rounded up: never shorter than asked for.
const fn whole_seconds(span: Millis) -> u64 {
    span.0.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifecycle_core::spec::Manifest;

    use super::*;
    use crate::look::Readiness;

    fn settings(more: &str) -> PodSettings {
        let text = format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {{name: a}}, spec: {{version: 1.5.0{more}}}}}"
        );
        PodSettings::of(&Manifest::from_yaml(&text).unwrap().spec)
    }

    fn made(template: Value, more: &str) -> Value {
        pod_template(Some(&template), "a", "abc", &settings(more)).unwrap()
    }

    #[test]
    fn a_pod_gets_labels_probes_and_its_drain() {
        let template = json!({"spec": {"containers": [
            {"name": "app", "image": "app:1", "ports": [{"containerPort": 8080}]}, {"name": "side", "image": "side:1"},
        ]}});
        let made = made(template, ", drain: 2500ms, healthCheck: {interval: 500ms}");
        assert_eq!(made["metadata"]["labels"], json!({names::AGENT: "a", names::REVISION: "abc"}));
        let spec = &made["spec"];
        assert_eq!(
            spec["containers"][0]["readinessProbe"],
            json!({"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 2})
        );
        assert_eq!(Readiness::of(&made).verdict, Duration::from_secs(2));
        assert_eq!(spec["containers"][0]["livenessProbe"]["httpGet"]["path"], "/health");
        assert_eq!(spec["containers"][1].get("readinessProbe"), None);
        for n in 0..2 {
            assert_eq!(spec["containers"][n]["lifecycle"]["preStop"], json!({"sleep": {"seconds": 3}}));
        }
        assert_eq!(spec["terminationGracePeriodSeconds"], 33);
    }

    #[test]
    fn what_a_template_says_itself_stays() {
        let own = json!({"exec": {"command": ["true"]}});
        let template = json!({
            "metadata": {"labels": {"app": "x"}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [{
                "name": "app", "image": "app:1", "ports": [{"containerPort": 1}], "readinessProbe": own,
                "lifecycle": {"preStop": own}, "unheardOf": true,
            }]},
        });
        let made = made(template, "");
        assert_eq!(made["metadata"]["labels"]["app"], "x");
        assert_eq!(Readiness::of(&made).verdict, Duration::from_secs(30), "the defaults of Kubernetes");
        let container = &made["spec"]["containers"][0];
        assert_eq!((&container["readinessProbe"], &container["lifecycle"]["preStop"]), (&own, &own));
        assert_eq!(
            (&made["spec"]["terminationGracePeriodSeconds"], &container["unheardOf"]),
            (&json!(5), &json!(true))
        );
    }

    #[test]
    fn a_container_without_a_port_is_not_asked_and_without_drain_nothing_waits() {
        let made = made(json!({"spec": {"containers": [{"name": "app", "image": "x"}]}}), ", drain: 0s");
        assert_eq!(made["spec"]["containers"], json!([{"name": "app", "image": "x"}]));
    }

    #[test]
    fn a_template_without_a_container_is_refused_with_its_field() {
        for (template, field) in [
            (None, "spec.template"),
            (Some(json!({})), "spec.template.spec.containers"),
            (Some(json!({"spec": {"containers": []}})), "spec.template.spec.containers"),
            (Some(json!({"spec": {"containers": ["app"]}})), "spec.template.spec.containers[0]"),
            (Some(json!({"spec": 5})), "spec.template.spec"),
            (Some(json!({"metadata": {"labels": []}})), "spec.template.metadata.labels"),
        ] {
            let error = pod_template(template.as_ref(), "a", "abc", &settings("")).unwrap_err();
            assert_eq!(error.field, field, "{template:?}");
        }
    }
}
