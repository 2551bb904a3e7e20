//! The controller of `examples/controller.rs`, for a resource that is not ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use lifecycle_testkit::kubernetes::Supervised;
use lifecycle_testkit::kubernetes::load::{Load, LoadOptions, Who};

use crate::support::{Stage, run, until};

/// The Greeter and its Service.
const GREETER: &str = include_str!("../../../examples/kubernetes/greeter.yaml");

/// The example as cargo has built it beside this test: target/debug/deps/TEST, target/debug/examples/EXAMPLE.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let build = format!("cargo build -p lifecycle-examples --example {name}");
    assert!(example.is_file(), "{} is missing; build it with: {build}", example.display());
    example
}

/// As an administrator, as somebody starts it who tries it out.
fn start(stage: &Stage, log: &Path) -> Supervised {
    let mut command = Command::new(example("controller"));
    command.env("KUBECONFIG", stage.control_plane.kubeconfig("admin").unwrap());
    Supervised::start("controller", &command, log).unwrap()
}

/// Name and image of every pod that was not asked to stop.
async fn pods(stage: &Stage) -> BTreeSet<(String, String)> {
    let mut pods = stage.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    let image = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
    pods.iter().map(|pod| (pod.name_any(), image(pod).unwrap_or_default())).collect()
}

/// Waits until this version serves, and answers with its pods.
async fn rolled_out(stage: &Stage, version: &str, controller: &Supervised) -> BTreeSet<(String, String)> {
    let image = format!("agent-app:{version}");
    until(&format!("{version} serves alone"), async || {
        let status = "jsonpath={.status.phase} {.status.version}";
        let status = stage.kubectl(&["get", "greeter", "hello", "-o", status]);
        let pods = pods(stage).await;
        let all = pods.len() == 2 && pods.iter().all(|(_, of)| *of == image);
        if all && status == format!("healthy {version}") {
            Ok(pods)
        } else {
            Err((status, pods, controller.log_tail()))
        }
    })
    .await
}

#[test]
fn a_resource_of_ones_own_is_rolled_out_by_the_example() {
    run(async {
        let stage = Stage::new("greeter").await;
        let logs = tempfile::tempdir().unwrap();
        let controller = start(&stage, &logs.path().join("controller.log"));
        until("Greeters are known", async || match stage.try_kubectl(&["get", "greeters"]) {
            Ok(_) => Ok(()),
            Err(error) => Err((error, controller.log_tail())),
        })
        .await;

        stage.apply(GREETER);
        let before = rolled_out(&stage, "1.0.0", &controller).await;
        let options = LoadOptions::new(50.0).post_share(0.33);
        let load = Load::start(stage.client.clone(), &stage.namespace, "hello", options).await.unwrap();
        stage.kubectl(&[
            "patch",
            "greeter",
            "hello",
            "--type=merge",
            "--patch",
            r#"{"spec": {"version": "1.1.0"}}"#,
        ]);
        let after = rolled_out(&stage, "1.1.0", &controller).await;

        assert!(before.is_disjoint(&after), "{before:?} {after:?}");
        let report = load.stop().await;
        assert!(report.tally(Who::Version("1.1.0")).ok > 0, "{report}");
        assert_eq!((report.lost(), report.refused), (0, 0), "{:?}; {}", report.losses, controller.log_tail());

        // what was made belongs to the Greeter and goes with it
        stage.kubectl(&["delete", "greeter", "hello"]);
        until("its pods are gone", async || {
            let pods = pods(&stage).await;
            if pods.is_empty() { Ok(()) } else { Err(pods) }
        })
        .await;
    });
}
