//! A pod's status, from what is known of its containers. Pure.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::facts::{Facts, State};

/// What a status is made of.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) pod: &'a Pod,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    /// When the node took the pod on.
    pub(super) since: Timestamp,
    /// In the order of the pod's containers.
    pub(super) facts: &'a [Facts],
    /// Why it was evicted, if it was.
    pub(super) evicted: Option<&'a str>,
}

/// The status to report. Times of conditions that have not changed are those `before`.
pub(super) fn status(look: &Look<'_>, before: Option<&PodStatus>, now: Timestamp) -> PodStatus {
    let phase = phase(look);
    let generation = look.pod.metadata.generation;
    let empty = PodSpec::default();
    let spec = look.pod.spec.as_ref().unwrap_or(&empty);
    let known = before.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let mut status = PodStatus {
        phase: Some(phase.to_owned()),
        host_ip: Some(look.host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: look.host_ip.to_string() }]),
        pod_ip: Some(look.pod_ip.to_string()),
        pod_ips: Some(vec![PodIP { ip: look.pod_ip.to_string() }]),
        start_time: Some(Time(look.since)),
        observed_generation: generation,
        container_statuses: Some(
            spec.containers
                .iter()
                .zip(look.facts)
                .map(|(container, facts)| facts.status(container))
                .collect(),
        ),
        ..PodStatus::default()
    };
    if let Some(message) = look.evicted {
        status.reason = Some("Evicted".to_owned());
        status.message = Some(message.to_owned());
    }
    let conditions = conditions(look, spec, phase).into_iter().map(|mut condition| {
        let same = known.iter().find(|it| it.type_ == condition.type_ && it.status == condition.status);
        let since = same.and_then(|it| it.last_transition_time.clone());
        condition.last_transition_time = Some(since.unwrap_or(Time(now)));
        condition.observed_generation = generation;
        condition
    });
    status.conditions = Some(conditions.collect());
    status
}

fn conditions(look: &Look<'_>, spec: &PodSpec, phase: &str) -> Vec<PodCondition> {
    let containers = containers_ready(look, spec, phase);
    let mut conditions = vec![
        yes("PodReadyToStartContainers"),
        yes("Initialized"),
        ready(look, spec, &containers),
        PodCondition { type_: "ContainersReady".to_owned(), ..containers },
        yes("PodScheduled"),
    ];
    if let Some(message) = look.evicted {
        conditions.push(PodCondition {
            reason: Some("TerminationByKubelet".to_owned()),
            message: Some(message.to_owned()),
            ..yes("DisruptionTarget")
        });
    }
    conditions
}

fn yes(type_: &str) -> PodCondition {
    PodCondition { type_: type_.to_owned(), status: "True".to_owned(), ..PodCondition::default() }
}

fn no(reason: &str, message: Option<String>) -> PodCondition {
    PodCondition {
        status: "False".to_owned(),
        reason: Some(reason.to_owned()),
        message,
        ..PodCondition::default()
    }
}

fn containers_ready(look: &Look<'_>, spec: &PodSpec, phase: &str) -> PodCondition {
    match phase {
        "Succeeded" => return no("PodCompleted", None),
        "Failed" => return no("PodFailed", None),
        _ => {}
    }
    let unready = spec.containers.iter().zip(look.facts).filter(|(_, facts)| !facts.ready);
    let unready: Vec<&str> = unready.map(|(container, _)| container.name.as_str()).collect();
    if unready.is_empty() {
        return yes("");
    }
    no("ContainersNotReady", Some(format!("containers with unready status: [{}]", unready.join(" "))))
}

fn ready(look: &Look<'_>, spec: &PodSpec, containers: &PodCondition) -> PodCondition {
    let known = look.pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let passed = |gate: &str| known.iter().any(|it| it.type_ == gate && it.status == "True");
    let gates = spec.readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str());
    let closed: Vec<String> = gates
        .filter(|gate| !passed(gate))
        .map(|gate| format!("corresponding condition of pod readiness gate \"{gate}\" is not \"True\"."))
        .collect();
    let condition = if containers.status == "True" && !closed.is_empty() {
        no("ReadinessGatesNotReady", Some(closed.join(" ")))
    } else {
        containers.clone()
    };
    PodCondition { type_: "Ready".to_owned(), ..condition }
}

/// The phase as Kubernetes defines it.
fn phase(look: &Look<'_>) -> &'static str {
    if look.evicted.is_some() {
        return "Failed";
    }
    let never_run = |facts: &Facts| matches!(facts.state, State::Waiting { .. }) && facts.last.is_none();
    let failed = || look.facts.iter().any(|facts| facts.ended().is_none_or(|ended| ended.code != 0));
    if look.facts.iter().all(|facts| facts.over) {
        return if failed() { "Failed" } else { "Succeeded" };
    }
    if look.facts.iter().any(never_run) { "Pending" } else { "Running" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::facts::Ended;
    use super::*;

    fn pod(gates: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"generation": 3},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "readinessGates": gates},
        }))
        .unwrap()
    }

    fn look<'a>(pod: &'a Pod, facts: &'a [Facts]) -> Look<'a> {
        let ip = Ipv4Addr::new(10, 1, 0, 2);
        Look { pod, pod_ip: ip, host_ip: ip, since: Timestamp::UNIX_EPOCH, facts, evicted: None }
    }

    fn running(ready: bool) -> Facts {
        let state = State::Running { since: Timestamp::UNIX_EPOCH };
        Facts { state, ready, started: true, ..Facts::new() }
    }

    fn ended(code: i32, over: bool) -> Facts {
        let state = State::Ended(Ended { code, ..Ended::unstarted(String::new()) });
        Facts { state, over, ..Facts::new() }
    }

    fn condition(status: &PodStatus, type_: &str) -> PodCondition {
        status.conditions.iter().flatten().find(|it| it.type_ == type_).unwrap().clone()
    }

    #[test]
    fn the_phase_follows_from_the_containers() {
        let crashed = Facts { last: Some(Ended::unstarted(String::new())), ..Facts::new() };
        let pod = pod(json!([]));
        for (facts, expected) in [
            ([Facts::new(), Facts::new()], "Pending"),
            ([running(true), Facts::new()], "Pending"),
            ([running(true), running(false)], "Running"),
            ([running(true), crashed.clone()], "Running"),
            ([crashed.clone(), crashed], "Running"),
            ([ended(0, true), running(true)], "Running"),
            ([ended(0, true), ended(0, true)], "Succeeded"),
            ([ended(0, true), ended(1, true)], "Failed"),
            ([ended(1, false), ended(1, false)], "Running"),
        ] {
            assert_eq!(phase(&look(&pod, &facts)), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_pod_is_ready_when_its_containers_and_its_gates_are() {
        let now = Timestamp::UNIX_EPOCH;
        let ready = |pod: &Pod, facts: &[Facts]| condition(&status(&look(pod, facts), None, now), "Ready");
        let plain = pod(json!([]));
        let half = ready(&plain, &[running(true), running(false)]);
        assert_eq!((&*half.status, half.reason.as_deref()), ("False", Some("ContainersNotReady")));
        assert_eq!(half.message.as_deref(), Some("containers with unready status: [b]"));
        assert_eq!(ready(&plain, &[running(true), running(true)]).status, "True");
        let mut gated = pod(json!([{"conditionType": "example.com/in"}]));
        let both = [running(true), running(true)];
        assert_eq!(ready(&gated, &both).reason.as_deref(), Some("ReadinessGatesNotReady"));
        let conditions = Some(vec![yes("example.com/in")]);
        gated.status = Some(PodStatus { conditions, ..PodStatus::default() });
        assert_eq!(ready(&gated, &both).status, "True");
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let pod = pod(json!([]));
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let unready = [running(true), running(false)];
        let first = status(&look(&pod, &unready), None, at(1));
        let second = status(&look(&pod, &unready), Some(&first), at(2));
        assert_eq!(first, second);
        let third = status(&look(&pod, &[running(true), running(true)]), Some(&second), at(3));
        let time = |type_| condition(&third, type_).last_transition_time.unwrap().0;
        assert_eq!((time("Ready"), time("PodScheduled")), (at(3), at(1)));
    }

    #[test]
    fn an_evicted_pod_has_failed_and_says_why() {
        let (pod, facts) = (pod(json!([])), [running(true), running(true)]);
        let look = Look { evicted: Some("no room"), ..look(&pod, &facts) };
        let status = status(&look, None, Timestamp::UNIX_EPOCH);
        assert_eq!(status.phase.as_deref(), Some("Failed"));
        assert_eq!((status.reason.as_deref(), status.message.as_deref()), (Some("Evicted"), Some("no room")));
        assert_eq!(condition(&status, "Ready").status, "False");
        assert_eq!(condition(&status, "DisruptionTarget").reason.as_deref(), Some("TerminationByKubelet"));
    }
}
