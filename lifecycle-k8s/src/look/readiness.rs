//! How the pods of a template are asked whether they are ready.

use std::time::Duration;

use serde_json::Value;

/// When the first verdict of a pod can have failed, and each one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Before it is asked at all.
    pub delay: Duration,
    /// How long one failed verdict takes: `periodSeconds x failureThreshold`.
    pub verdict: Duration,
}

impl Readiness {
    /// Of such a pod, by the readiness probe of its first container; what is not written is what Kubernetes takes then.
    #[must_use]
    pub fn of(template: &Value) -> Self {
        let probe = &template["spec"]["containers"][0]["readinessProbe"];
        let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
        Self {
            delay: Duration::from_secs(number("initialDelaySeconds", 0)),
            verdict: Duration::from_secs(
                number("periodSeconds", 10).saturating_mul(number("failureThreshold", 3)),
            ),
        }
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::of(&Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_what_the_probe_says_or_what_kubernetes_takes() {
        let of = |probe: Value| {
            let Readiness { delay, verdict } =
                Readiness::of(&json!({"spec": {"containers": [{"readinessProbe": probe}]}}));
            (delay.as_secs(), verdict.as_secs())
        };
        assert_eq!(
            of(json!({"initialDelaySeconds": 60, "periodSeconds": 5, "failureThreshold": 2})),
            (60, 10)
        );
        assert_eq!(of(json!({"httpGet": {}})), (0, 30));
        assert_eq!(Readiness::default().verdict, Duration::from_secs(30));
    }
}
