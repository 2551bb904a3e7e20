//! Manifests that the API server accepts and that cannot be followed: somebody is told at once, what served goes on
//! serving, and nothing else than a mended manifest is needed afterwards.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use lifecycle_k8s::crd::AgentDeployment;
use lifecycle_testkit::kubernetes::control_plane::counts;
use lifecycle_testkit::kubernetes::load::{Load, Who};
use lifecycle_testkit::kubernetes::prometheus::{Prometheus, PrometheusOptions};
use serde_json::{Value, json};

use crate::support::{Agent, NAME, Operator, Stage, Version, create, run, until, until_within};

/// Whoever applied something bad is told within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// So long nothing else happens than that it stays so.
const STAYS: Duration = Duration::from_secs(4);

/// The most requests in that time: what cannot be done is tried again, ever more rarely.
const MOST_REQUESTS: usize = 12;

/// A condition that tells of a problem: type, status and reason.
type Told = (&'static str, &'static str, &'static str);

const REFUSED_SPEC: Told = ("Accepted", "False", "SpecRefused");
const REPLICAS_FAIL: Told = ("Degraded", "True", "ReplicasFailing");

fn version(strategy: &'static str, version: &'static str) -> Version {
    Version::new(strategy, version).unchecked().replicas(2)
}

/// The only container of the template, with more fields.
fn container(more: Value) -> Value {
    let mut container =
        json!({"name": "app", "image": "agent-app:1.5.0", "ports": [{"containerPort": 8080}]});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"template": {"spec": {"containers": [container]}}})
}

/// 1.4.0 serves, and requests come in.
struct Scene {
    stage: Stage,
    operator: Operator,
    load: Load,
}

impl Scene {
    async fn new(namespace: &str, strategy: &'static str) -> Self {
        Self::on(Stage::new(namespace).await, strategy).await
    }

    async fn on(stage: Stage, strategy: &'static str) -> Self {
        stage.service().await;
        let operator = stage.operator().await;
        stage.deploy(&version(strategy, "1.4.0")).await;
        let load = stage.load(40.0).await;
        load.until(TOLD_WITHIN, |seen| seen.tally(Who::Version("1.4.0")).ok > 20).await.unwrap();
        Self { stage, operator, load }
    }

    /// Applies it. A condition and an Event tell of it in time, with these words, and it stays at that: the operator
    /// runs on and asks for little, and stable serves with all its replicas.
    async fn applied_is_told(&mut self, manifest: &str, told: Told, words: &[&str]) {
        self.stage.apply(manifest);
        self.is_told(told, words).await;
    }

    async fn is_told(&mut self, (name, status, reason): Told, words: &[&str]) {
        let stage = &self.stage;
        let agent = until_within(TOLD_WITHIN, &format!("{name} {status} {reason} {words:?}"), async || {
            let agent = crate::support::Agent::new(stage.agent().await);
            let says = agent.says(name);
            let is_told =
                agent.condition(name) == (status, reason) && words.iter().all(|word| says.contains(word));
            if agent.is_current() && is_told { Ok(agent) } else { Err(agent) }
        })
        .await;
        assert_eq!((agent.stable(), agent.condition("Ready").0), (Some("1.4.0"), "False"), "{agent:?}");
        for word in words {
            stage.until_told(reason, word).await;
        }

        let (history, moment) = (stage.history().await, stage.control_plane.moment().unwrap());
        tokio::time::sleep(STAYS).await;
        let seen = history.seen();
        for agent in &seen {
            let stable = agent.status.stable.clone().unwrap();
            assert_eq!(
                (agent.condition(name).0, &*stable.version, stable.ready),
                (status, "1.4.0", 2),
                "{seen:#?}"
            );
            assert_eq!(agent.condition("Available").0, "True", "{agent:?}");
        }
        let asked = stage.asked(&moment).await;
        println!("{reason}: {} requests in {STAYS:?}: {:?}", asked.len(), counts(&asked));
        assert!(asked.len() <= MOST_REQUESTS, "{asked:#?}");
        assert!(self.operator.is_alive(), "{}", self.operator.log());
    }

    /// The mended manifest is rolled out, and all the while no request was lost.
    async fn mended_is_promoted(self, mended: &Version) {
        self.stage.deploy(mended).await;
        self.ends_well(mended.version).await;
    }

    async fn ends_well(self, version: &str) {
        let agent = self.stage.until_healthy(version).await;
        assert_eq!(agent.condition("Degraded").0, "False", "{agent:?}");
        assert_eq!(agent.condition("Accepted").0, "True", "{agent:?}");
        self.load.until(TOLD_WITHIN, |seen| seen.tally(Who::Version(version)).ok > 10).await.unwrap();
        let report = self.load.stop().await;
        assert_eq!((report.lost(), report.refused), (0, 0), "{report}; {:?}", report.losses);
    }
}

#[test]
fn an_image_that_cannot_be_pulled_is_named() {
    run(async {
        let mut scene = Scene::new("no-image", "canary").await;
        let bad = version("canary", "1.5.0").image("agent-ap").manifest();
        scene.applied_is_told(&bad, REPLICAS_FAIL, &["agent-ap:1.5.0", "not found"]).await;
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

/// Long after the pods are gone that could tell.
#[test]
fn why_a_first_deployment_has_failed_stays_to_be_read() {
    run(async {
        let stage = Stage::new("first-no-image").await;
        stage.service().await;
        let _operator = stage.operator().await;
        let bad = version("canary", "1.4.0").image("agent-ap").with(json!({"progressDeadline": "4s"}));
        stage.apply(&bad.manifest());
        let failed = stage.until("the failure", Agent::failed_whole).await;
        assert_eq!(failed.condition("Degraded"), ("True", "Failed"), "{failed:?}");
        let why = failed.says("Degraded");
        assert!(why.contains("no progress for 4s: ") && why.contains("agent-ap:1.4.0"), "{why}");
    });
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    run(async {
        let mut scene = Scene::new("no-command", "canary").await;
        let bad = version("canary", "1.5.0").with(container(json!({"command": ["/no/such/program"]})));
        scene.applied_is_told(&bad.manifest(), REPLICAS_FAIL, &["/no/such/program"]).await;
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_named() {
    run(async {
        let mut scene = Scene::new("unknown-field", "canary").await;
        let bad = version("canary", "1.5.0").with(container(json!({"imagePullPolcy": "Always"})));
        scene.applied_is_told(&bad.manifest(), ("Degraded", "True", "Refused"), &["imagePullPolcy"]).await;
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

/// Nothing of it was ever made, so nothing has to go before the next one may come.
#[test]
fn a_manifest_can_be_mended_after_the_refused_one_was_given_up() {
    run(async {
        let scene = Scene::new("given-up", "canary").await;
        let bad = version("canary", "1.5.0")
            .with(container(json!({"imagePullPolcy": "Always"})))
            .with(json!({"progressDeadline": "4s"}));
        scene.stage.apply(&bad.manifest());
        let agent = scene.stage.until("the rollback", |agent| agent.phase() == "rolled_back").await;
        assert_eq!((agent.stable(), agent.condition("Available").0), (Some("1.4.0"), "True"), "{agent:?}");
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

#[test]
fn a_template_that_makes_no_valid_pod_is_told_with_its_field() {
    run(async {
        let mut scene = Scene::new("invalid-pod", "blue-green").await;
        let bad = version("blue-green", "1.5.0")
            .with(json!({"template": {"spec": {"restartPolicy": "Sometimes"}}}));
        let words = ["restartPolicy", "Sometimes"];
        scene.applied_is_told(&bad.manifest(), ("Degraded", "True", "Refused"), &words).await;
        scene.mended_is_promoted(&version("blue-green", "1.5.0")).await;
    });
}

#[test]
fn what_this_operator_cannot_do_is_refused_and_nothing_moves() {
    run(async {
        let mut scene = Scene::new("refused", "rolling").await;
        let hook = json!({"hooks": [{"on": "pre-deploy", "url": "https://hooks.example/go"}]});
        for (fields, words) in [
            (json!({"template": null}), &["spec.template", "is needed on Kubernetes"][..]),
            (hook, &["https://hooks.example/go"]),
            (json!({"traffic": {"provider": "istio"}}), &["spec.traffic.provider"]),
            (json!({"adopt": {"deployment": "old"}}), &["spec.adopt"]),
        ] {
            let bad = version("rolling", "1.5.0").with(fields).manifest();
            scene.stage.kubectl(&["delete", "events", "--all"]);
            scene.applied_is_told(&bad, REFUSED_SPEC, words).await;
            assert_eq!(scene.stage.agent().await.status.unwrap().canary, None);
        }
        scene.mended_is_promoted(&version("rolling", "1.5.0")).await;
    });
}

#[test]
fn a_command_before_any_rollout_is_refused_and_not_kept_for_later() {
    run(async {
        let stage = Stage::new("too-early").await;
        let _operator = stage.operator().await;
        let bad = version("rolling", "1.4.0").with(json!({"adopt": {"deployment": "old"}}));
        stage.apply(&bad.manifest());
        stage.kubectl(&["annotate", "agentdeploy", NAME, "enis.andaon.com/command=e1 abort"]);
        let agent = stage.until("the answer", |agent| agent.answered("e1")).await;
        let answer = agent.status.last_command.unwrap();
        assert_eq!(answer.result, "refused");
        assert!(answer.message.contains("no spec was accepted yet"), "{}", answer.message);
        stage.until_told("CommandRefused", "abort (e1) refused").await;

        stage.kubectl(&["patch", "agentdeploy", NAME, "--type=merge", "-p", r#"{"spec":{"adopt":null}}"#]);
        let agent = stage.until_healthy("1.4.0").await;
        assert_eq!(agent.status.last_command.unwrap().result, "refused");

        // and an id is that of one command
        let again = "enis.andaon.com/command=e1 pause";
        stage.kubectl(&["annotate", "agentdeploy", NAME, "--overwrite", again]);
        stage.until_told("CommandRefused", "the id e1 was that of abort before").await;
        let agent = stage.until("the answer", |agent| agent.answered("e1")).await;
        assert_eq!(agent.condition("Paused").0, "False", "{agent:?}");
    });
}

#[test]
fn a_query_that_cannot_be_filled_in_is_told_with_its_field() {
    run(async {
        let mut scene = Scene::new("bad-query", "canary").await;
        // whether or not a check asks for it
        for (name, check) in [("slow_share", "slow_share < 1"), ("fast_share", "error_rate < 5%")] {
            let query = json!({"analysis": {"queries": {name: "sum(rate(asked{pod=\"{{pod}}\"}[1m]))"}}});
            let bad = Version::new("canary", "1.5.0").replicas(2).checks(json!([check])).with(query);
            let field = format!("spec.analysis.queries.{name}");
            scene.applied_is_told(&bad.manifest(), REFUSED_SPEC, &[&field, "{{pod}}"]).await;
        }
        assert_eq!(scene.stage.agent().await.status.unwrap().canary, None);
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

#[test]
fn a_check_without_prometheus_is_refused() {
    run(async {
        let mut scene = Scene::on(Stage::measured_by(None, "no-prometheus").await, "canary").await;
        let bad = Version::new("canary", "1.5.0").replicas(2).manifest();
        scene.applied_is_told(&bad, REFUSED_SPEC, &["error_rate < 5%", "there is no health source"]).await;
        scene.mended_is_promoted(&version("canary", "1.5.0")).await;
    });
}

#[test]
fn a_blue_green_without_its_service_waits_and_names_it() {
    run(async {
        let mut scene = Scene::new("no-service-blue-green", "blue-green").await;
        let bad = version("blue-green", "1.5.0").with(json!({"traffic": {"service": "nowhere"}}));
        scene.applied_is_told(&bad.manifest(), ("Degraded", "True", "NotFound"), &["Service nowhere"]).await;
        let mended = version("blue-green", "1.5.0").with(json!({"traffic": {"service": NAME}}));
        scene.mended_is_promoted(&mended).await;
    });
}

#[test]
fn a_canary_whose_written_service_is_missing_goes_on_once_it_is_made() {
    run(async {
        let mut scene = Scene::new("no-service-canary", "canary").await;
        let bad = version("canary", "1.5.0").with(json!({"traffic": {"service": "nowhere"}}));
        scene.applied_is_told(&bad.manifest(), ("Degraded", "True", "NotFound"), &["Service nowhere"]).await;
        let spec = json!({"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8080}]});
        create(&scene.stage.api::<Service>(), json!({"metadata": {"name": "nowhere"}, "spec": spec})).await;
        scene.ends_well("1.5.0").await;
    });
}

#[test]
fn a_first_blue_green_goes_on_once_its_service_is_made() {
    run(async {
        let stage = Stage::new("no-service-first").await;
        let _operator = stage.operator().await;
        stage.apply(&version("blue-green", "1.4.0").manifest());
        let agent =
            stage.until("it is told", |agent| agent.condition("Degraded") == ("True", "NotFound")).await;
        assert!(agent.says("Degraded").contains("Service edge-agent"), "{agent:?}");
        stage.service().await;
        stage.until_healthy("1.4.0").await;
    });
}

/// The pods of the new version would get no request, and those of stable go for them.
async fn unfitting(namespace: &str, strategy: &'static str) {
    let mut scene = Scene::new(namespace, strategy).await;
    let bad =
        version(strategy, "1.5.0").with(json!({"template": {"metadata": {"labels": {"app": "other"}}}}));
    scene.applied_is_told(&bad.manifest(), REFUSED_SPEC, &["Service edge-agent", "app=edge-agent"]).await;
    scene.mended_is_promoted(&version(strategy, "1.5.0")).await;
}

#[test]
fn a_service_that_does_not_select_the_new_pods_of_a_canary_is_told() {
    run(unfitting("unfitting-canary", "canary"));
}

#[test]
fn a_service_that_does_not_select_the_new_pods_of_a_blue_green_is_told() {
    run(unfitting("unfitting-blue-green", "blue-green"));
}

#[test]
fn a_service_that_selects_nothing_is_told_and_mended_without_another_spec() {
    run(async {
        let stage = Stage::new("selects-nothing").await;
        let spec = json!({"selector": {"app": "nobody"}, "ports": [{"port": 80, "targetPort": 8080}]});
        create(&stage.api::<Service>(), json!({"metadata": {"name": NAME}, "spec": spec})).await;
        let _operator = stage.operator().await;
        stage.apply(&version("canary", "1.4.0").manifest());
        let agent = until_within(TOLD_WITHIN, "it is told", async || {
            let agent = crate::support::Agent::new(stage.agent().await);
            if agent.condition("Accepted").0 == "False" { Ok(agent) } else { Err(agent) }
        })
        .await;
        assert!(agent.says("Accepted").contains("app=nobody"), "{agent:?}");
        stage.kubectl(&[
            "patch",
            "service",
            NAME,
            "-p",
            &json!({"spec": {"selector": {"app": NAME}}}).to_string(),
        ]);
        stage.until_healthy("1.4.0").await;
    });
}

#[test]
fn a_deployment_of_somebody_else_in_the_way_is_named_and_left_alone() {
    run(async {
        let mut scene = Scene::new("in-the-way", "canary").await;
        let good = version("canary", "1.5.0");
        let object: AgentDeployment = serde_json::from_str(&good.manifest()).unwrap();
        let child = format!("{NAME}-{}", object.manifest().unwrap().spec.revision_hash());
        let labels = json!({"app": "foreign"});
        let foreign = json!({"metadata": {"name": child}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "agent-app:0.0.1"}]}},
        }});
        let deployments = scene.stage.api::<Deployment>();
        create(&deployments, foreign).await;
        let before = deployments.get(&child).await.unwrap();

        let words = [&*child, "exists and does not belong to AgentDeployment edge-agent"];
        scene.applied_is_told(&good.manifest(), ("Degraded", "True", "Refused"), &words).await;
        let after = deployments.get(&child).await.unwrap();
        assert_eq!((after.metadata.uid, after.spec), (before.metadata.uid, before.spec));

        scene.stage.kubectl(&["delete", "deployment", &child]);
        scene.ends_well("1.5.0").await;
    });
}

#[test]
fn a_prometheus_that_goes_away_pauses_the_rollout_and_resume_goes_on() {
    run(async {
        let client = Stage::new("prometheus-client").await.client;
        let namespace = "prometheus-down";
        let prometheus = Prometheus::start(client, PrometheusOptions::new().namespace(namespace)).await;
        let mut prometheus = prometheus.unwrap();
        let mut scene =
            Scene::on(Stage::measured_by(Some(prometheus.url()), namespace).await, "canary").await;
        let slow = json!({
            "analysis": {"consecutiveErrorLimit": 2},
            "canary": {"steps": [{"setWeight": 50, "bake": "8s"}, {"setWeight": 100, "bake": "3s"}]},
        });
        let measured = Version::new("canary", "1.5.0").replicas(2).with(slow);
        scene.stage.apply(&measured.manifest());
        scene.load.until(TOLD_WITHIN * 2, |seen| seen.tally(Who::Version("1.5.0")).ok > 20).await.unwrap();
        prometheus.stop();

        let stage = &scene.stage;
        let agent = stage.until("the pause", |agent| agent.condition("Paused").0 == "True").await;
        assert_eq!(agent.condition("Paused").1, "MeasurementErrors", "{agent:?}");
        assert_eq!((agent.stable(), agent.status.step), (Some("1.4.0"), 1));
        assert_eq!(agent.condition("Degraded"), ("True", "MeasurementErrors"));
        stage.until_told("Paused", "measurements failed").await;
        assert!(scene.operator.is_alive(), "{}", scene.operator.log());

        prometheus.start_again().await.unwrap();
        let up = format!("count(up{{namespace=\"{namespace}\"}})");
        prometheus.until(&up, Duration::from_secs(30), |pods| pods > 0.0).await.unwrap();
        stage.kubectl(&["annotate", "agentdeploy", NAME, "enis.andaon.com/command=p1 resume"]);
        scene.ends_well("1.5.0").await;
    });
}

#[test]
fn a_canary_that_nobody_asks_anything_passes_no_check() {
    run(async {
        let stage = Stage::new("no-requests").await;
        stage.service().await;
        let _operator = stage.operator().await;
        stage.deploy(&version("canary", "1.4.0")).await;
        stage.apply(&Version::new("canary", "1.5.0").replicas(2).manifest());
        stage.until("the first step", |agent| agent.status.step == 1).await;
        let history = stage.history().await;
        // its bake is 3 s
        tokio::time::sleep(Duration::from_secs(10)).await;
        let seen = history.seen();
        assert!(
            seen.iter().all(|agent| agent.status.step == 1 && agent.stable() == Some("1.4.0")),
            "{seen:#?}"
        );

        let load = stage.load(60.0).await;
        until("it goes on", async || {
            let agent = crate::support::Agent::new(stage.agent().await);
            if agent.condition("Paused").0 == "True" {
                stage.kubectl(&[
                    "annotate",
                    "--overwrite",
                    "agentdeploy",
                    NAME,
                    "enis.andaon.com/command=n1 resume",
                ]);
            }
            if agent.is_healthy("1.5.0") { Ok(()) } else { Err(agent) }
        })
        .await;
        assert_eq!(load.stop().await.lost(), 0);
    });
}
