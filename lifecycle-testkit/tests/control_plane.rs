//! The control plane of the tests: does it work, alone and beside others, and is it gone afterwards?
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use lifecycle_testkit::kubernetes::control_plane::{
    self, ApiRequest, ControlPlane, ControlPlaneOptions, counts,
};
use serde_json::json;

/// How long anything may take that should happen at once.
const SOON: Duration = Duration::from_secs(30);

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name }, "data": { "key": "value" } })).unwrap()
}

fn deployment(name: &str, replicas: i32) -> Deployment {
    let labels = json!({ "app": name });
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "app", "image": "agent-app:1.4.0" }] },
            },
        },
    }))
    .unwrap()
}

fn local<K>(client: &kube::Client) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::default_namespaced(client.clone())
}

async fn make<K>(api: &Api<K>, object: serde_json::Value)
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

fn is_forbidden<T>(answer: Result<T, kube::Error>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 403)
}

/// What the node's Ready condition says.
fn condition(node: &Node) -> Option<&str> {
    let conditions = node.status.as_ref()?.conditions.iter().flatten();
    conditions.filter(|condition| condition.type_ == "Ready").map(|condition| &*condition.status).next()
}

/// Asks until the answer is yes.
async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came to be");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits by a watch until the objects satisfy the condition.
async fn until<K>(api: Api<K>, condition: impl Fn(&K) -> bool, times: usize)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let watch = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    let seen = watch.try_filter(|object| std::future::ready(condition(object)));
    let mut names = std::collections::BTreeSet::new();
    let all = async {
        futures::pin_mut!(seen);
        while names.len() < times {
            names.insert(seen.try_next().await.unwrap().unwrap().meta().uid.clone());
        }
    };
    tokio::time::timeout(SOON, all).await.expect("it never came to be");
}

#[tokio::test]
async fn a_deployment_gets_a_replica_set_and_pods_that_wait_for_a_node() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let client = control_plane.client().await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    assert_eq!(maps.get("a").await.unwrap().data.unwrap()["key"], "value");
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment("web", 2)).await.unwrap();
    until(Api::<ReplicaSet>::default_namespaced(client.clone()), |_| true, 1).await;
    let pending =
        |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending");
    until(Api::<Pod>::default_namespaced(client), pending, 2).await;
}

#[tokio::test]
async fn two_side_by_side_know_nothing_of_each_other() {
    let (one, two) = tokio::join!(
        ControlPlane::start(ControlPlaneOptions::new()),
        ControlPlane::start(ControlPlaneOptions::new())
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.url(), two.url());
    let maps = |client| Api::<ConfigMap>::default_namespaced(client);
    let first = maps(one.client().await.unwrap());
    first.create(&PostParams::default(), &config_map("only-here")).await.unwrap();
    let second = maps(two.client().await.unwrap());
    assert!(second.get_opt("only-here").await.unwrap().is_none());
    assert!(first.get_opt("only-here").await.unwrap().is_some());
}

#[tokio::test]
async fn an_api_server_that_was_killed_comes_back_with_its_data() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(control_plane.client().await.unwrap());
    let made = maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();
    control_plane.stop_api_server().await.unwrap();
    assert!(maps.get("kept").await.is_err(), "nobody should answer");
    control_plane.start_api_server().await.unwrap();
    assert_eq!(maps.get("kept").await.unwrap().metadata.uid, made.metadata.uid);
    maps.delete("kept", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn users_may_do_what_rbac_gives_them_and_no_more() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new().user("viewer")).await.unwrap();
    let admin = control_plane.client().await.unwrap();
    make(&local::<ConfigMap>(&admin), json!({ "metadata": { "name": "a" } })).await;
    make(&local::<ServiceAccount>(&admin), json!({ "metadata": { "name": "robot" } })).await;
    let viewer: Api<ConfigMap> = Api::default_namespaced(control_plane.client_as("viewer").await.unwrap());
    let robot = control_plane.service_account_kubeconfig("default", "robot").await.unwrap();
    let robot: Api<ConfigMap> = Api::default_namespaced(control_plane::client(&robot).await.unwrap());
    assert!(is_forbidden(viewer.get("a").await) && is_forbidden(robot.get("a").await));

    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] }]);
    make(&local::<Role>(&admin), json!({ "metadata": { "name": "reader" }, "rules": rules })).await;
    let binding = json!({
        "metadata": { "name": "readers" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [
            { "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer" },
            { "kind": "ServiceAccount", "name": "robot", "namespace": "default" },
        ],
    });
    make(&local::<RoleBinding>(&admin), binding).await;
    for api in [viewer, robot] {
        // The authorizer hears of the binding by a watch.
        eventually(async || api.get("a").await.is_ok()).await;
        assert!(is_forbidden(api.delete("a", &DeleteParams::default()).await.map(|_| config_map("a"))));
    }
    let error = control_plane.kubeconfig("nobody").unwrap_err().to_string();
    assert!(error.contains("no user nobody") && error.contains("admin, viewer"), "{error}");
}

#[tokio::test]
async fn requests_are_counted_by_user_verb_and_resource_from_a_moment_on() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new().user("viewer")).await.unwrap();
    let admin: Api<ConfigMap> = Api::default_namespaced(control_plane.client().await.unwrap());
    admin.create(&PostParams::default(), &config_map("before")).await.unwrap();
    let begin = control_plane.moment().unwrap();
    admin.create(&PostParams::default(), &config_map("a")).await.unwrap();
    admin.get("a").await.unwrap();
    admin.get("a").await.unwrap();
    let leases: Api<Lease> = Api::default_namespaced(control_plane.client_as("viewer").await.unwrap());
    leases.get("mine").await.unwrap_err();
    let found = admin.watch_metadata(&WatchParams::default(), "0").await.unwrap();
    futures::pin_mut!(found);
    found.try_next().await.unwrap().unwrap();

    let wanted = [
        (("admin", "create", "configmaps"), 1),
        (("admin", "get", "configmaps"), 2),
        (("admin", "watch", "configmaps"), 1),
        (("viewer", "get", "leases"), 1),
    ];
    let requests = control_plane.requests_since(&begin).await.unwrap();
    let ours: Vec<_> = requests.into_iter().filter(|request| !request.user.starts_with("system:")).collect();
    assert_eq!(counts(&ours), wanted.into());
    let told = |is: fn(&ApiRequest) -> bool| ours.iter().filter(|request| is(request)).count();
    assert_eq!(
        (told(ApiRequest::is_watch), told(ApiRequest::is_lease), told(ApiRequest::is_list)),
        (1, 1, 0)
    );
    let forbidden = ours.iter().find(|request| request.is_lease()).map(|request| request.code);
    assert_eq!(forbidden, Some(403));
    let later = control_plane.requests_since(&control_plane.moment().unwrap()).await.unwrap();
    assert!(!later.iter().any(|request| !request.user.starts_with("system:")), "{later:?}");
}

#[tokio::test]
async fn what_belongs_to_something_that_is_deleted_goes_with_it() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let client = control_plane.client().await.unwrap();
    make(&Api::<Namespace>::all(client.clone()), json!({ "metadata": { "name": "other" } })).await;
    let other: Api<ConfigMap> = Api::namespaced(client.clone(), "other");
    other.create(&PostParams::default(), &config_map("a")).await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment("web", 1)).await.unwrap();
    let replica_sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
    until(replica_sets.clone(), |_| true, 1).await;

    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete("other", &DeleteParams::default()).await.unwrap();
    eventually(async || replica_sets.list(&ListParams::default()).await.unwrap().items.is_empty()).await;
    eventually(async || namespaces.get_opt("other").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_node_that_is_silent_is_lost_after_the_grace_period() {
    let options = ControlPlaneOptions::new().node_monitor_grace_period(Duration::from_secs(2));
    let control_plane = ControlPlane::start(options).await.unwrap();
    let client = control_plane.client().await.unwrap();
    make(&Api::<Node>::all(client.clone()), json!({ "metadata": { "name": "silent" } })).await;
    let nodes: Api<Node> = Api::all(client);
    let ready = json!({ "status": { "conditions": [{
        "type": "Ready", "status": "True", "reason": "Test", "message": "",
        "lastHeartbeatTime": Timestamp::now(), "lastTransitionTime": Timestamp::now(),
    }] } });
    nodes.patch_status("silent", &PatchParams::default(), &Patch::Strategic(ready)).await.unwrap();
    until(nodes, |node| condition(node) == Some("Unknown"), 1).await;
}

#[tokio::test]
async fn deployments_stand_still_while_there_is_no_controller_manager() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let client = control_plane.client().await.unwrap();
    control_plane.stop_controller_manager().await.unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment("web", 1)).await.unwrap();
    let begin = control_plane.moment().unwrap();
    let replica_sets: Api<ReplicaSet> = Api::default_namespaced(client);
    assert!(replica_sets.list(&ListParams::default()).await.unwrap().items.is_empty());
    control_plane.start_controller_manager().await.unwrap();
    until(replica_sets, |_| true, 1).await;
    let made = control_plane.requests_since(&begin).await.unwrap();
    let made = made.iter().find(|request| request.verb == "create" && request.resource == "replicasets");
    let user = "system:serviceaccount:kube-system:deployment-controller";
    assert_eq!(made.map(|request| &*request.user), Some(user));
}

#[tokio::test]
async fn nothing_is_left_after_it_was_dropped() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let address = control_plane.url().trim_start_matches("https://").to_owned();
    let kubeconfig = control_plane.kubeconfig("admin").unwrap();
    let folder = kubeconfig.parent().unwrap().to_owned();
    assert_eq!(processes_that_mention(&folder), 3);
    drop(control_plane);
    assert_eq!(processes_that_mention(&folder), 0);
    assert!(!folder.exists());
    std::net::TcpStream::connect(address).unwrap_err();
}

/// Says that this process is the one that the test started.
const EXISTING: &str = "CONTROL_PLANE_TEST_OF_EXISTING";

#[tokio::test]
async fn a_cluster_of_somebody_else_is_used_and_left_alone() {
    if std::env::var_os(EXISTING).is_some() {
        let cluster = ControlPlane::start(ControlPlaneOptions::new().user("viewer")).await.unwrap();
        let maps: Api<ConfigMap> = local(&cluster.client().await.unwrap());
        maps.create(&PostParams::default(), &config_map("made-there")).await.unwrap();
        let viewer: Api<ConfigMap> = local(&cluster.client_as("viewer").await.unwrap());
        assert!(is_forbidden(viewer.get("made-there").await));
        let robot = cluster.service_account_kubeconfig("default", "default").await.unwrap();
        let robot: Api<ConfigMap> = local(&control_plane::client(&robot).await.unwrap());
        assert!(is_forbidden(robot.get("made-there").await));
        let error = cluster.stop_api_server().await.unwrap_err().to_string();
        assert!(error.contains("LIFECYCLE_E2E_CLUSTER=existing"), "{error}");
        return assert!(cluster.url().starts_with("https://127.0.0.1:"));
    }
    let cluster = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_cluster_of_somebody_else_is_used_and_left_alone"])
        .env(EXISTING, "yes")
        .env("LIFECYCLE_E2E_CLUSTER", "existing")
        .env("KUBECONFIG", cluster.kubeconfig("admin").unwrap())
        .status();
    assert!(child.await.unwrap().success());
    let maps: Api<ConfigMap> = local(&cluster.client().await.unwrap());
    maps.get("made-there").await.unwrap();
}

/// Names the folder of a control plane that another process of this test holds.
const HELD: &str = "CONTROL_PLANE_TEST_HOLDS_AT";

#[tokio::test]
async fn nothing_is_left_after_the_process_that_held_it_was_killed() {
    if let Some(file) = std::env::var_os(HELD) {
        let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
        let folder = control_plane.kubeconfig("admin").unwrap().parent().unwrap().display().to_string();
        std::fs::write(file, folder).unwrap();
        return std::future::pending().await;
    }
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("folder");
    let mut holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_after_the_process_that_held_it_was_killed"])
        .env(HELD, &file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually(async || std::fs::read_to_string(&file).is_ok_and(|text| Path::new(&text).is_dir())).await;
    let folder = std::path::PathBuf::from(std::fs::read_to_string(&file).unwrap());
    assert_eq!(processes_that_mention(&folder), 3);
    holder.kill().await.unwrap();
    eventually(async || processes_that_mention(&folder) == 0 && !folder.exists()).await;
}

/// How many processes but shells have this path in their arguments.
fn processes_that_mention(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap();
    let arguments = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    });
    arguments.filter(|line| !line.starts_with("/bin/sh") && line.contains(folder)).count()
}
