//! Operators that are asked to end.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{Agent, Operator, Stage, Version, run, until, until_within};

/// Asks it to end.
async fn ends_well(operator: &mut Operator) {
    operator.process.terminate().unwrap();
    has_ended_well(operator).await;
}

/// Waits for its end, which is a good one and comes soon.
async fn has_ended_well(operator: &mut Operator) {
    let ended = until_within(Duration::from_secs(10), "the end", async || {
        operator.process.exited().unwrap().ok_or_else(|| operator.log())
    })
    .await;
    assert_eq!(ended.code(), Some(0), "{}", operator.log());
}

async fn holder(stage: &Stage) -> Option<String> {
    let lease = stage.api::<Lease>().get_opt("lifecycle-operator").await.unwrap();
    lease.and_then(|lease| lease.spec?.holder_identity).filter(|holder| !holder.is_empty())
}

/// Takes these permissions away, and waits until nobody has them any more.
async fn forbid(stage: &Stage, role: &str, resource: &str) {
    let roles = stage.api::<Role>();
    let mut rules = roles.get(role).await.unwrap().rules.unwrap();
    let is_about =
        |rule: &PolicyRule| rule.resources.iter().flatten().any(|of| resource == "*" || of == resource);
    let all = rules.len();
    rules.retain(|rule| !is_about(rule));
    assert!(rules.len() < all, "{rules:#?}");
    let patch = Patch::Merge(json!({"rules": rules}));
    roles.patch(role, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until the API server has taken note of what may not be done any more.
async fn until_refused(stage: &Stage, verb: &str, resource: &str) {
    let account = format!("--as=system:serviceaccount:{}:lifecycle-operator", stage.namespace);
    until("it is refused", async || match stage.try_kubectl(&["auth", "can-i", verb, resource, &account]) {
        Ok(answer) => Err(answer),
        Err(_) => Ok(()),
    })
    .await;
}

/// Waits until the log has ever told that this may not be read.
async fn until_forbidden(operator: &Operator, resource: &str) {
    until("the log tells", async || {
        let log = std::fs::read_to_string(operator.process.log()).unwrap();
        if log.lines().any(|line| line.contains("forbidden") && line.contains(resource)) {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
}

#[test]
fn a_write_that_is_on_its_way_is_finished_before_the_end() {
    run(async {
        let stage = Stage::new("write-ended").await;
        stage.service().await;
        let (mut operator, wire) = stage.rival_on_a_wire("first").await;
        operator.until_leading(&stage).await;
        stage.deploy(&Version::new("canary", "1.4.0").unchecked()).await;
        let next = Version::new("canary", "1.5.0").unchecked().manifest();
        let (line, ()) = tokio::join!(wire.hold(&["PATCH ", "/agentdeployments/edge-agent/status"]), async {
            stage.apply(&next);
        });

        operator.process.terminate().unwrap();
        until("it was told to end", async || {
            let log = std::fs::read_to_string(operator.process.log()).unwrap();
            if log.contains("ending") { Ok(()) } else { Err(log) }
        })
        .await;
        assert!(operator.is_alive() && holder(&stage).await.as_deref() == Some("first"), "{line}");
        let (status, said) = wire.let_go().await;
        assert_eq!(status, 200, "{line}: {said}");
        has_ended_well(&mut operator).await;
        assert_eq!(holder(&stage).await, None);
    });
}

/// Far less than the Lease of the first one lasts, which is a minute.
const AT_ONCE: Duration = Duration::from_secs(30);

#[test]
fn a_lease_is_given_back_by_an_operator_that_is_asked_to_end() {
    run(async {
        let stage = Stage::new("given-back").await;
        let mut first = stage.operator().await;
        first.until_leading(&stage).await;
        let second = stage.rival("second").await;
        let asked = Instant::now();
        ends_well(&mut first).await;
        second.until_leading(&stage).await;
        assert!(asked.elapsed() < AT_ONCE, "it took {:?}", asked.elapsed());
    });
}

#[test]
fn an_operator_that_may_not_even_stand_for_election_ends_when_it_is_asked_to() {
    run(async {
        let stage = Stage::new("end-without-rules").await;
        forbid(&stage, "lifecycle-operator", "*").await;
        forbid(&stage, "lifecycle-operator-election", "*").await;
        until_refused(&stage, "get", "leases.coordination.k8s.io").await;
        let mut operator = stage.operator().await;
        until_forbidden(&operator, "leases").await;
        ends_well(&mut operator).await;
    });
}

#[test]
fn an_operator_that_has_read_no_list_yet_ends_when_it_is_asked_to() {
    run(async {
        let stage = Stage::new("end-without-lists").await;
        forbid(&stage, "lifecycle-operator", "*").await;
        until_refused(&stage, "list", "agentdeployments.enis.andaon.com").await;
        let mut operator = stage.operator().await;
        operator.until_leading(&stage).await;
        until_forbidden(&operator, "agentdeployments").await;

        // what is refused is asked for ever more rarely: after 0.2, 0.4, 0.8, 1.6, 3.2, 6.4 and 10 s
        let moment = stage.control_plane.moment().unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
        let mut asked = stage.asked_or_watched(&moment).await;
        asked.retain(|request| request.resource == "agentdeployments");
        assert!((1..=7).contains(&asked.len()), "{asked:#?}");
        ends_well(&mut operator).await;
        assert_eq!(holder(&stage).await, None, "the Lease is given back");
    });
}

#[test]
fn an_operator_that_may_read_no_pods_ends_when_it_is_asked_to() {
    run(async {
        let stage = Stage::new("end-without-pods").await;
        forbid(&stage, "lifecycle-operator", "pods").await;
        until_refused(&stage, "list", "pods").await;
        let mut operator = stage.operator().await;
        operator.until_leading(&stage).await;
        until_forbidden(&operator, "pods").await;
        stage.apply(&Version::new("rolling", "1.4.0").unchecked().manifest());
        let told = |agent: &Agent| {
            agent.condition("Degraded") == ("True", "Forbidden")
                && agent.says("Degraded").contains("pods cannot be watched")
        };
        stage.until("what is missing", told).await;
        stage.until_told("Forbidden", "pods cannot be watched").await;
        ends_well(&mut operator).await;
        assert_eq!(holder(&stage).await, None, "the Lease is given back");
    });
}
