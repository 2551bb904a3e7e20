//! What keeps a container from starting, and what it is told when it does.

use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Secret, ServiceAccount};
use kube::api::PostParams;
use serde_json::json;

use crate::world::{World, agent, container, from, script, until};

fn waiting(status: &ContainerStatus) -> Option<(&str, &str)> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    Some((waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default()))
}

#[tokio::test]
async fn an_unknown_image_is_pulled_in_vain_until_the_pod_is_deleted() {
    let world = World::new("unknown-image").await;
    world.pod("web", agent("no-such-image:1.0.0", json!({}))).await;
    let pod = world
        .container("web", "ImagePullBackOff", |status| {
            waiting(status).is_some_and(|(reason, message)| {
                reason == "ImagePullBackOff" && message.contains("no-such-image:1.0.0: not found")
            })
        })
        .await;
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Pending"));
    world.delete("web").await;
    world.gone("web").await;
}

#[tokio::test]
async fn an_image_whose_pull_fails_for_a_while_runs_once_it_works() {
    let world = World::with("pull", |options| options.time_scale(50.0)).await;
    world.node.fail_pulls("agent-app:2.0.0", "toomanyrequests: try later");
    world.pod("old", agent("agent-app:1.0.0", json!({}))).await;
    world.pod("new", agent("agent-app:2.0.0", json!({}))).await;
    world.container("old", "ready pod of the other tag", |status| status.ready).await;
    world
        .container("new", "failed pull", |status| {
            waiting(status).is_some_and(|(_, message)| message.contains("toomanyrequests: try later"))
        })
        .await;
    world.node.heal_pulls();
    world.container("new", "ready pod after the pull", |status| status.ready).await;
    // it is there now
    world.node.fail_pulls("", "no registry");
    world.pod("again", agent("agent-app:2.0.0", json!({}))).await;
    world.container("again", "ready pod of an image that is there", |status| status.ready).await;
}

#[tokio::test]
async fn a_command_that_is_not_there_says_so_and_is_tried_again() {
    let world = World::with("no-command", |options| options.time_scale(50.0)).await;
    let spec = json!({"containers": [{"name": "app", "image": "shell:1", "command": ["no-such-command"]}]});
    world.pod("web", spec).await;
    let said = |status: &ContainerStatus, wished: &str| {
        waiting(status)
            .is_some_and(|(reason, message)| reason == wished && message.contains("no-such-command"))
    };
    world.container("web", "RunContainerError", |status| said(status, "RunContainerError")).await;
    let crashing = |status: &ContainerStatus| {
        status.restart_count > 0 && waiting(status).is_some_and(|(reason, _)| reason == "CrashLoopBackOff")
    };
    let pod = world.container("web", "CrashLoopBackOff", crashing).await;
    let last = container(&pod).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (128, Some("StartError")));
}

#[tokio::test]
async fn a_container_is_told_what_its_spec_its_pod_and_its_objects_say() {
    let world = World::new("env").await;
    let config: ConfigMap =
        from(json!({"metadata": {"name": "settings"}, "data": {"COLOUR": "red", "SIZE": "7"}}));
    let secret: Secret = from(json!({"metadata": {"name": "keys"}, "stringData": {"key": "hush"}}));
    world.api().create(&PostParams::default(), &secret).await.unwrap();
    let echo = "echo \"$POD_IP|$NAME|$COLOUR|$KEY|$GREETING|$PATH_SET|$0|$CARGO_MANIFEST_DIR\"";
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    world
        .pod(
            "web",
            json!({"restartPolicy": "Never", "containers": [{
                "name": "app",
                "image": "shell:1",
                "command": ["sh", "-c", echo],
                "args": ["$(NAME)!"],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "env": [
                    {"name": "NAME", "valueFrom": field("metadata.name")},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
                    {"name": "GREETING", "value": "hello $(NAME)"},
                ],
            }]}),
        )
        .await;
    let missing = |status: &ContainerStatus| {
        waiting(status) == Some(("CreateContainerConfigError", "configmap \"settings\" not found"))
    };
    world.container("web", "CreateContainerConfigError", missing).await;
    let address = world.node.address("env", "web").unwrap();
    world.api().create(&PostParams::default(), &config).await.unwrap();
    let ended =
        |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    let pod = world.container("web", "end", ended).await;
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Succeeded"));
    // nothing of the test's own environment is there but PATH
    assert_eq!(
        world.node.log("env", "web", "app").unwrap(),
        format!("{address}|web|red|hush|hello web||web!|\n")
    );
}

#[tokio::test]
async fn a_pod_with_a_service_account_calls_the_api_server_as_that_account() {
    let admin = World::config().await;
    let world = World::with("account", |options| options.api(&admin)).await;
    let account: ServiceAccount = from(json!({"metadata": {"name": "robot"}}));
    world.api().create(&PostParams::default(), &account).await.unwrap();
    let mut spec = script("cat \"$KUBECONFIG\"; exec sleep 60");
    spec["serviceAccountName"] = json!("robot");
    world.pod("web", spec).await;
    world.container("web", "running pod", |status| status.ready).await;
    let kubeconfig = until("a kubeconfig in the log", async || {
        let log = world.node.log("account", "web", "app").unwrap();
        serde_json::from_str::<serde_json::Value>(&log).map_err(|error| format!("{error}: {log}"))
    })
    .await;
    let kubeconfig: kube::config::Kubeconfig = serde_json::from_value(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    assert_eq!(config.default_namespace, "account");
    let client = kube::Client::try_from(config).unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let reviews: kube::Api<k8s_openapi::api::authentication::v1::SelfSubjectReview> = kube::Api::all(client);
    let answer = reviews.create(&PostParams::default(), &from(review)).await.unwrap();
    let user = answer.status.unwrap().user_info.unwrap().username;
    assert_eq!(user.as_deref(), Some("system:serviceaccount:account:robot"));
}

#[tokio::test]
async fn what_the_node_does_not_know_is_said_and_not_left_out() {
    let world = World::new("beyond").await;
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let exec = json!({"exec": {"command": ["true"]}});
    for (name, field, value, message) in [
        ("volume", "volumeMounts", mount, "this node mounts no volumes"),
        ("probe", "readinessProbe", exec.clone(), "this node probes with httpGet and tcpSocket only"),
        (
            "hook",
            "lifecycle",
            json!({"preStop": exec}),
            "this node knows preStop with sleep and httpGet only",
        ),
    ] {
        let mut spec = script("exit 0");
        spec["containers"][0][field] = value;
        spec["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
        world.pod(name, spec).await;
        world
            .container(name, message, |status| {
                waiting(status) == Some(("CreateContainerConfigError", message))
            })
            .await;
    }
}
